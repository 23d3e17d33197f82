// What is in a stream that has been read.

/** The data of each event. */
export function dataOf(text) {
  const blocks = text.split("\n\n").filter((block) => block.startsWith("data: "));
  return blocks.map((block) => block.slice(6));
}

/** The chunks of a completion, without `[DONE]`. */
export function chunksOf(text) {
  return dataOf(text)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data));
}
