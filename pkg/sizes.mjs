// What a page that uses the package loads, against the budget: `node pkg/sizes.mjs [BUDGET_BYTES]`.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";

const budgetBytes = Number(process.argv[2] ?? Infinity);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { build } = createRequire(here("../tests/package.json"))("esbuild");

const bundle = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [here(entry)],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  return outputFiles[0].contents;
};

const parts = {
  wasm: await readFile(here("wasm/core_bg.wasm")),
  "JavaScript, minified": await bundle("index.js"),
};
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10);
const line = (name, raw, gzip) => console.log(`${name.padEnd(24)}${kB(raw)}${kB(gzip)}`);

console.log(`${"@co-mind/client".padEnd(24)}${"raw".padStart(10)}${"gzip".padStart(10)}`);
let raw = 0;
let gzip = 0;
for (const [name, bytes] of Object.entries(parts)) {
  const packed = gzipSync(bytes, { level: 9 }).length;
  line(name, bytes.length, packed);
  raw += bytes.length;
  gzip += packed;
}
line("together", raw, gzip);
if (gzip > budgetBytes) {
  console.error(`The client is ${gzip} bytes gzipped; its budget is ${budgetBytes}.`);
  process.exit(1);
}
