// Where WebAssembly is forbidden or cannot be found: the same core, as JavaScript.
import * as core from "./wasm/core_asm.js";
import { provide } from "./runtime.js";

provide({ wasm: () => Promise.reject(), javascript: async () => core });

export * from "./client.js";
