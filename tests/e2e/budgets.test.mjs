// What a request may cost where that does not depend on the machine: questions to objects, crossings between JavaScript
// and wasm, copies of the body. A budget is what was needed when it was set; who needs more says why.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { COUNTING } from "./counting.mjs";
import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";

const CROSSINGS_PER_REQUEST = 78;
const CROSSINGS_PER_STREAM = 93;
const CROSSINGS_PER_CHUNK = 3;

describe("a request under a lease", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({
      ...COUNTING,
      settings: { ADMISSION_LEASE_MS: "60000", RATE_LIMIT_RPM: "100000", RATE_LIMIT_TPM: "100000000" },
    });
    caller = await scene.signIn();
    // The first ones ask for the lease, and for as much as was spent of late.
    for (let at = 0; at < 100; at += 1) await plain();
    await stream(1);
  });
  after(() => scene?.close());

  const counts = async () => (await caller.get("/counts")).json;

  async function plain(content = "Hi") {
    const asked = caller.chat({ messages: [{ role: "user", content }] });
    const exchange = await scene.upstream.next();
    exchange.reply(completion());
    assert.equal((await asked).status, 200);
  }

  async function stream(chunks) {
    const read = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    let sent = "";
    for (let at = 0; at < chunks; at += 1) {
      await exchange.send(event({ content: `word ${at}` }));
      sent += event({ content: `word ${at}` });
      // One at a time, or several would arrive as one.
      await read.until(sent);
    }
    exchange.end(DONE);
    await read.whole();
  }

  test("asks no object anything", async () => {
    await counts();
    for (let at = 0; at < 10; at += 1) await plain();
    await stream(5);
    assert.equal((await counts()).objectCalls, 0);
  });

  test("crosses between JavaScript and wasm no more often than it must", async () => {
    await counts();
    for (let at = 0; at < 10; at += 1) await plain();
    const { crossings } = await counts();
    assert.ok(crossings > 0 && crossings / 10 <= CROSSINGS_PER_REQUEST, `${crossings / 10} for a request`);
  });

  test("of a stream crosses a few times more for each chunk", async () => {
    await counts();
    await stream(10);
    const { crossings: few } = await counts();
    await stream(110);
    const { crossings: many } = await counts();
    const each = (many - few) / 100;
    assert.ok(each > 0 && each <= CROSSINGS_PER_CHUNK, `${each} for a chunk`);
    const rest = few - 10 * each;
    assert.ok(rest <= CROSSINGS_PER_STREAM, `${rest} for a stream besides its chunks`);
  });

  test("copies a large body once, into wasm, and never back", async () => {
    await counts();
    const content = "x".repeat(1_000_000);
    await plain(content);
    const { copiedBytes } = await counts();
    assert.ok(copiedBytes >= content.length && copiedBytes < 1.01 * content.length, `${copiedBytes} bytes`);
  });
});
