// The core beside other crates: `bench-core` times itself natively, and its wasm is timed here, on the same bytes.
// node run.mjs BENCH-CORE FOLDER RESULT.json ROUNDS
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { machine, median } from "../figures.mjs";

const [program, folder, resultPath, roundsText] = process.argv.slice(2);
const ROUNDS = Number(roundsText);
const ROUND_MS = 40;

const jobs = JSON.parse(execFileSync(program, [String(ROUNDS), folder], { encoding: "utf8" }));
const module = new WebAssembly.Module(readFileSync(join(folder, "core.wasm")));

for (const job of jobs) {
  const { exports: wasm } = new WebAssembly.Instance(module);
  const bytes = readFileSync(join(folder, job.file));
  const at = wasm.input(bytes.length);
  new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes);
  // Who does not build for wasm is not there: the native list is longer at its end.
  const contenders = job.native.slice(0, wasm.contenders(job.job));
  job.wasm = contenders.map(({ name, sum }, contender) => {
    assert.equal(wasm.run(job.job, contender, job.piece, 1), sum, `${name} reads something else in wasm`);
    return { name, ns: [] };
  });
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [contender, { ns }] of job.wasm.entries()) {
      const start = performance.now();
      let runs = 0;
      for (; performance.now() - start < ROUND_MS; runs += 1) wasm.run(job.job, contender, job.piece, 1);
      ns.push(((performance.now() - start) * 1e6) / runs);
    }
}

writeFileSync(resultPath, `${JSON.stringify({ machine, rounds: ROUNDS, jobs }, null, 2)}\n`);
console.log(`${machine}; median of ${ROUNDS} rounds; × is against the first line, more is faster\n`);
for (const { title, units, native, wasm } of jobs) {
  console.log(`### ${title}\n\n| | native | × | wasm | × |\n|---|--:|--:|--:|--:|`);
  const cell = (rows, at) => {
    if (!rows[at]) return " | ";
    const ns = median(rows[at].ns);
    const each = ns / units;
    const shown =
      each < 1000
        ? `${each.toFixed(1)} ns`
        : each < 1e6
          ? `${(each / 1e3).toFixed(1)} µs`
          : `${(each / 1e6).toFixed(2)} ms`;
    return `${shown} | ${(median(rows[0].ns) / ns).toFixed(2)}`;
  };
  for (const [at, { name }] of native.entries())
    console.log(`| ${name} | ${cell(native, at)} | ${cell(wasm, at)} |`);
  console.log();
}
