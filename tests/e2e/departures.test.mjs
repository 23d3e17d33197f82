// Callers that leave: the request to the backend is closed within a heartbeat, so that its GPU stops.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";
import { within } from "./within.mjs";

const HEARTBEAT = 250;
// The comment after the going is written into a socket that the system still takes; the one after that tells.
const NOTICED = 2 * HEARTBEAT + 500;

describe(`HEARTBEAT_MS=${HEARTBEAT}`, () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { HEARTBEAT_MS: String(HEARTBEAT) } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  const stages = {
    "before the backend's head": async () => {
      const stream = await caller.stream();
      return { stream, exchange: await scene.upstream.next() };
    },
    "before the backend's head, after a heartbeat": async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      await stream.until(": keep-alive\n\n");
      return { stream, exchange };
    },
    "after the head, before the first event": async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await stream.head();
      return { stream, exchange };
    },
    "between events": async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await exchange.send(event({ content: "a" }));
      await stream.until(event({ content: "a" }));
      const typing = setInterval(() => exchange.send(event({ content: "b" })), 20);
      void exchange.closed.then(() => clearInterval(typing));
      await stream.until(event({ content: "b" }));
      return { stream, exchange };
    },
    "while the backend has stalled": async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await exchange.send(event({ content: "a" }));
      await stream.until(": keep-alive\n\n");
      return { stream, exchange };
    },
    "while the backend has stalled inside an event": async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await exchange.send(event({ content: "a" }));
      await stream.until(event({ content: "a" }));
      await exchange.send(event({ content: "b" }).slice(0, 40));
      return { stream, exchange };
    },
  };

  for (const [title, reach] of Object.entries(stages)) {
    for (const [going, how] of [
      ["leave", "FIN"],
      ["reset", "RST"],
    ]) {
      test(`a caller who goes with ${how} ${title}`, async (t) => {
        const { stream, exchange } = await reach();
        const start = performance.now();
        stream[going]();
        const end = await within(NOTICED, exchange.closed, "the request to the backend is closed");
        t.diagnostic(`noticed after ${(end - start).toFixed(0)} ms`);
      });
    }
  }

  test("a caller who goes while much is on its way", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    await stream.head();
    stream.pause();
    let open = true;
    void exchange.closed.then(() => {
      open = false;
    });
    const piece = `data: {"choices":[],"x":"${"x".repeat(60_000)}"}\n\n`;
    void (async () => {
      while (open) await Promise.race([exchange.send(piece), exchange.closed]);
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    stream.reset();
    await within(NOTICED, exchange.closed, "the request to the backend is closed");
  });

  // A FIN shows only when something is written, and a plain answer is written whole: that caller is not noticed.
  test("a caller of a plain answer who goes with RST", async () => {
    const asked = await caller.stream({ stream: false });
    const exchange = await scene.upstream.next();
    asked.reset();
    await within(NOTICED, exchange.closed, "the request to the backend is closed");
  });

  test("a caller who stays is never taken for gone", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    await new Promise((resolve) => setTimeout(resolve, 5 * HEARTBEAT));
    await exchange.send(event({ content: "here" }));
    exchange.end(DONE);
    assert.ok((await stream.whole()).toString().endsWith(event({ content: "here" }) + DONE));
  });

  test("the edge goes on serving afterwards", async () => {
    const answer = caller.chat();
    (await scene.upstream.next()).reply(completion());
    assert.equal((await answer).status, 200);
  });
});

describe("with the ordinary heartbeat", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene();
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  for (const [going, how] of [
    ["leave", "FIN"],
    ["reset", "RST"],
  ]) {
    test(`a caller who goes with ${how} while events come is noticed within a second`, async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await exchange.send(event({ content: "a" }));
      await stream.until(event({ content: "a" }));
      const typing = setInterval(() => exchange.send(event({ content: "b" })), 20);
      void exchange.closed.then(() => clearInterval(typing));
      stream[going]();
      await within(1000, exchange.closed, "the request to the backend is closed");
    });
  }
});
