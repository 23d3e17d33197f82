import * as glue from "./wasm/core_bg.js";
import { badParam, failure } from "./error.js";

/** Where this platform has the core: `wasm()` gives a source for `init`, `javascript()` the same core without wasm. */
let platform = {};
let loading = null;

/** Each entry but the slim one says so when it is loaded. */
export function provide(places) {
  platform = places;
}

/**
 * Loads the core once; whatever needs it awaits this. A failed load may be tried again.
 *
 * `source`: a WebAssembly.Module, bytes, a Response or a URL (or a promise of one); without it, the platform's own.
 */
export function init(source) {
  loading ??= load(source).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function load(source) {
  const find = source === undefined ? platform.wasm : () => source;
  if (!find)
    throw badParam("init", "This entry loads no WebAssembly by itself: call `await init(source)` first.");
  try {
    start(await instantiate(await find()));
    return "wasm";
  } catch (cause) {
    // Forbidden by a content security policy, without SIMD, or not where the bundler should have put it.
    const fallback = await platform.javascript?.().catch(() => null);
    if (!fallback)
      throw failure("connection_failed", "The client's WebAssembly could not be loaded.", { cause });
    inJavaScript = true;
    start(fallback);
    return "javascript";
  }
}

async function instantiate(source) {
  const imports = { "./core_bg.js": glue };
  if (source instanceof WebAssembly.Module) return (await WebAssembly.instantiate(source, imports)).exports;
  if (typeof source === "string" || source instanceof URL) source = await fetch(source);
  // Bytes and not the stream: servers that do not know wasm give it another type, and it is small.
  const bytes = source instanceof Response ? await source.arrayBuffer() : source;
  return (await WebAssembly.instantiate(bytes, imports)).instance.exports;
}

let exports = null;
let inJavaScript = false;
let view = new Uint8Array();

function start(started) {
  exports = started;
  glue.__wbg_set_wasm(exports);
}

/** The core's memory as bytes, good until the next call into it: it may grow, which puts an end to all views. */
export function memory() {
  // Told apart by what is cheap to ask: memory of WebAssembly leaves an empty view behind, that of JavaScript is another.
  if (view.byteLength === 0 || (inJavaScript && view.buffer !== exports.memory.buffer))
    view = new Uint8Array(exports.memory.buffer);
  return view;
}

export const { EventStream, Output, renew_at_ms, retry_after_ms, retry_wait_ms } = glue;
