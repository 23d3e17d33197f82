/** Options of a scene whose edge counts what `counting.js` says. */
export const COUNTING = {
  entries: [
    ["counting.js", "tests/e2e/counting.js"],
    ["tally.js", "tests/e2e/tally.js"],
  ],
};
