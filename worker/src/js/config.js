/**
 * Ends the start with a sentence. It is printed too: what is thrown passes through wasm, and the runtime
 * shows only what it became there ("Critical error", `#<Exception>`).
 */
export function refuseToStart(sentence) {
  console.error(`Not started: ${sentence}`);
  throw new Error(sentence);
}
