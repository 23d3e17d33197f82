// The tools of these suites, tried on each other without an edge: a harness that lies proves nothing.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller, Connection } from "./caller.mjs";
import { Canaries, forms } from "./canaries.mjs";
import { deadPort, startUpstream } from "./upstream.mjs";
import { within } from "./within.mjs";

test("a canary is found however it is written down, and only where it is", () => {
  const canaries = new Canaries();
  const planted = canaries.plant("a password");
  const added = canaries.add("a token", "ey+J_hbGci/OiJ-IUzI1N.iJ9é");
  for (const text of [planted, added]) {
    assert.ok(forms(text).length >= 12);
    for (const [form, written] of forms(text)) {
      const found = canaries.find(Buffer.concat([Buffer.from([0xff, 0]), written, Buffer.from([0])]));
      assert.ok(
        found.some((one) => one.text === text && one.form === form),
        `${form}: ${JSON.stringify(found)}`,
      );
    }
    for (const before of ["", "a", "ab", "abc"]) {
      const encoded = Buffer.from(`${before}${text}xyz`);
      assert.ok(canaries.find(encoded.toString("base64")).length > 0);
      assert.ok(canaries.find(encoded.toString("base64url")).length > 0);
    }
  }
  assert.deepEqual(canaries.find(planted.slice(0, -1))[0].name, "a part of something");
  assert.deepEqual(canaries.find(new Canaries().plant("a password")), []);
});

async function pair() {
  const upstream = await startUpstream();
  return { upstream, caller: new Caller(upstream.url, "token") };
}

test("pieces arrive as they were sent, when they were sent", async () => {
  const { upstream, caller } = await pair();
  const connection = await caller.stream();
  const exchange = await upstream.next();
  assert.equal(exchange.json.stream, true);
  exchange.sendHead();
  assert.equal((await connection.head()).status, 200);
  await exchange.send("data: 1\n\n");
  await connection.until("1\n\n");
  await exchange.send("data: 2\n\n");
  exchange.end();
  assert.equal((await connection.whole()).toString(), "data: 1\n\ndata: 2\n\n");
  assert.deepEqual(
    connection.pieces.map(({ bytes }) => bytes.toString()),
    ["data: 1\n\n", "data: 2\n\n"],
  );
  await upstream.close();
});

for (const cut of ["fin", "drop"]) {
  test(`a caller notices that the answer was cut with ${cut}`, async () => {
    const { upstream, caller } = await pair();
    const connection = await caller.stream();
    const exchange = await upstream.next();
    await exchange.sendHead().send("data: 1\n\n");
    await connection.until("1\n\n");
    exchange[cut]();
    await assert.rejects(connection.whole(), /closed before/);
    await upstream.close();
  });
}

for (const going of ["leave", "reset"]) {
  test(`a backend notices that the caller went with ${going}`, async () => {
    const { upstream, caller } = await pair();
    const connection = await caller.stream();
    const exchange = await upstream.next();
    connection[going]();
    await within(1000, exchange.closed, "the exchange closes");
    await upstream.close();
  });
}

test("a body of declared length ends with its last byte", async () => {
  const { upstream } = await pair();
  const connection = await Connection.open(upstream.url, { path: "/v1/models" });
  assert.equal(JSON.parse(await connection.whole()).object, "list");
  await upstream.close();
});

test("what is not in the script is answered 501 and remembered", async () => {
  const { upstream, caller } = await pair();
  assert.equal((await caller.get("/v1/nothing")).status, 501);
  assert.deepEqual(upstream.unmatched, ["GET /v1/nothing"]);
  assert.equal(
    (await caller.get("/props")).status,
    404,
    "a question for another kind of backend is none of the edge's mistakes",
  );
  assert.deepEqual(upstream.unmatched, ["GET /v1/nothing"]);
  await upstream.close();
});

test("nobody listens on a dead port", async () => {
  await assert.rejects(fetch(`http://127.0.0.1:${await deadPort()}/`));
});
