// How answers end: when the backend does not know that it is over, and what it says at last.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";
import { within } from "./within.mjs";

describe("an answer", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { STALL_TIMEOUT_MS: "700", FIRST_BYTE_TIMEOUT_MS: "5000" } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  test("ends soon after [DONE], though the backend keeps the connection open", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    exchange.send(event({ role: "assistant", content: "Paris" }) + event({}, "stop") + DONE);
    const start = performance.now();
    const text = String(await within(3000, stream.whole(), "the stream ends"));
    assert.ok(text.endsWith(DONE), text);
    assert.ok(performance.now() - start < 2500);
    await within(2000, exchange.closed, "the backend's connection ends");
  });

  test("passes no [DONE] behind the backend's own error event", async () => {
    scene.upstream.always((exchange) =>
      exchange
        .sendHead()
        .end(event({ content: "Pa" }) + 'data: {"error":{"message":"out of memory","code":500}}\n\n' + DONE),
    );
    const text = String(await (await caller.stream()).whole());
    assert.equal(text.match(/"error"/g).length, 1);
    assert.doesNotMatch(text, /\[DONE\]/);
  });

  test("with an odd usage passes as it is", async () => {
    for (const usage of [{ completion_tokens: null }, [], { total_tokens: 1.5 }, "none"]) {
      const body = completion("Paris", { usage });
      scene.upstream.always((exchange) => exchange.reply(body));
      const { status, json } = await caller.chat();
      assert.equal(status, 200);
      assert.deepEqual(json.usage, usage);
    }
  });

  test("that comes slowly but surely may take longer than STALL_TIMEOUT_MS", async () => {
    const sent = JSON.stringify(completion("Paris"));
    scene.upstream.always(async (exchange) => {
      exchange.sendHead(200, { "content-type": "application/json", "content-length": sent.length });
      const step = Math.ceil(sent.length / 5);
      for (let at = 0; at < sent.length; at += step) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        exchange.send(sent.slice(at, at + step));
      }
      exchange.end();
    });
    const { status, text } = await caller.chat();
    assert.equal(status, 200, text);
    assert.equal(text, sent);
  });
});
