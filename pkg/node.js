// Node, Deno and Bun: their fetch may not open file: URLs.
import { readFile } from "node:fs/promises";
import { provide } from "./runtime.js";

provide({
  wasm: () => readFile(new URL("./wasm/core_bg.wasm", import.meta.url)),
  javascript: () => import("./wasm/core_asm.js"),
});

export * from "./client.js";
