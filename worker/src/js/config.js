/**
 * Ends the start with a sentence. It is thrown here because a throw of wasm's own reaches the runtime
 * as `#<Exception>`.
 */
export function refuseToStart(sentence) {
  throw new Error(sentence);
}
