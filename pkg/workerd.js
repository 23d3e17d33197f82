// Workers: code may only come from modules that were uploaded.
import wasm from "./wasm/core_bg.wasm";
import { provide } from "./runtime.js";

provide({ wasm: () => wasm });

export * from "./client.js";
