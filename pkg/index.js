// Browsers, and bundlers that build for them.
import { provide } from "./runtime.js";

provide({
  // This exact expression is what bundlers recognise and rewrite.
  wasm: () => new URL("./wasm/core_bg.wasm", import.meta.url),
  javascript: () => import("./wasm/core_asm.js"),
});

export * from "./client.js";
