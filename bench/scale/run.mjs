// What a request costs as the edge grows. node run.mjs LOAD RESULT.json ROUNDS SECONDS
//
// Each question is asked of edges of several sizes that run side by side and take turns, round after round; a figure is
// the median of its rounds, a ratio is against the smallest.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startForUsers, startOurs, startUpstream, startWorker } from "../edge/contenders.mjs";
import { measure, plainBody, residentBytes, streamBody } from "../edge/measure.mjs";
import { machine, median } from "../figures.mjs";
import { grow } from "./grow.mjs";

const [load, resultPath, rounds, seconds] = process.argv.slice(2);
const ROUNDS = Number(rounds);
const SECONDS = Number(seconds);
const CONNECTIONS = 16;
const USERS = [10, 10_000, 1_000_000];
const ACTIVE_USERS = 50;
const BACKENDS = [1, 10, 100];
const MODELS = [1, 1000];
const BODY_BYTES = [1_000, 100_000, 4_000_000];
const STREAMS = [100, 1_000, 5_000];
const STREAM_CHUNKS = 8;
const STREAM_PAUSE_US = 1_000_000;

const folder = await mkdtemp(join(tmpdir(), "bench-scale-"));
const results = [];
const open = [];
let serial = 0;

/** Starts something that is stopped with the question it is for. */
async function start(starting) {
  const started = await starting;
  open.push(started);
  return started;
}

async function close() {
  for (const { stop } of open.splice(0)) await stop();
}

const fresh = () => {
  const made = join(folder, String((serial += 1)));
  mkdirSync(made);
  return made;
};

/** Lets all sizes take turns. `sizes` are `{ name, contender, body, of }`: a ratio is against the size called `of`, or the first. */
async function compare(question, sizes) {
  const taken = new Map(sizes.map((size) => [size, []]));
  for (const { contender, body = plainBody } of sizes)
    await measure(load, "ask", contender, CONNECTIONS, body, 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    process.stderr.write(`${question}: round ${round + 1} of ${ROUNDS}\n`);
    for (const [{ contender, body = plainBody }, figures] of taken)
      figures.push(await measure(load, "ask", contender, CONNECTIONS, body, SECONDS));
  }
  const cost = (size) => median(taken.get(size).map((figure) => figure.cpuMsPerRequest));
  const rate = (size) => median(taken.get(size).map((figure) => figure.perSecond));
  for (const size of sizes) {
    const base = sizes.find(({ name }) => name === size.of) ?? sizes[0];
    results.push({
      question,
      name: size.name,
      of: base.name,
      cpuMs: cost(size),
      perSecond: rate(size),
      cpuRatio: cost(size) / cost(base),
      rateRatio: rate(size) / rate(base),
    });
  }
}

async function askUsers() {
  const upstream = await start(startUpstream(load));
  for (const [question, settings] of [
    ["users stored, under a lease", {}],
    ["users stored, the account asked each time", { ADMISSION_LEASE_MS: "0" }],
  ]) {
    const sizes = [];
    for (const users of USERS) {
      const dataFolder = fresh();
      process.stderr.write(`storing ${users} users\n`);
      const beginning = await startOurs({ folder: dataFolder, upstreams: [upstream.url], settings });
      await beginning.stop();
      grow(beginning.dataDir, users);
      const contender = await start(beginning.startAgain());
      sizes.push({ name: users.toLocaleString("en"), contender });
    }
    await compare(question, sizes);
    const tokens = sizes.map((size) => ({
      ...size,
      contender: { ...size.contender, headers: size.contender.patHeaders },
    }));
    await compare(`${question}, by token`, tokens);
    for (const { contender } of sizes) await contender.stop();
  }
  const one = await start(startOurs({ folder: fresh(), upstreams: [upstream.url] }));
  const many = await start(startForUsers(ACTIVE_USERS, { folder: fresh(), upstreams: [upstream.url] }));
  await compare("users calling at the same time", [
    { name: "1", contender: one },
    { name: String(ACTIVE_USERS), contender: many },
  ]);
  await close();
}

async function askBackends() {
  const upstream = await start(startUpstream(load));
  const sizes = [];
  for (const count of BACKENDS) {
    const upstreams = Array.from({ length: count }, () => upstream.url);
    sizes.push({ name: String(count), contender: await start(startOurs({ folder: fresh(), upstreams })) });
  }
  await compare("backends", sizes);
  await close();
}

async function askModels() {
  const sizes = [];
  for (const models of MODELS) {
    const upstream = await start(startUpstream(load, { models }));
    const contender = await start(startOurs({ folder: fresh(), upstreams: [upstream.url] }));
    sizes.push({ name: models.toLocaleString("en"), contender });
  }
  await compare("models in the catalogue", sizes);
  await close();
}

async function askBodies() {
  const upstream = await start(startUpstream(load));
  const settings = { BODY_LIMIT_BYTES: "8388608" };
  const ours = await start(startOurs({ folder: fresh(), upstreams: [upstream.url], settings }));
  const forward = await start(startWorker("forward.js", { folder: fresh(), upstreams: [upstream.url] }));
  const sizes = [];
  for (const bytes of BODY_BYTES) {
    const text = "x".repeat(bytes - plainBody.length);
    const body = plainBody.replace("What is", `${text}What is`);
    const name = `${(bytes / 1000).toLocaleString("en")} kB`;
    sizes.push({
      name: `${name}, forwarding only`,
      contender: forward,
      body,
      of: `${name}, forwarding only`,
    });
    sizes.push({ name, contender: ours, body, of: `${name}, forwarding only` });
  }
  await compare("length of a body", sizes);
  await close();
}

/**
 * Slow streams at once, each count in a fresh process: how many come through whole, what each takes of memory, what a
 * chunk costs, its request included.
 */
async function askStreams() {
  const upstream = await start(startUpstream(load));
  for (const count of STREAMS)
    for (const [name, starting] of [
      ["forwarding only", (context) => startWorker("forward.js", context)],
      ["each chunk through JavaScript", (context) => startWorker("pump.js", context)],
      ["ours", startOurs],
    ]) {
      process.stderr.write(`${count} streams at once: ${name}\n`);
      const contender = await starting({ folder: fresh(), upstreams: [upstream.url] });
      open.push(contender);
      await measure(load, "read", contender, 16, streamBody(20), 1);
      const before = await residentBytes(contender.pid);
      const body = streamBody(STREAM_CHUNKS, STREAM_PAUSE_US);
      const running = measure(load, "read", contender, count, body, 0.5);
      await new Promise((resolve) => setTimeout(resolve, ((STREAM_CHUNKS - 2) * STREAM_PAUSE_US) / 1000));
      const during = await residentBytes(contender.pid);
      const { requests, chunks, cpuMsPerRequest, delayUs } = await running;
      results.push({
        question: "streams at once",
        name: `${count.toLocaleString("en")}, ${name}`,
        lost: count - requests + count * STREAM_CHUNKS - chunks,
        bytesPerStream: count < 1000 ? null : (during - before) / count,
        cpuUsPerChunk: (cpuMsPerRequest * 1000) / STREAM_CHUNKS,
        lateUs: delayUs,
      });
      await contender.stop();
    }
  await close();
}

try {
  await askUsers();
  await askBackends();
  await askModels();
  await askBodies();
  await askStreams();
} finally {
  await close();
  // A million files: rm(1) is many times as fast as Node's.
  await new Promise((resolve) => spawn("rm", ["-rf", folder], { stdio: "inherit" }).once("exit", resolve));
}

await writeFile(
  resultPath,
  `${JSON.stringify({ machine, rounds: ROUNDS, seconds: SECONDS, results }, null, 2)}\n`,
);
console.log(`${machine}; ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${SECONDS} s\n`);
for (const [question, rows] of Map.groupBy(results, (row) => row.question)) {
  console.log(`### ${question}\n`);
  if (rows[0].lost === undefined) {
    console.log("| | CPU a request | × | requests/s | × |\n|---|--:|--:|--:|--:|");
    for (const row of rows)
      console.log(
        `| ${row.name} | ${row.cpuMs.toFixed(3)} ms | ${row.cpuRatio.toFixed(2)} | ${Math.round(row.perSecond)} | ${row.rateRatio.toFixed(2)} |`,
      );
  } else {
    console.log(
      "| | lost | memory for each | CPU a chunk | chunk late p50 | p99 |\n|---|--:|--:|--:|--:|--:|",
    );
    for (const { name, lost, bytesPerStream, cpuUsPerChunk, lateUs } of rows)
      console.log(
        `| ${name} | ${lost} | ${bytesPerStream === null ? "" : `${(bytesPerStream / 1000).toFixed(1)} kB`} | ${cpuUsPerChunk.toFixed(0)} µs | ` +
          `${(lateUs.p50 / 1000).toFixed(2)} ms | ${(lateUs.p99 / 1000).toFixed(2)} ms |`,
      );
  }
  console.log();
}
