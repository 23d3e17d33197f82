// Node: its fetch does not open file: URLs.
import { readFile } from "node:fs/promises";
import { provideWasm } from "./runtime.js";

provideWasm(() => readFile(new URL("./wasm/core_bg.wasm", import.meta.url)));

export { CoMind, CoMindError, init } from "./client.js";
