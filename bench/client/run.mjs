// What a stream costs its reader, what a page loads and how soon it asks: the client beside what else there is.
// node run.mjs RESULT.json [ROUNDS]
//
// Each figure is the median of some rounds, in which all take turns, so that a busy machine is unfair to all alike. In
// Node each sample is a process of its own, in Chromium a page of its own.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { cpus, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { CUTS } from "./corpus.js";
import { GROUPS } from "./contenders.js";

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const require = createRequire(here("../../tests/package.json"));
const { build } = require("esbuild");
const { chromium } = require("playwright-core");

const [resultPath, rounds = "5"] = process.argv.slice(2);
const ROUNDS = Number(rounds);
const PEER = "openai, for await";

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const samples = Object.entries(CUTS).flatMap(([cut, bytes]) =>
  Object.entries(GROUPS).flatMap(([group, contenders]) =>
    Object.keys(contenders).map((name) => ({ cut, bytes, group, name })),
  ),
);

/** Takes every sample in turn, round after round. */
async function measure(where, take) {
  const spans = new Map(samples.map((sample) => [sample, []]));
  for (let round = 0; round < ROUNDS; round++) {
    process.stderr.write(`${where}: round ${round + 1} of ${ROUNDS}\n`);
    for (const [sample, times] of spans) times.push(await take(sample));
  }
  return Array.from(spans, ([sample, times]) => ({ ...sample, ns: median(times) }));
}

async function inNode() {
  return measure("Node", async ({ group, name, bytes }) => {
    const { stdout } = await run(process.execPath, [here("sample.mjs"), group, name, String(bytes)]);
    return Number(stdout);
  });
}

async function inChromium() {
  const { outputFiles } = await build({
    entryPoints: [here("page.js")],
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    write: false,
    outdir: join(tmpdir(), "bench-page"),
    logLevel: "error",
  });
  const wasm = await readFile(here("../../pkg/wasm/core_bg.wasm"));
  const server = http.createServer(({ url }, response) => {
    const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (url === "/") return send("text/html", `<script type="module" src="/page.js"></script>`);
    // esbuild leaves the address of the WebAssembly as it stands.
    if (url.endsWith(".wasm")) return send("application/wasm", wasm);
    const file = outputFiles.find(({ path }) => basename(path) === basename(url));
    return file ? send("text/javascript", file.contents) : response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  try {
    return await measure("Chromium", async ({ group, name, bytes }) => {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      await page.waitForFunction(() => document.title === "ready");
      const ns = await page.evaluate((sample) => globalThis.sample(...sample), [group, name, bytes]);
      await page.close();
      return ns;
    });
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
}

/** What a page loads: all of the package for ours, WebAssembly included. */
async function sizes() {
  const sizeOf = async (contents, { splitting = false } = {}) => {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: here(".") },
      bundle: true,
      splitting,
      minify: true,
      format: "esm",
      platform: "browser",
      write: false,
      outdir: join(tmpdir(), "bench-sizes"),
      logLevel: "error",
    });
    const isLoaded = ({ path }) => !basename(path).startsWith("core_asm");
    return outputFiles
      .filter(isLoaded)
      .reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);
  };
  const wasm = gzipSync(await readFile(here("../../pkg/wasm/core_bg.wasm")), { level: 9 }).length;
  const ours = `import { CoMind } from "@co-mind/client"; console.log(CoMind);`;
  const theirs = `import OpenAI from "openai"; console.log(OpenAI);`;
  return {
    "@co-mind/client": wasm + (await sizeOf(ours, { splitting: true })),
    openai: await sizeOf(theirs),
  };
}

async function coldStarts() {
  const names = ["@co-mind/client", "openai"];
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS * 3; round++)
    for (const name of names) {
      const { stdout } = await run(process.execPath, [here("cold.mjs"), name]);
      times[name].push(Number(stdout));
    }
  return Object.fromEntries(names.map((name) => [name, median(times[name])]));
}

function table(where, results) {
  const cuts = Object.keys(CUTS);
  const of = (name, cut) => results.find((result) => result.name === name && result.cut === cut).ns;
  console.log(`\n### ${where}\n\n| ns an event (× as fast as \`${PEER}\`) | ${cuts.join(" | ")} |`);
  console.log(`|---|${cuts.map(() => "---:|").join("")}`);
  for (const contenders of Object.values(GROUPS))
    for (const name of Object.keys(contenders)) {
      const cells = cuts.map(
        (cut) => `${of(name, cut).toFixed(0)} (${(of(PEER, cut) / of(name, cut)).toFixed(1)})`,
      );
      console.log(`| ${name} | ${cells.join(" | ")} |`);
    }
}

const versions = Object.fromEntries(
  await Promise.all(
    ["openai", "eventsource-parser", "@ai-sdk/provider-utils"].map(async (name) => {
      const path = here(`../node_modules/${name}/package.json`);
      return [name, JSON.parse(await readFile(path, "utf8")).version];
    }),
  ),
);
const machine = `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`;
const result = { machine, versions, rounds: ROUNDS };
console.log(
  `Machine: ${machine}. Peers: ${Object.entries(versions)
    .map((pair) => pair.join(" "))
    .join(", ")}.`,
);
console.log("`openai` and `ai` give whole chunks; where ours gives text, it does not build them.");
result.node = await inNode();
table("Node", result.node);
result.chromium = await inChromium();
table("Chromium", result.chromium);
result.sizes = await sizes();
result.coldStarts = await coldStarts();
console.log(
  "\n### A page loads, and asks\n\n| | gzip, kB | from the import to the first request, ms |\n|---|---:|---:|",
);
for (const name of Object.keys(result.sizes))
  console.log(
    `| ${name} | ${(result.sizes[name] / 1000).toFixed(1)} | ${result.coldStarts[name].toFixed(1)} |`,
  );
await writeFile(resultPath, JSON.stringify(result, null, 2));
