// Workers: code may only come from modules that were uploaded.
import wasm from "./wasm/core_bg.wasm";
import { provideWasm } from "./runtime.js";

provideWasm(() => wasm);

export { CoMind, CoMindError, init } from "./client.js";
