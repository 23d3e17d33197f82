// Which backend gets a request, when a request moves to another one, and when a backend is left in peace.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { completion, DONE, event, startUpstream } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const MODEL = "m";
const models = { [MODEL]: { capabilities: { chat: true, embeddings: true, streaming: true } } };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let scene, upstreams, caller;
/** An edge before several backends that have one model. */
async function open(count, settings = {}, kind = "openai") {
  upstreams = await Promise.all(
    Array.from({ length: count }, () => startUpstream({ kind, models: [MODEL] })),
  );
  scene = await openScene({
    settings: { CATALOG_TTL_MS: "60000", ...settings },
    backends: upstreams.map(({ url }, index) => ({ id: `b${index}`, provider: kind, url, models })),
  });
  caller = await scene.signIn();
}
afterEach(async () => {
  await scene.close();
  for (const upstream of upstreams) await upstream.close();
});

/** Each backend answers by its script from now on; gives how often each was asked. */
function script(...scripts) {
  const counts = upstreams.map(() => 0);
  for (const [index, upstream] of upstreams.entries()) {
    upstream.always((exchange) => {
      counts[index] += 1;
      scripts[index](exchange);
    });
  }
  return counts;
}

const good = (exchange) =>
  exchange.json.stream
    ? exchange.sendHead().end(event({ content: "a" }, "stop") + DONE)
    : exchange.reply(completion("good"));
const refusing =
  (status, headers = {}) =>
  (exchange) =>
    exchange.reply({ error: { message: "m" } }, status, headers);
const chat = (text = "Hello", more = {}) =>
  caller.chat({ model: MODEL, messages: [{ role: "user", content: text }], ...more });
const embed = () => caller.post("/v1/embeddings", { model: MODEL, input: "a" });
const embedding = (exchange) => exchange.reply({ object: "list", data: [], usage: { total_tokens: 1 } });

describe("a conversation", () => {
  test("stays with one backend, and conversations spread", async () => {
    await open(3);
    const homes = [];
    const counts = script(...upstreams.map((_, index) => (exchange) => (homes.push(index), good(exchange))));
    for (let at = 0; at < 30; at += 1) {
      const messages = [
        { role: "system", content: "Be brief." },
        { role: "user", content: `Question ${at}` },
      ];
      for (let turn = 0; turn < 3; turn += 1) {
        assert.equal((await caller.chat({ model: MODEL, messages })).status, 200);
        messages.push({ role: "assistant", content: "a" }, { role: "user", content: "Go on." });
      }
      assert.equal(new Set(homes.slice(-3)).size, 1, `conversation ${at}`);
    }
    assert.ok(
      counts.every((count) => count >= 9),
      `all have some: ${counts}`,
    );
  });

  test("goes elsewhere when its backend has more than its share under way", async () => {
    await open(2);
    const held = [[], []];
    script(...held.map((list) => (exchange) => list.push(exchange)));
    const answers = [];
    for (let at = 1; at <= 12; at += 1) {
      answers.push(chat());
      await eventually(3000, () => held.flat().length === at, "a backend has it");
    }
    const [few, many] = held.map((list) => list.length).sort((one, other) => one - other);
    assert.ok(few >= 3 && many <= 9, `${few}, ${many}: at most 5/4 of a half, and one`);
    for (const exchange of held.flat()) good(exchange);
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
  });

  test("of another user may be anywhere", async () => {
    await open(2, { SERVICE_TOKEN: "service-token-of-this-suite-1234567890" });
    const homes = new Map();
    script(...upstreams.map((_, index) => (exchange) => (homes.set(who, index), good(exchange))));
    const operator = scene.anonymous.as("service-token-of-this-suite-1234567890");
    let who;
    for (who = 0; who < 12; who += 1) {
      const email = `user${who}@example.com`;
      const password = "a password of twelve";
      const made = await operator.post("/v1/auth/admin/users", { email, password });
      assert.equal(made.status, 201, made.text);
      const { json } = await scene.anonymous.post("/v1/auth/login", { email, password });
      const answer = await scene.anonymous
        .as(json.access_token)
        .chat({ model: MODEL, messages: [{ role: "user", content: "Hello" }] });
      assert.equal(answer.status, 200, answer.text);
    }
    assert.equal(
      new Set(homes.values()).size,
      2,
      "the same words of twelve users are not all at one backend",
    );
  });
});

test("a backend's own word on its queue counts", async () => {
  await open(2, { CATALOG_TTL_MS: "50" }, "vllm");
  upstreams[0].metrics = "vllm:num_requests_running{} 4.0\nvllm:num_requests_waiting{} 6.0\n";
  const counts = script(embedding, embedding);
  await caller.get("/v1/models");
  for (let at = 0; at < 6; at += 1) {
    assert.equal((await embed()).status, 200);
    await pause(30);
  }
  assert.deepEqual(counts, [0, 6], "ten of others are under way at the first");
});

describe("a request moves to another backend", () => {
  for (const status of [429, 503, 401]) {
    for (const stream of [false, true]) {
      test(`when the first one says ${status} (${stream ? "stream" : "plain"})`, async () => {
        await open(2);
        const counts = script(refusing(status), good);
        for (let at = 0; at < 4; at += 1) {
          const answer = await chat(`Question ${at}`, { stream });
          assert.equal(answer.status, 200, answer.text);
        }
        assert.equal(counts[1], 4);
      });
    }
  }

  test("and when all refuse, the last one's answer is the caller's", async () => {
    await open(2);
    script(refusing(429, { "retry-after": "7" }), refusing(429, { "retry-after": "7" }));
    const answer = await chat();
    assertFailure(answer, 429, "rate_limited", "rate_limit_error");
    assert.equal(answer.headers.get("retry-after"), "7");
  });

  for (const stream of [false, true]) {
    test(`once, when the connection breaks before anything came (${stream ? "stream" : "plain"})`, async () => {
      await open(3);
      const counts = script(...upstreams.map(() => (exchange) => exchange.drop()));
      const answer = await chat("Hello", { stream });
      assertFailure(answer, 502, "upstream_error");
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        2,
        `it may have been accepted twice, not more: ${counts}`,
      );
    });
  }

  for (const stream of [false, true]) {
    test(`or is sent again to the only one, when that broke the connection at once (${stream ? "stream" : "plain"})`, async () => {
      await open(1);
      let count = 0;
      script((exchange) => ((count += 1) === 1 ? exchange.drop() : good(exchange)));
      const answer = await chat("Hello", { stream });
      assert.equal(answer.status, 200, answer.text);
      count = 0;
      script(async (exchange) => {
        count += 1;
        await pause(count === 1 ? 700 : 0);
        exchange.drop();
      });
      assertFailure(await chat("Hello", { stream }), 502, "upstream_error");
      assert.equal(count, 1, "not after a while: it may have worked on it");
    });
  }

  test("not when it is the caller's fault, or the backend looked at it", async () => {
    await open(2, { BREAKER_FAILURES: "0" });
    for (const status of [400, 404, 409, 413, 422, 500, 502, 504]) {
      const counts = script(refusing(status), refusing(status));
      await chat();
      assert.equal(counts[0] + counts[1], 1, `${status}`);
    }
  });

  for (const attempts of [1, 2, 3]) {
    test(`BACKEND_ATTEMPTS=${attempts} times in all`, async () => {
      await open(4, { BACKEND_ATTEMPTS: String(attempts) });
      const counts = script(...upstreams.map(() => refusing(503)));
      const answer = await chat();
      assertFailure(answer, 503, "no_backend_available");
      assert.equal(answer.headers.get("x-attempt-count"), String(attempts), "the caller is told");
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        attempts,
      );
    });
  }

  test("RETRY_BURST times, and once more for five requests", async () => {
    await open(2, { RETRY_BURST: "2", BREAKER_FAILURES: "0", BACKEND_ATTEMPTS: "2" });
    const counts = script(refusing(503), refusing(503));
    const asked = () => counts[0] + counts[1];
    const each = [];
    for (let at = 0; at < 8; at += 1) {
      const before = asked();
      await embed();
      each.push(asked() - before);
    }
    assert.deepEqual(each.slice(0, 3), [2, 2, 1], "two at once, then none");
    assert.ok(each.slice(3).includes(2), `earned: ${each}`);
  });
});

describe("a backend that fails", () => {
  for (const failures of [2, 3]) {
    test(`BREAKER_FAILURES=${failures} times in a row is left in peace`, async () => {
      await open(1, { BREAKER_FAILURES: String(failures), BREAKER_OPEN_MS: "60000" });
      const counts = script(refusing(500));
      for (let at = 0; at < failures; at += 1) assertFailure(await chat(), 502, "upstream_error");
      const answer = await chat();
      assertFailure(answer, 503, "no_backend_available");
      const wait = Number(answer.headers.get("retry-after"));
      assert.ok(wait > 50 && wait <= 60, `${wait}`);
      assert.deepEqual(counts, [failures]);
      const [{ status }] = (await caller.get("/v1/backends/health")).json.backends;
      assert.equal(status, "degraded");
    });
  }

  test("is tried again after BREAKER_OPEN_MS with one request, and that decides", async () => {
    await open(1, { BREAKER_FAILURES: "1", BREAKER_OPEN_MS: "300" });
    let counts = script(refusing(500));
    await chat();
    await pause(350);
    const held = [];
    counts = script((exchange) => held.push(exchange));
    const trial = chat();
    await eventually(3000, () => held.length === 1, "the trial is there");
    assertFailure(await chat(), 503, "no_backend_available");
    refusing(500)(held[0]);
    assertFailure(await trial, 502, "upstream_error");
    await pause(350);
    assertFailure(await chat(), 503, "no_backend_available");
    assert.deepEqual(counts, [1], "twice as long");
    await pause(350);
    counts = script(good);
    assert.equal((await chat()).status, 200);
    assert.equal((await chat()).status, 200);
    const [{ status }] = (await caller.get("/v1/backends/health")).json.backends;
    assert.equal(status, "up");
  });

  test("while another one is well: nobody notices", async () => {
    await open(2, { BREAKER_FAILURES: "3", BREAKER_OPEN_MS: "60000" });
    const counts = script(refusing(503), good);
    for (let at = 0; at < 30; at += 1) assert.equal((await chat(`${at}`)).status, 200);
    assert.equal(counts[0], 3);
  });

  test("in the middle of every stream is left in peace too", async () => {
    await open(1, { BREAKER_FAILURES: "3", BREAKER_OPEN_MS: "60000" });
    const counts = script(async (exchange) => {
      await exchange.sendHead().send(event({ content: "a" }));
      exchange.drop();
    });
    for (let at = 0; at < 3; at += 1)
      assert.match((await chat("Hello", { stream: true })).text, /"upstream_error"/);
    assertFailure(await chat("Hello", { stream: true }), 503, "no_backend_available");
    assert.deepEqual(counts, [3]);
  });

  test("with a drained one beside it keeps its own word to the caller", async () => {
    await open(2);
    await scene.stop();
    const backends = JSON.parse(scene.settings.BACKENDS);
    await scene.start({ BACKENDS: JSON.stringify([backends[0], { ...backends[1], weight: 0 }]) });
    caller = await scene.signIn();
    const counts = script(refusing(429, { "retry-after": "7" }), good);
    const answer = await chat();
    assertFailure(answer, 429, "rate_limited", "rate_limit_error");
    assert.equal(answer.headers.get("retry-after"), "7");
    assert.deepEqual(counts, [1, 0]);
  });

  test("only for one caller's requests (4xx) is not failing", async () => {
    await open(1, { BREAKER_FAILURES: "2" });
    const counts = script(refusing(400));
    for (let at = 0; at < 6; at += 1) assertFailure(await chat(), 400, "bad_request");
    assert.deepEqual(counts, [6]);
  });
});

const PATIENCE = { CONNECT_TIMEOUT_MS: "300", PROBE_TIMEOUT_MS: "300" };

describe("a backend that stands still, as a stopped process does,", () => {
  for (const stream of [false, true]) {
    test(`loses its requests to another one (${stream ? "stream" : "plain"})`, async () => {
      await open(2, PATIENCE);
      await caller.get("/v1/models");
      upstreams[0].discovery = "hang";
      const counts = script(() => {}, good);
      // More conversations than one, that the first backend is some's home.
      const began = performance.now();
      const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => chat(`${at}`, { stream })));
      for (const answer of answers) assert.equal(answer.status, 200, answer.text);
      assert.ok(counts[0] > 0 && counts[1] === 8, `${counts}`);
      assert.ok(performance.now() - began < 5000);
      const later = await Promise.all(Array.from({ length: 8 }, (_, at) => chat(`${at}`)));
      for (const answer of later) assert.equal(answer.status, 200);
      assert.equal(counts[1], 16, "and gets no more");
      const { json } = await caller.get("/v1/capabilities");
      assert.deepEqual(
        json.data.map(({ status }) => status),
        ["down", "up"],
      );
    });
  }

  test("ends its streams in an error event long before STALL_TIMEOUT_MS", async () => {
    await open(1, PATIENCE);
    const stream = await caller.stream({ model: MODEL });
    const exchange = await upstreams[0].next();
    await exchange.sendHead().send(event({ content: "a" }));
    await stream.until('"a"');
    upstreams[0].discovery = "hang";
    const text = (await stream.whole(5000)).toString();
    assert.match(text, /data: \{"error":\{[^\n]*"upstream_error"[^\n]*\n\n$/);
    assert.ok(!text.includes("[DONE]"));
    await exchange.closed;
  });

  test("loses a stream to another one even after heartbeats have gone out", async () => {
    await open(2, { ...PATIENCE, HEARTBEAT_MS: "100" });
    await caller.get("/v1/models");
    for (const upstream of upstreams) upstream.always(() => {});
    const stream = await caller.stream({ model: MODEL });
    await stream.until(": keep-alive");
    const held = [];
    for (const upstream of upstreams) upstream.always((exchange) => held.push({ upstream, exchange }));
    // Whichever has it: both stand still, one of them lives again before it is asked.
    for (const upstream of upstreams) upstream.discovery = "hang";
    await eventually(
      4000,
      () => {
        if (held.length === 0) return false;
        held[0].upstream.discovery = "answer";
        return true;
      },
      "the other one is asked",
    );
    good(held[0].exchange);
    const text = (await stream.whole()).toString();
    assert.ok(text.endsWith(DONE) && text.includes('"a"'), text);
  });
});

test("a backend that is going finishes its streams and gets nothing new", async () => {
  await open(2, { ...PATIENCE, CATALOG_TTL_MS: "100" });
  const streams = [];
  const held = [];
  script(...upstreams.map((upstream) => (exchange) => held.push({ upstream, exchange })));
  for (let at = 0; at < 8; at += 1) {
    streams.push(await caller.stream({ model: MODEL, messages: [{ role: "user", content: `${at}` }] }));
    await eventually(3000, () => held.length === at + 1, "a backend has it");
  }
  const first = held.filter(({ upstream }) => upstream === upstreams[0]);
  assert.ok(first.length > 0);
  for (const { exchange } of held) await exchange.sendHead().send(event({ content: "a" }));
  upstreams[0].discovery = "refuse";
  await eventually(
    5000,
    async () => (await caller.get("/v1/backends/health")).json.backends[0].status === "down",
    "the edge knows",
  );
  const counts = script(good, good);
  for (let at = 0; at < 6; at += 1) assert.equal((await chat(`later ${at}`)).status, 200);
  assert.deepEqual(counts, [0, 6]);
  // Long enough that somebody has wondered whether it lives.
  await pause(700);
  for (const { exchange } of held) exchange.end(event({ content: "b" }, "stop") + DONE);
  for (const stream of streams) assert.ok((await stream.whole()).toString().endsWith(DONE));
});

describe("a backend that only has too much to do", () => {
  test("keeps its requests: it answers when it is asked whether it lives", async () => {
    await open(2, PATIENCE);
    const counts = script(
      ...upstreams.map(() => async (exchange) => {
        await pause(1500);
        good(exchange);
      }),
    );
    assert.equal((await chat()).status, 200);
    assert.equal(counts[0] + counts[1], 1);
  });

  const gauge = (running, tokens) =>
    `vllm:num_requests_running{} ${running}\nvllm:generation_tokens_total{} ${tokens}\n`;

  test("is told from a vLLM that hangs by whether it gets anywhere", async () => {
    await open(1, { ...PATIENCE, HUNG_TIMEOUT_MS: "1000" }, "vllm");
    let tokens = 0;
    const timer = setInterval(() => (upstreams[0].metrics = gauge(4, (tokens += 1))), 50);
    const counts = script(async (exchange) => {
      await pause(2500);
      good(exchange);
    });
    assert.equal((await chat()).status, 200, "2.5 s without a byte, but it gets somewhere");
    clearInterval(timer);
    script(() => {});
    const began = performance.now();
    assertFailure(await chat(), 503, "no_backend_available");
    assert.ok(performance.now() - began < 6000, "it has work, and gets nowhere with it");
    assert.deepEqual(counts, [1]);
  });
});

describe("a stream", () => {
  test("that brings comments and no event ends after PROGRESS_TIMEOUT_MS", async () => {
    await open(1, { PROGRESS_TIMEOUT_MS: "700", STALL_TIMEOUT_MS: "60000" });
    const stream = await caller.stream({ model: MODEL });
    const exchange = (await upstreams[0].next()).sendHead();
    const began = performance.now();
    const timer = setInterval(() => exchange.send(": thinking\n\n"), 100);
    const text = (await stream.whole(5000)).toString();
    clearInterval(timer);
    assert.match(text, /"upstream_timeout"/);
    assert.ok(performance.now() - began >= 690, "not before");
  });

  test("that brings events goes on beyond it", async () => {
    await open(1, { PROGRESS_TIMEOUT_MS: "400", STALL_TIMEOUT_MS: "400" });
    const stream = await caller.stream({ model: MODEL });
    const exchange = (await upstreams[0].next()).sendHead();
    for (let at = 0; at < 8; at += 1) {
      await pause(150);
      await exchange.send(event({ content: "a" }));
    }
    exchange.end(DONE);
    assert.ok((await stream.whole()).toString().endsWith(DONE));
  });

  test("ends after TOTAL_TIMEOUT_MS, whatever it brings", async () => {
    await open(1, { TOTAL_TIMEOUT_MS: "800" });
    const stream = await caller.stream({ model: MODEL });
    const exchange = (await upstreams[0].next()).sendHead();
    const timer = setInterval(() => exchange.send(event({ content: "a" })), 50);
    const text = (await stream.whole(5000)).toString();
    clearInterval(timer);
    assert.match(text, /"upstream_timeout"[^\n]*\n\n$/);
    await exchange.closed;
    assert.equal((await caller.get("/v1/backends/health")).json.backends[0].status, "up");
  });
});

test("a plain answer may take TOTAL_TIMEOUT_MS, other backends included", async () => {
  await open(2, { TOTAL_TIMEOUT_MS: "800" });
  script(
    ...upstreams.map(() => async (exchange) => {
      await pause(500);
      refusing(503)(exchange);
    }),
  );
  const began = performance.now();
  assertFailure(await chat(), 504, "upstream_timeout");
  assert.ok(performance.now() - began < 3000);
});
