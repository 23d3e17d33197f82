// Browsers, and bundlers that build for them.
import { provideWasm } from "./runtime.js";

// This exact expression is what bundlers recognise and rewrite.
provideWasm(() => new URL("./wasm/core_bg.wasm", import.meta.url));

export { CoMind, CoMindError, init } from "./client.js";
