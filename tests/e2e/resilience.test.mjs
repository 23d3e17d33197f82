// What an operator fears: the disk fills, the clock jumps, names do not resolve, clients crawl, many wait at once, bodies
// pile up, the program itself falls over. Each is done to a real edge, and each time: what was acknowledged is there,
// who asks gets an answer or a clean failure, and afterwards it works by itself.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import net from "node:net";
import { describe, test } from "node:test";
import { promisify } from "node:util";

import { assertFailure, openScene } from "./scene.mjs";
import { completion, DONE, event, startUpstream } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const run = promisify(execFile);
const makeToken = (caller, name) => caller.post("/v1/api-tokens", { name, scopes: ["models:read"] });

test("a full disk: writes are refused and not half done, and go on when there is room", async (t) => {
  // A write that would make a file longer than allowed is an error, as on a full disk, and no signal.
  const through = ["bash", "-c", `trap '' XFSZ; exec "$@"`, "-"];
  const scene = await openScene({
    through,
    settings: { ADMISSION_LEASE_MS: "0", RATE_LIMIT_RPM: "1000000" },
  });
  t.after(() => scene.close());
  const allow = (bytes) => run("prlimit", ["--pid", `${scene.edge.pid}`, `--fsize=${bytes}:`]);
  const caller = await scene.signIn();
  const kept = [];
  for (let at = 0; at < 5; at += 1) {
    const { json } = await makeToken(caller, `before ${at}`);
    kept.push(scene.conceal(json.token));
  }
  await allow(0);
  const refused = [];
  for (let at = 0; at < 5; at += 1) refused.push(await makeToken(caller, `full ${at}`));
  for (const answer of refused) assertFailure(answer, 500, "internal_error", "server_error");
  assert.equal((await scene.anonymous.get("/health")).status, 200, "it is up");
  await allow("unlimited");
  const again = await eventually(
    10_000,
    async () => {
      const answer = await makeToken(caller, "after");
      return answer.status === 201 && answer;
    },
    "there is room again",
  );
  kept.push(scene.conceal(again.json.token));
  const { json: listed } = await caller.get("/v1/api-tokens");
  assert.deepEqual(listed.map(({ name }) => name).sort(), [
    "after",
    "before 0",
    "before 1",
    "before 2",
    "before 3",
    "before 4",
  ]);
  await scene.stop({ abruptly: true });
  await scene.start();
  for (const token of kept) assert.equal((await scene.anonymous.as(token).get("/v1/models")).status, 200);
});

test("a clock that jumps: tokens end by it, and neither leases nor limits lock anybody out", async (t) => {
  const scene = await openScene({
    entries: [["clock.js", "tests/e2e/clock.js"]],
    settings: { RATE_LIMIT_RPM: "30", LOGIN_FREE_FAILURES: "2", LOGIN_MAX_DELAY_SECS: "60" },
  });
  t.after(() => scene.close());
  const HOUR = 3_600_000;
  const jump = (ms) => scene.anonymous.get("/health", { headers: { "x-clock": `${ms}` } });
  scene.upstream.always((exchange) => exchange.reply(completion()));
  const caller = await scene.signIn();
  const { refresh_token } = scene.login;
  const personal = await scene.makeToken(caller, ["models:read", "chat:write"]);
  assert.equal((await caller.chat()).status, 200);

  await jump(2 * HOUR);
  assertFailure(await caller.get("/v1/models"), 401, "token_expired");
  const renewed = await scene.anonymous.post("/v1/auth/refresh", { refresh_token });
  assert.equal(renewed.status, 200, renewed.text);
  for (const token of [renewed.json.access_token, renewed.json.refresh_token]) scene.conceal(token);
  const later = caller.as(renewed.json.access_token);
  assert.equal((await later.chat()).status, 200);
  assert.equal((await personal.chat()).status, 200);

  // Three hours back: what was made an hour from now is good; a lease from then must not hold for ever.
  await jump(-HOUR);
  for (const one of [later, personal]) assert.equal((await one.chat()).status, 200);
  assert.equal((await later.delete(`/v1/api-tokens/${personal.id}`)).status, 204);
  assertFailure(await personal.get("/v1/models"), 401, "token_revoked");
  let limited;
  for (let at = 0; at < 40 && limited?.status !== 429; at += 1) limited = await later.get("/v1/models");
  assertFailure(limited, 429, "rate_limited", "rate_limit_error");
  assert.ok(Number(limited.headers.get("retry-after")) <= 60, limited.headers.get("retry-after"));

  // A year on, and back: failed sign-ins of the future hold nobody back for longer than they may.
  await jump(365 * 24 * HOUR);
  const wrong = { email: scene.settings.ADMIN_EMAIL, password: "wrong" };
  for (let at = 0; at < 4; at += 1) await scene.anonymous.post("/v1/auth/login", wrong);
  await jump(0);
  const held = await scene.anonymous.post("/v1/auth/login", wrong);
  assert.ok(held.status === 401 || Number(held.headers.get("retry-after")) <= 60, held.text);
});

test("a name that does not resolve is a backend that is down, and costs the others nothing", async (t) => {
  const upstream = await startUpstream({ kind: "openai", models: ["m"] });
  upstream.always((exchange) => exchange.reply(completion()));
  const models = { m: {} };
  const scene = await openScene({
    backends: [
      {
        id: "nowhere",
        provider: "openai",
        url: "http://gpu-that-is-not.invalid:8000",
        models: { ...models, lost: {} },
      },
      { id: "here", provider: "openai", url: upstream.url, models },
    ],
  });
  t.after(async () => {
    await scene.close();
    await upstream.close();
  });
  const caller = await scene.signIn();
  for (let at = 0; at < 10; at += 1) assert.equal((await caller.chat({ model: "m" })).status, 200);
  const lost = await caller.chat({ model: "lost" });
  assertFailure(lost, 503, "no_backend_available", "server_error");
  assert.ok(!lost.text.includes(".invalid"), "no address");
  const { backends } = (await caller.get("/v1/backends/health")).json;
  assert.deepEqual(
    backends.map(({ backend, status }) => [backend, status]),
    [
      ["nowhere", "down"],
      ["here", "up"],
    ],
  );
});

test("three hundred clients that crawl keep nobody from an answer", async (t) => {
  const scene = await openScene({});
  scene.upstream.always((exchange) => exchange.reply(completion()));
  const caller = await scene.signIn();
  const { hostname, port } = new URL(scene.url);
  const crawlers = Array.from({ length: 300 }, (_, at) => {
    const socket = net.connect({ host: hostname, port: Number(port) });
    socket.on("error", () => {});
    // A third stops in its headers, a third in its body, a third says nothing.
    if (at % 3 === 0) socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n");
    if (at % 3 === 1)
      socket.write(
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{",
      );
    return socket;
  });
  t.after(async () => {
    for (const socket of crawlers) socket.destroy();
    await scene.close();
  });
  const drip = setInterval(() => crawlers.forEach((socket, at) => at % 3 === 1 && socket.write(" ")), 100);
  for (let at = 0; at < 30; at += 1) assert.equal((await caller.chat()).status, 200);
  clearInterval(drip);
});

test("five hundred streams wait at once, are kept alive, and end whole", async (t) => {
  const COUNT = 500;
  const scene = await openScene({ settings: { HEARTBEAT_MS: "1000" } });
  t.after(() => scene.close());
  const caller = await scene.signIn();
  const waiting = [];
  scene.upstream.always((exchange) => void waiting.push(exchange.sendHead()));
  const streams = await Promise.all(Array.from({ length: COUNT }, () => caller.stream()));
  await eventually(20_000, () => waiting.length === COUNT, "all are at the backend");
  await Promise.all(streams.map((stream) => stream.until(": keep-alive", 20_000)));
  for (const exchange of waiting) exchange.end(event({ content: "a" }) + event({}, "stop") + DONE);
  const texts = await Promise.all(streams.map((stream) => stream.whole()));
  assert.equal(texts.length, COUNT);
  for (const stream of streams) assert.ok(stream.text.endsWith(DONE), stream.text.slice(-100));
});

test("large bodies side by side are answered, and the memory serves the next ones", async (t) => {
  const scene = await openScene({});
  t.after(() => scene.close());
  scene.upstream.always((exchange) => exchange.reply(completion()));
  const caller = await scene.signIn();
  const messages = [{ role: "user", content: "x".repeat(15 << 20) }];
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(Array.from({ length: 6 }, () => caller.chat({ messages })));
    for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  }
});

describe("WebAssembly falls over in the middle of a request", () => {
  for (const [step, when] of [
    [1, "at once"],
    [2, "behind an await"],
  ])
    test(`${when}: everybody gets an answer or an error event, and the next request is served`, async (t) => {
      const scene = await openScene({
        entries: [["trap.js", "tests/e2e/trap.js"]],
        settings: { ALLOWED_ORIGINS: "https://page.example, https://other.example" },
      });
      t.after(() => scene.close());
      const { upstream } = scene;
      const caller = await scene.signIn();
      const kept = await scene.makeToken(caller, ["models:read"]);
      for (let round = 0; round < 3; round += 1) {
        const stream = await caller.stream();
        const streaming = (await upstream.next()).sendHead();
        await streaming.send(event({ content: "a" }));
        await stream.until('"a"');
        const silent = await caller.stream();
        await upstream.next();
        const plain = caller.chat();
        await upstream.next();

        const fallen = await caller.post(
          "/v1/api-tokens",
          { name: `falls ${round}`, scopes: ["models:read"] },
          { headers: { "x-trap": `${step}`, origin: "https://other.example" } },
        );
        assertFailure(fallen, 500, "internal_error", "server_error");
        assert.equal(fallen.headers.get("access-control-allow-origin"), "https://other.example");
        const beside = await plain;
        assert.equal(beside.headers.get("access-control-allow-origin"), null);
        assertFailure(beside, 500, "internal_error", "server_error");
        await streaming.send(event({ content: "b" }));
        await streaming.closed;
        await stream.whole();
        assert.match(stream.text, /data: \{"error":\{.*"code":"internal_error".*\}\}\n\n$/);
        assert.ok(!stream.text.includes("[DONE]"));
        silent.reset();

        assert.equal((await kept.get("/v1/models")).status, 200);
        const { status, text } = await makeToken(caller, `after ${round}`);
        assert.equal(status, 201, text);
      }
      const names = (await caller.get("/v1/api-tokens")).json.map(({ name }) => name);
      assert.ok(!names.some((name) => name.startsWith("falls")), "nothing half done");
      assert.match(scene.edge.log(), /"place":"wasm"/);
    });
});
