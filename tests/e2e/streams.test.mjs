// Streams: every byte as it was sent, when it was sent, and not faster than it is read.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { DONE, event } from "./upstream.mjs";
import { eventually } from "./within.mjs";

describe("bytes", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene();
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  async function opened(extra) {
    const stream = await caller.stream(extra);
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    return { stream, exchange };
  }

  test("of one event arrive before the backend sends the next", async () => {
    const { stream, exchange } = await opened();
    let sent = "";
    for (const word of ["a", "b", "c", "d", "e"]) {
      await exchange.send(event({ content: word }));
      sent += event({ content: word });
      assert.equal(await stream.until(sent), sent);
    }
    exchange.end(DONE);
    assert.equal((await stream.whole()).toString(), sent + DONE);
  });

  test("of an event in pieces arrive with its last byte, before the next event begins", async () => {
    const { stream, exchange } = await opened();
    const whole = event({ content: "whole" });
    await exchange.send(whole.slice(0, 40));
    await exchange.send(whole.slice(40));
    assert.equal(await stream.until(whole), whole);
    exchange.end(DONE);
    assert.equal((await stream.whole()).toString(), whole + DONE);
  });

  const odd = {
    "CRLF line ends": `data: {"choices":[]}\r\n\r\ndata: {"choices":[]}\r\n\r\ndata: [DONE]\r\n\r\n`,
    "lone CR line ends": `data: {"choices":[]}\r\rdata: [DONE]\r\r`,
    "a byte order mark": `\ufeff${event({ content: "a" })}${DONE}`,
    "comments, unknown fields, ids and event names": `: hello\n\nid: 7\nevent: message\nretry: 100\nvendor: x\n${event({ content: "a" })}:\n\n${DONE}`,
    "two events in one piece": event({ content: "a" }) + event({ content: "b" }) + DONE,
    "members that OpenAI does not know": `data: {"choices":[{"index":0,"delta":{"reasoning":"…"},"token_ids":null}],"timings":{"a":1.50}}\n\n${DONE}`,
    "data over several lines": `data: {"choices":\ndata: []}\n\n${DONE}`,
    "no space after the colon": `data:{"choices":[]}\n\ndata:[DONE]\n\n`,
    "something after [DONE]": `${event({ content: "a" })}${DONE}: bye\n\n`,
    "a usage event without choices": `data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n${DONE}`,
  };
  for (const [title, text] of Object.entries(odd)) {
    test(`with ${title} arrive unaltered`, async () => {
      const { stream, exchange } = await opened({ stream_options: { include_usage: true } });
      await exchange.send(text);
      exchange.end();
      assert.equal((await stream.whole()).toString(), text);
    });
  }

  test("of characters split over pieces arrive unaltered, each event with its last byte", async () => {
    const bytes = Buffer.from(event({ content: "Zürich 🗻 東京" }).repeat(2));
    const { stream, exchange } = await opened();
    for (let index = 0; index < bytes.length; index += 1) {
      await exchange.send(bytes.subarray(index, index + 1));
      if (index + 1 === bytes.length / 2) await stream.untilBytes(index + 1);
    }
    await stream.untilBytes(bytes.length);
    exchange.end(DONE);
    assert.ok((await stream.whole()).equals(Buffer.concat([bytes, Buffer.from(DONE)])));
  });

  test("that are not UTF-8 arrive unaltered", async () => {
    const bytes = Buffer.concat([
      Buffer.from(`data: {"choices":[],"x":"`),
      Buffer.from([0xff, 0xc3, 0x28]),
      Buffer.from(`"}\n\n${DONE}`),
    ]);
    const { stream, exchange } = await opened();
    await exchange.send(bytes);
    exchange.end();
    assert.ok((await stream.whole()).equals(bytes));
  });

  test("of many streams at once do not mix", async () => {
    const opened = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => ({
        index,
        stream: await caller.stream({ messages: [{ role: "user", content: `number ${index}` }] }),
      })),
    );
    for (const _ of opened) {
      const exchange = await scene.upstream.next();
      const name = exchange.json.messages[0].content;
      exchange.sendHead();
      for (let count = 0; count < 10; count += 1)
        await exchange.send(event({ content: `${name}, word ${count}` }));
      exchange.end(DONE);
    }
    for (const { index, stream } of opened) {
      const text = (await stream.whole()).toString();
      assert.equal(
        text,
        Array.from({ length: 10 }, (_, count) => event({ content: `number ${index}, word ${count}` })).join(
          "",
        ) + DONE,
      );
    }
  });

  test("are held back when nobody reads, and all arrive in the end", async () => {
    const piece = Buffer.from(
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: randomBytes(32_000).toString("base64") } }] })}\n\n`,
    );
    const much = 64 * 1024 * 1024;
    const { stream, exchange } = await opened();
    await exchange.send(event({ role: "assistant" }));
    await stream.until("assistant");
    stream.pause();

    const before = exchange.taken;
    let sent = 0;
    let running = true;
    const writing = (async () => {
      for (; running && sent < much; sent += piece.length) await exchange.send(piece);
    })();
    // Held back means that for a while nothing more is taken.
    let last = -1;
    let still = 0;
    await eventually(
      20_000,
      async () => {
        const { taken } = exchange;
        still = taken === last ? still + 1 : 0;
        last = taken;
        return still >= 25 || sent >= much;
      },
      "the backend is held back",
    );
    const held = exchange.taken - before;
    assert.ok(
      held < 24 * 1024 * 1024,
      `${(held / 1024 / 1024).toFixed(1)} MiB were taken from the backend while nobody read`,
    );

    running = false;
    stream.resume();
    await writing;
    exchange.end(DONE);
    const bytes = await stream.whole(30_000);
    const first = event({ role: "assistant" }).length;
    assert.equal(bytes.length, first + sent + Buffer.byteLength(DONE));
    assert.ok(bytes.subarray(first, first + piece.length).equals(piece));
    assert.ok(bytes.subarray(first + sent - piece.length, first + sent).equals(piece));
  });
});

test("an event larger than EVENT_LIMIT_BYTES is not held, and arrives unaltered", async (t) => {
  const scene = await openScene({ settings: { EVENT_LIMIT_BYTES: "1000" } });
  t.after(() => scene.close());
  const caller = await scene.signIn();
  const stream = await caller.stream();
  const exchange = await scene.upstream.next();
  const large = event({ content: "x".repeat(5000) });
  exchange.sendHead();
  await exchange.send(large.slice(0, 2000));
  await stream.untilBytes(1000);
  await exchange.send(large.slice(2000));
  exchange.end(event({ content: "small" }) + DONE);
  assert.equal((await stream.whole()).toString(), large + event({ content: "small" }) + DONE);
});

describe("HEARTBEAT_MS=200", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { HEARTBEAT_MS: "200" } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  const COMMENT = /^(:[^\n]*\n\n)+$/;

  test("gives comments while the backend is silent after its head", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    const start = performance.now();
    await stream.until(": keep-alive\n\n: keep-alive\n\n: keep-alive\n\n");
    const took = performance.now() - start;
    assert.ok(took > 350 && took < 3000, `three comments in ${took.toFixed(0)} ms`);
    assert.match(stream.text, COMMENT);
    exchange.end(DONE);
    assert.ok((await stream.whole()).toString().endsWith(DONE));
  });

  test("gives comments while the backend has not even sent its head", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    await stream.until(": keep-alive\n\n");
    assert.equal((await stream.head()).status, 200);
    exchange.sendHead();
    await exchange.send(event({ content: "late" }));
    exchange.end(DONE);
    const text = (await stream.whole()).toString();
    assert.ok(text.endsWith(event({ content: "late" }) + DONE), text);
    assert.match(text.slice(0, -(event({ content: "late" }) + DONE).length), COMMENT);
  });

  test("gives comments between events only, and changes nothing else", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    await exchange.send(event({ content: "a" }));
    await stream.until(`${event({ content: "a" })}: keep-alive\n\n`);
    await exchange.send(event({ content: "b" }));
    exchange.end(DONE);
    const text = (await stream.whole()).toString();
    assert.equal(
      text.replaceAll(": keep-alive\n\n", ""),
      event({ content: "a" }) + event({ content: "b" }) + DONE,
    );
  });

  for (const [title, at] of [
    ["an event", 30],
    ["a line end", event({ content: "a" }).length - 1],
  ]) {
    test(`does not break ${title} in two`, async () => {
      const whole = event({ content: "a" });
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      await exchange.send(whole.slice(0, at));
      await stream.untilBytes(at);
      // Long enough for three comments; what is looked at is that none of them is inside the event.
      await new Promise((resolve) => setTimeout(resolve, 700));
      await exchange.send(whole.slice(at));
      exchange.end(DONE);
      const text = (await stream.whole()).toString();
      assert.ok(text.includes(whole), JSON.stringify(text));
      assert.equal(text.replaceAll(": keep-alive\n\n", ""), whole + DONE);
    });
  }

  test("gives no comment while events keep coming", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    const end = performance.now() + 1000;
    while (performance.now() < end) {
      await exchange.send(event({ content: "a" }));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    exchange.end(DONE);
    assert.ok(!(await stream.whole()).toString().includes(": keep-alive"));
  });

  test("gives a plain answer no comment", async () => {
    const answer = caller.chat();
    const exchange = await scene.upstream.next();
    await new Promise((resolve) => setTimeout(resolve, 500));
    exchange.reply({ id: "late" });
    assert.deepEqual((await answer).json, { id: "late" });
  });
});
