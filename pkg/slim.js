// Everywhere else: the caller finds the wasm and passes it to `init`.
export { CoMind, CoMindError, init } from "./client.js";
