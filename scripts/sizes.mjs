// The edge's size as it is deployed, against its budget.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Of the wasm, gzipped: what a cold start reads. */
const BUDGET_BYTES = 425_000;

const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10);
console.log(`${"edge".padEnd(24)}${"raw".padStart(10)}${"gzip".padStart(10)}`);
const gzipped = {};
for (const name of ["index_bg.wasm", "index.js"]) {
  const bytes = readFileSync(new URL(`../worker/build/${name}`, import.meta.url));
  gzipped[name] = gzipSync(bytes, { level: 9 }).length;
  console.log(`${name.padEnd(24)}${kB(bytes.length)}${kB(gzipped[name])}`);
}
if (gzipped["index_bg.wasm"] > BUDGET_BYTES) {
  console.error(
    `The edge's wasm is ${gzipped["index_bg.wasm"]} bytes gzipped; its budget is ${BUDGET_BYTES}.`,
  );
  process.exit(1);
}
