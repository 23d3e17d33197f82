// Everywhere else: the caller finds the WebAssembly and passes it to `init`.
export * from "./client.js";
