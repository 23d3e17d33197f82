// What a request has cost: known of every answer, charged once, and shown only to those who asked.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event, startUpstream } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const TOKENS = 20_000;
const usage = (prompt_tokens, completion_tokens) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
});
const chunk = (members) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", ...members })}\n\n`;
const end = (value) => chunk({ choices: [], usage: value });
const word = (content, more = {}) =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }], ...more });

const models = { m: { capabilities: { chat: true, completions: true, streaming: true } } };

/** An edge before one backend of a kind, which charges tokens and gives back at once. */
async function open(kind, settings = {}, more = {}) {
  const upstream = await startUpstream({ kind, models: ["m"] });
  const scene = await openScene({
    settings: { RATE_LIMIT_TPM: String(TOKENS), ADMISSION_LEASE_MS: "0", ...settings },
    backends: [{ id: "b", provider: kind, url: upstream.url, models, ...more }],
  });
  const caller = await scene.signIn();
  /** Tokens that are gone from the allowance; a minute fills it, so a few are back already. */
  const spent = async () =>
    TOKENS - Number((await caller.get("/v1/models")).headers.get("x-ratelimit-remaining-tokens"));
  const close = async () => {
    await scene.close();
    await upstream.close();
  };
  return { upstream, scene, caller, spent, close };
}

/** That so many tokens are gone, but for what a few seconds fill up. */
const isAbout = (actual, expected) => actual <= expected && actual >= expected - TOKENS / 15;

describe("a stream's usage is asked for", () => {
  const cases = [
    ["openai", {}, { include_usage: true }],
    ["ollama", {}, { include_usage: true }],
    ["vllm", {}, { include_usage: true, continuous_usage_stats: true }],
    ["vllm", { include_usage: true }, { include_usage: true, continuous_usage_stats: true }],
    ["openai", { include_usage: false, x: 1 }, { include_usage: true, x: 1 }],
    ["llamacpp", {}, undefined],
  ];
  for (const [kind, given, expected] of cases) {
    test(`of ${kind}, by a caller who said ${JSON.stringify(given)}`, async () => {
      const { upstream, caller, close } = await open(kind);
      const stream = await caller.stream({
        model: "m",
        ...(Object.keys(given).length > 0 && { stream_options: given }),
      });
      const exchange = await upstream.next();
      assert.deepEqual(exchange.json.stream_options, expected);
      assert.deepEqual(exchange.json.messages, [{ role: "user", content: "Hello" }]);
      exchange.sendHead().end(DONE);
      await stream.whole();
      await close();
    });
  }

  test("unless the configuration says that the backend refuses it", async () => {
    const { upstream, caller, close } = await open("openai", {}, { stream_usage: false });
    const stream = await caller.stream({ model: "m" });
    const exchange = await upstream.next();
    assert.equal(exchange.json.stream_options, undefined);
    const sent = word("a") + end(usage(1, 1)) + DONE;
    exchange.sendHead().end(sent);
    assert.equal((await stream.whole()).toString(), sent, "what it says unasked is the caller's");
    await close();
  });

  test("and a plain request is not touched", async () => {
    const { upstream, caller, close } = await open("vllm");
    const answer = caller.chat({ model: "m" });
    const exchange = await upstream.next();
    assert.deepEqual(Object.keys(exchange.json), ["model", "messages"]);
    exchange.reply(completion());
    assert.equal((await answer).status, 200);
    await close();
  });
});

describe("the usage that only the edge asked for", () => {
  const cases = {
    "at the end": ["openai", {}, word("a") + end(usage(3, 4)) + DONE, word("a") + DONE],
    "in each chunk of vLLM": [
      "vllm",
      {},
      word("a", { usage: usage(3, 1) }) + word("b", { usage: usage(3, 2) }) + end(usage(3, 2)) + DONE,
      word("a") + word("b") + DONE,
    ],
    "in each chunk of vLLM, of a caller who wants it at the end": [
      "vllm",
      { stream_options: { include_usage: true } },
      word("a", { usage: usage(3, 1) }) + end(usage(3, 2)) + DONE,
      word("a") + end(usage(3, 2)) + DONE,
    ],
    "as zeros, which is Ollama's way": [
      "ollama",
      { stream_options: { include_usage: true } },
      word("a", { usage: usage(0, 0) }) + end(usage(3, 2)) + DONE,
      word("a") + end(usage(3, 2)) + DONE,
    ],
  };
  for (const [title, [kind, extra, sent, expected]] of Object.entries(cases)) {
    for (const pieces of ["whole", "byte by byte"]) {
      test(`${title} is not passed on (${pieces})`, async () => {
        const { upstream, caller, close } = await open(kind);
        const stream = await caller.stream({ model: "m", ...extra });
        const exchange = await upstream.next();
        exchange.sendHead();
        if (pieces === "whole") await exchange.send(sent);
        else for (const byte of Buffer.from(sent)) await exchange.send(Buffer.of(byte));
        exchange.end();
        assert.equal((await stream.whole()).toString(), expected);
        await close();
      });
    }
  }
});

describe("what is charged", () => {
  const cases = [
    ["openai", "the usage at the end", word("a") + end(usage(3000, 4000)) + DONE, 7000],
    ["vllm", "the last usage", word("a", { usage: usage(3000, 1) }) + end(usage(3000, 4000)) + DONE, 7000],
    [
      "llamacpp",
      "by llama.cpp's timings",
      event({ content: "a" }) +
        chunk({
          choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
          timings: { cache_n: 1000, prompt_n: 2000, predicted_n: 4000 },
        }) +
        DONE,
      7000,
    ],
  ];
  for (const [kind, title, sent, expected] of cases) {
    test(`for a stream of ${kind}: ${title}`, async () => {
      const { upstream, caller, spent, close } = await open(kind);
      const stream = await caller.stream({ model: "m" });
      (await upstream.next()).sendHead().end(sent);
      await stream.whole();
      await eventually(3000, async () => isAbout(await spent(), expected), `${expected} are charged`);
      await close();
    });
  }

  // Some 10,000 tokens by the length of the request, so that what comes back can be told from what fills up.
  const long = { model: "m", messages: [{ role: "user", content: "a".repeat(40_000) }] };

  for (const way of ["leave", "reset"]) {
    for (const [kind, phase, sent, expected] of [
      ["openai", "before anything came", "", 0],
      [
        "vllm",
        "in mid-answer, of which vLLM said what it cost",
        word("a", { usage: usage(1500, 2500) }),
        4000,
      ],
      ["openai", "in mid-answer, of which nobody said what it cost", word("a"), 10_000],
    ]) {
      test(`when the caller goes (${way}) ${phase}: ${expected}`, async () => {
        const { upstream, caller, spent, close } = await open(kind, { HEARTBEAT_MS: "100" });
        const stream = await caller.stream(long);
        const exchange = await upstream.next();
        if (sent) await exchange.sendHead().send(sent);
        await stream.until(sent ? '"a"' : ": keep-alive");
        assert.ok((await spent()) > 8000, "reserved");
        stream[way]();
        await exchange.closed;
        // Whatever the runtime lets us know, the next inference request after three heartbeats settles it.
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const next = caller.chat({ model: "m" });
        (await upstream.next()).reply(completion("a", { usage: usage(0, 0) }));
        assert.equal((await next).status, 200);
        await eventually(
          3000,
          async () => {
            const tokens = await spent();
            return expected === 10_000 ? tokens > 8000 : isAbout(tokens, expected + 30);
          },
          `${expected} are charged`,
        );
        await close();
      });
    }
  }

  test("when a caller with nothing left comes back: what it left behind is settled before it is judged", async () => {
    const { upstream, caller, close } = await open("openai", {
      HEARTBEAT_MS: "100",
      RATE_LIMIT_TPM: "12000",
    });
    const stream = await caller.stream(long);
    const exchange = await upstream.next();
    await stream.until(": keep-alive");
    assert.equal((await caller.chat(long)).status, 429, "all is reserved");
    stream.reset();
    await exchange.closed;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const again = caller.chat(long);
    (await upstream.next()).reply(completion());
    assert.equal((await again).status, 200);
    await close();
  });
});

test("what was charged and what became of requests is counted for a monitor", async () => {
  const SERVICE_TOKEN = "service-token-of-this-suite-1234567890";
  const { upstream, scene, caller, close } = await open("vllm", { SERVICE_TOKEN, BREAKER_FAILURES: "1" });
  const monitor = scene.anonymous.as(SERVICE_TOKEN);
  const value = async (name) => {
    const { status, headers, text } = await monitor.get("/metrics");
    assert.equal(status, 200);
    assert.match(headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    const line = text.split("\n").find((it) => it.startsWith(`${name} `));
    assert.ok(line, `${name} in\n${text}`);
    return Number(line.split(" ")[1]);
  };
  const stream = await caller.stream({ model: "m" });
  const exchange = (await upstream.next()).sendHead();
  await exchange.send(word("a", { usage: usage(3, 1) }));
  await stream.until('"a"');
  assert.equal(await value('comind_backend_requests_under_way{backend="b"}'), 1);
  exchange.end(end(usage(3, 4)) + DONE);
  await stream.whole();
  const plain = caller.chat({ model: "m" });
  (await upstream.next()).reply({ ...completion(), usage: undefined });
  assert.equal((await plain).status, 200);
  await eventually(
    3000,
    async () => (await value('comind_tokens_total{backend="b",source="usage"}')) === 7,
    "7",
  );
  assert.ok((await value('comind_tokens_total{backend="b",source="estimate"}')) > 0);
  assert.equal(await value('comind_backend_requests_total{backend="b",outcome="answered"}'), 2);
  assert.equal(await value('comind_backend_breaker_state{backend="b",state="closed"}'), 1);
  const failing = caller.chat({ model: "m" });
  (await upstream.next()).reply({}, 500);
  assert.equal((await failing).status, 502);
  assert.equal(await value('comind_backend_requests_total{backend="b",outcome="broken"}'), 1);
  assert.equal(await value('comind_backend_breaker_state{backend="b",state="closed"}'), 0);
  assert.equal((await caller.get("/metrics")).status, 401, "for the operator alone");
  await close();
});
