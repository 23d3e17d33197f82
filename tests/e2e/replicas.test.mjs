// Three replicas of one model under load, of which one is killed, stopped, slowed down and restored.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openScene } from "./scene.mjs";
import { within } from "./within.mjs";

const REPLICA = fileURLToPath(new URL("replica.mjs", import.meta.url));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Replica {
  async start() {
    this.process = spawn(process.execPath, [REPLICA, String(this.port ?? 0)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    process.once("exit", () => this.process.kill("SIGKILL"));
    const [line] = await within(10_000, once(this.process.stdout, "data"), "the replica listens");
    this.port = Number(line);
    return this;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  answer(how) {
    this.process.stdin.write(`${JSON.stringify(how)}\n`);
  }

  async kill() {
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }
}

let replicas, scene, caller;
before(async () => {
  replicas = await Promise.all([1, 2, 3].map(() => new Replica().start()));
  const models = { m: { capabilities: { chat: true, streaming: true } } };
  scene = await openScene({
    settings: {
      CATALOG_TTL_MS: "500",
      CONNECT_TIMEOUT_MS: "300",
      PROBE_TIMEOUT_MS: "300",
      BREAKER_OPEN_MS: "500",
      HEARTBEAT_MS: "1000",
    },
    backends: replicas.map(({ url }, at) => ({ id: `r${at}`, provider: "openai", url, models })),
  });
  caller = await scene.signIn();
});
after(async () => {
  await scene?.close();
  for (const replica of replicas ?? []) await replica.kill();
});

test("no plain request fails that a healthy one could serve, and no stream ends without [DONE] or an error", async () => {
  const WORKERS = 24;
  const results = [];
  const served = new Map();
  let isOver = false;
  let phase = "all are well";

  async function plain(content) {
    const answer = await caller.chat({ model: "m", messages: [{ role: "user", content }] });
    const backend = answer.headers.get("x-comind-backend");
    return {
      ok: answer.status === 200,
      cut: false,
      backend,
      what: `${answer.status} ${answer.text.slice(0, 200)}`,
    };
  }
  async function stream(content) {
    const connection = await caller.stream({ model: "m", messages: [{ role: "user", content }] });
    const { status, headers } = await connection.head();
    const text = (await connection.whole(20_000)).toString();
    const isWhole = text.endsWith("data: [DONE]\n\n");
    const isCut = /data: \{"error":\{[^\n]*\n\n$/.test(text) && !text.includes("[DONE]");
    return {
      ok: status === 200 && (isWhole || isCut),
      cut: isCut,
      backend: headers.get("x-comind-backend"),
      what: `${status} ${text.slice(-200)}`,
    };
  }
  async function work(worker) {
    for (let turn = 0; !isOver; turn += 1) {
      const began = phase;
      const kind = turn % 2 === 0 ? "plain" : "stream";
      const result = await (kind === "plain" ? plain : stream)(`${worker} ${turn}`).catch((error) => ({
        ok: false,
        what: String(error),
      }));
      results.push({ ...result, kind, phase: began });
      if (result.ok)
        served.set(`${phase} ${result.backend}`, (served.get(`${phase} ${result.backend}`) ?? 0) + 1);
      // Nobody hammers an edge without a break.
      await pause(10);
    }
  }

  const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker));
  const during = async (name, ms) => {
    phase = name;
    await pause(ms);
  };
  await during("all are well", 1500);
  await replicas[0].kill();
  await during("the first is killed", 2500);
  await replicas[0].start();
  await during("the first is back", 2500);
  replicas[1].process.kill("SIGSTOP");
  await during("the second stands still", 4000);
  replicas[1].process.kill("SIGCONT");
  await during("the second goes on", 2500);
  replicas[2].answer({ delayMs: 300 });
  await during("the third is slow", 3000);
  replicas[2].answer({ delayMs: 20 });
  await during("all are well again", 1500);
  isOver = true;
  await Promise.all(workers);

  const wrong = results.filter(({ ok }) => !ok);
  const cut = results.filter((result) => result.cut);
  console.log(
    `# ${results.length} requests, ${wrong.length} wrong, ${cut.length} streams cut with an error event`,
  );
  assert.deepEqual(wrong.slice(0, 5), []);
  assert.ok(results.length > 500, `${results.length} requests are no load`);
  for (const kind of ["plain", "stream"]) assert.ok(results.some((result) => result.kind === kind));
  // Only what was under way at the one that died, or stood still, may be cut.
  assert.ok(cut.length <= WORKERS * 2, `${cut.length} streams were cut`);
  for (const { phase } of cut) assert.match(phase, /well|killed|back|still/);
  // Whoever comes back gets work again, and one that is slow gets less.
  for (const [name, backend] of [
    ["the first is back", "r0"],
    ["the second goes on", "r1"],
    ["all are well again", "r2"],
  ])
    assert.ok((served.get(`${name} ${backend}`) ?? 0) > 0, `${backend} serves when ${name}`);
  const slow = served.get("the third is slow r2") ?? 0;
  const fast = served.get("the third is slow r0") ?? 0;
  assert.ok(slow < fast, `${slow} by the slow one, ${fast} by a fast one`);
});
