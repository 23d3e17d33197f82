import load, * as core from "./wasm/core.js";
import { CoMindError, badParam } from "./error.js";

let findWasm = null;
let loading = null;

/** Says where this platform's wasm is; each entry but the slim one does so. */
export function provideWasm(find) {
  findWasm = find;
}

/**
 * Loads the core once; every method awaits it. A failed load may be tried again.
 *
 * `source`: bytes, a WebAssembly.Module, a URL or a Response (or a promise of one); without it, the platform's own.
 */
export function init(source) {
  loading ??= start(source).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function start(source) {
  if (source === undefined && findWasm === null)
    throw badParam("init", "This entry loads no wasm by itself: call `await init(source)` first.");
  try {
    const { memory } = await load({ module_or_path: await (source ?? findWasm()) });
    return { core, memory };
  } catch (cause) {
    throw new CoMindError("The client's WebAssembly could not be loaded.", {
      code: "connection_failed",
      cause,
    });
  }
}
