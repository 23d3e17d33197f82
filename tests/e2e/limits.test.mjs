// Limits per caller: request n passes, n + 1 does not, and the answer says when.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const whole = /^\d+$/;

describe("RATE_LIMIT_RPM=5", () => {
  let scene, caller;
  after(() => scene?.close());

  test("lets five requests through and refuses the sixth", async () => {
    scene = await openScene({ settings: { RATE_LIMIT_RPM: "5" } });
    caller = await scene.signIn();
    scene.upstream.always((exchange) => exchange.reply(completion()));
    for (let left = 4; left >= 0; left -= 1) {
      const { status, headers, text } = await caller.chat();
      assert.equal(status, 200, text);
      assert.equal(headers.get("x-ratelimit-limit-requests"), "5");
      assert.equal(headers.get("x-ratelimit-remaining-requests"), String(left));
      assert.ok(headers.get("x-ratelimit-reset-requests"));
    }
    const refused = await caller.chat();
    assertFailure(refused, 429, "rate_limited");
    assert.match(refused.headers.get("retry-after"), whole);
    const seconds = Number(refused.headers.get("retry-after"));
    assert.ok(seconds >= 1 && seconds <= 60, `${seconds} s`);
    assert.equal(refused.headers.get("x-ratelimit-limit-requests"), "5");
    assert.equal(refused.headers.get("x-ratelimit-remaining-requests"), "0");
  });

  test("still answers health, which is nobody's", async () => {
    assert.equal((await scene.anonymous.get("/health")).status, 200);
  });

  test("a refused request never reaches the backend", async () => {
    let reached = 0;
    scene.upstream.always((exchange) => {
      reached += 1;
      exchange.reply(completion());
    });
    assertFailure(await caller.chat(), 429, "rate_limited");
    assert.equal(reached, 0);
  });
});

describe("RATE_LIMIT_RPM=10", () => {
  let scene;
  after(() => scene?.close());

  test("lets ten of forty simultaneous requests through", async () => {
    scene = await openScene({ settings: { RATE_LIMIT_RPM: "10" } });
    const caller = await scene.signIn();
    scene.upstream.always((exchange) => exchange.reply(completion()));
    const answers = await Promise.all(Array.from({ length: 40 }, () => caller.chat()));
    const passed = answers.filter(({ status }) => status === 200).length;
    assert.equal(passed, 10);
    assert.equal(answers.filter(({ status }) => status === 429).length, 30);
  });
});

describe("RATE_LIMIT_TPM=1000", () => {
  const usage = { prompt_tokens: 2000, completion_tokens: 1000, total_tokens: 3000 };
  let scene;
  after(() => scene?.close());

  test("counts what a plain answer says it cost", async () => {
    scene = await openScene({ settings: { RATE_LIMIT_TPM: "1000" } });
    const caller = await scene.signIn();
    scene.upstream.always((exchange) => exchange.reply(completion("Paris", { usage })));
    const first = await caller.chat();
    assert.equal(first.status, 200, first.text);
    assert.equal(first.headers.get("x-ratelimit-limit-tokens"), "1000");
    assert.match(first.headers.get("x-ratelimit-remaining-tokens"), whole);
    assert.ok(first.headers.get("x-ratelimit-reset-tokens"));
    const refused = await eventually(
      3000,
      () => caller.chat().then((answer) => answer.status === 429 && answer),
      "the next request is refused",
    );
    assertFailure(refused, 429, "rate_limited");
    assert.match(refused.headers.get("retry-after"), whole);
    assert.equal(refused.headers.get("x-ratelimit-remaining-tokens"), "0");
    await scene.close();
    scene = null;
  });

  test("counts what a stream says it cost", async () => {
    scene = await openScene({ settings: { RATE_LIMIT_TPM: "1000" } });
    const caller = await scene.signIn();
    const last = `data: ${JSON.stringify({ id: "chatcmpl-abc", object: "chat.completion.chunk", choices: [], usage })}\n\n`;
    scene.upstream.always((exchange) => exchange.sendHead().end(event({ content: "Paris" }) + last + DONE));
    const stream = await caller.stream({ stream_options: { include_usage: true } });
    await stream.whole();
    assert.equal((await stream.head()).status, 200);
    await eventually(
      3000,
      () => caller.chat({ stream: true }).then((answer) => answer.status === 429),
      "the next request is refused",
    );
  });
});

describe("no limit", () => {
  let scene;
  after(() => scene?.close());

  test("is what 0 means", async () => {
    scene = await openScene({ settings: { RATE_LIMIT_RPM: "0", RATE_LIMIT_TPM: "0" } });
    const caller = await scene.signIn();
    for (let index = 0; index < 30; index += 1) assert.equal((await caller.get("/v1/models")).status, 200);
  });
});

test("an answer of ANSWER_LIMIT_BYTES passes, one byte more is 502", async () => {
  const limit = 4000;
  const scene = await openScene({ settings: { ANSWER_LIMIT_BYTES: String(limit) } });
  try {
    const caller = await scene.signIn();
    const frame = JSON.stringify({ object: "chat.completion", padding: "" }).length;
    const answerOf = (bytes) =>
      JSON.stringify({ object: "chat.completion", padding: "x".repeat(bytes - frame) });
    scene.upstream.always((exchange) => exchange.reply(answerOf(limit)));
    const { status, text } = await caller.chat();
    assert.equal(status, 200, text);
    assert.equal(text.length, limit);
    scene.upstream.always((exchange) => exchange.reply(answerOf(limit + 1)));
    assertFailure(await caller.chat(), 502, "upstream_error");
  } finally {
    await scene.close();
  }
});
