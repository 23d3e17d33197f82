// What a page that chats and signs in loads, against the budget: `node pkg/sizes.mjs [BUDGET_BYTES]`.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { gzipSync } from "node:zlib";

const budgetBytes = Number(process.argv[2] ?? Infinity);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { build } = createRequire(here("../tests/package.json"))("esbuild");

const { outputFiles, metafile } = await build({
  entryPoints: [here("index.js")],
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  metafile: true,
  write: false,
  outdir: "/",
});
// The core as JavaScript is a chunk of its own, fetched where there is no WebAssembly.
const hasFallback = ([, { inputs }]) => Object.keys(inputs).some((input) => input.endsWith("core_asm.js"));
const fallbacks = Object.entries(metafile.outputs)
  .filter(hasFallback)
  .map(([name]) => basename(name));
const isFallback = ({ path }) => fallbacks.includes(basename(path));
const [fallback, ...rest] = outputFiles.filter(isFallback);
if (!fallback || rest.length > 0) throw new Error("the core as JavaScript is not a chunk of its own");

const parts = [
  ["WebAssembly", [await readFile(here("wasm/core_bg.wasm"))]],
  ["JavaScript, minified", outputFiles.filter((file) => !isFallback(file)).map(({ contents }) => contents)],
];
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(10);
const line = (name, raw, gzip) => console.log(`${name.padEnd(34)}${kB(raw)}${kB(gzip)}`);
const sizeOf = (files) => [
  files.reduce((sum, file) => sum + file.length, 0),
  files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0),
];

console.log(`${"@co-mind/client".padEnd(34)}${"raw".padStart(10)}${"gzip".padStart(10)}`);
let raw = 0;
let gzip = 0;
for (const [name, files] of parts) {
  const [bytes, packed] = sizeOf(files);
  line(name, bytes, packed);
  raw += bytes;
  gzip += packed;
}
line("together", raw, gzip);
line("instead, without WebAssembly", ...sizeOf([fallback.contents]));
if (gzip > budgetBytes) {
  console.error(`The client is ${gzip} bytes gzipped; its budget is ${budgetBytes}.`);
  process.exit(1);
}
