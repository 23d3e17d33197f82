// The edge beside a worker that only forwards, Portkey's gateway and LiteLLM's proxy, all in front of one upstream.
// node run.mjs LOAD RESULT.json ROUNDS SECONDS PARTS
//
// In each round all take turns, so that a busy machine is unfair to all alike; a figure is the median of its rounds, and
// a ratio that of two medians.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { versions } from "../../scripts/versions.mjs";
import { machine, median } from "../figures.mjs";
import { startLitellm, startOurs, startPortkey, startUpstream, startWorker } from "./contenders.mjs";
import { measure, plainBody, streamBody } from "./measure.mjs";

const [load, resultPath, rounds, seconds, parts] = process.argv.slice(2);
const ROUNDS = Number(rounds);
const SECONDS = Number(seconds);
const WARM_UP_SECONDS = 0.7;
const CHUNKS = 200;

const folder = await mkdtemp(join(tmpdir(), "bench-edge-"));
const upstream = await startUpstream(load);
const context = { folder, upstreams: [upstream.url] };
const contenders = [];
for (const [name, start] of [
  ["forwarding only", (context) => startWorker("forward.js", context)],
  ["the same calls, nothing decided", (context) => startWorker("floor.js", context)],
  ["each chunk through JavaScript", (context) => startWorker("pump.js", context)],
  ["co-mind edge, JWT", startOurs],
  ["Portkey on Node", startPortkey],
  ["LiteLLM", startLitellm],
]) {
  process.stderr.write(`starting ${name}\n`);
  contenders.push({ ...(await start(context)), name });
}
const [forward, floor, pump, ours, portkey, litellm] = contenders;
const oursByPat = { ...ours, name: "co-mind edge, token", headers: ours.patHeaders };
const direct = {
  name: "no gateway",
  url: `${upstream.url}/v1/chat/completions`,
  headers: {},
  pid: process.pid,
};

const results = [];
/** Takes one figure of each in turn, round after round. */
async function compare(part, mode, connections, body, who) {
  const taken = new Map(who.map((contender) => [contender, []]));
  for (const contender of who) await measure(load, mode, contender, connections, body, WARM_UP_SECONDS);
  for (let round = 0; round < ROUNDS; round += 1) {
    process.stderr.write(`${part}, ${connections} connections: round ${round + 1} of ${ROUNDS}\n`);
    for (const [contender, figures] of taken)
      figures.push(await measure(load, mode, contender, connections, body, SECONDS));
  }
  for (const [{ name }, figures] of taken) {
    const of = (pick) => median(figures.map(pick));
    const rates = figures.map(({ perSecond }) => perSecond);
    results.push({
      part,
      connections,
      name,
      perSecond: median(rates),
      wholeUs: of((figure) => figure.wholeUs.p50),
      wholeP99Us: of((figure) => figure.wholeUs.p99),
      firstUs: of((figure) => figure.firstUs.p50),
      delayUs: mode === "read" ? of((figure) => figure.delayUs.p50) : null,
      delayP99Us: mode === "read" ? of((figure) => figure.delayUs.p99) : null,
      cpuMsPerRequest: name === direct.name ? null : of((figure) => figure.cpuMsPerRequest),
      spread: Math.max(...rates) / Math.min(...rates),
    });
  }
}

try {
  if (parts.includes("plain")) {
    const who = [direct, forward, floor, ours, oursByPat, portkey, litellm];
    for (const connections of [1, 16, 128]) await compare("plain", "ask", connections, plainBody, who);
  }
  if (parts.includes("stream")) {
    const who = [direct, forward, pump, ours, portkey, litellm];
    for (const connections of [1, 16, 128])
      await compare(`${CHUNKS} chunks at once`, "read", connections, streamBody(CHUNKS), who);
    for (const connections of [1, 16])
      await compare("40 chunks, one in 20 ms", "read", connections, streamBody(40, 20_000), who);
  }
} finally {
  for (const { stop } of contenders) await stop();
  upstream.stop();
  await rm(folder, { recursive: true, force: true });
}

const head = { machine, rounds: ROUNDS, seconds: SECONDS, versions };
await writeFile(resultPath, `${JSON.stringify({ ...head, results }, null, 2)}\n`);
print();

function print() {
  console.log(`${machine}; median of ${ROUNDS} rounds of ${SECONDS} s\n`);
  const groups = Map.groupBy(results, ({ part, connections }) => `${part}, ${connections} connections`);
  for (const [title, rows] of groups) {
    console.log(`### ${title}\n`);
    printRates(rows);
    console.log();
  }
}

function printRates(rows) {
  const of = ({ name }) => rows.find((row) => row.name === name);
  const ms = (us) => (us === null ? "" : `${(us / 1000).toFixed(2)} ms`);
  const added = (row, key) => (row.name === direct.name ? "" : ms(row[key] - of(direct)[key]));
  console.log(
    "| | requests/s | of forwarding | added p50 | added p99 | first byte, added | chunk late p50 | p99 | CPU a request |",
  );
  console.log("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
  for (const row of rows) {
    const cells = [
      row.name,
      Math.round(row.perSecond),
      (row.perSecond / of(forward).perSecond).toFixed(2),
      added(row, "wholeUs"),
      added(row, "wholeP99Us"),
      added(row, "firstUs"),
      ms(row.delayUs),
      ms(row.delayP99Us),
      row.cpuMsPerRequest === null ? "" : `${row.cpuMsPerRequest.toFixed(3)} ms`,
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
