// Hostile HTTP, byte by byte on a socket: what is smuggled, doubled, injected, disguised or enormous. Each gets an answer
// or a closed connection, never a server error of ours, and never reaches a backend or another caller's answer.
import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion } from "./upstream.mjs";
import { within } from "./within.mjs";

let scene, caller, reached;
before(async () => {
  scene = await openScene({ settings: { BODY_LIMIT_BYTES: "100000", RATE_LIMIT_RPM: "0" } });
  reached = [];
  scene.upstream.always((exchange) => {
    reached.push(exchange);
    exchange.reply(completion());
  });
  caller = await scene.signIn();
});
after(() => scene?.close());

/** Sends bytes as they are; gives all that comes until the connection ends or is silent for a moment. */
async function send(bytes, quietMs = 400) {
  const { hostname, port } = new URL(scene.url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  await once(socket, "connect");
  let text = "";
  let timer;
  const over = new Promise((resolve) => {
    const rest = () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, text ? quietMs : 5000);
    };
    socket.on("data", (data) => {
      text += data.toString("latin1");
      rest();
    });
    socket.on("close", resolve);
    socket.on("error", resolve);
    rest();
  });
  socket.write(bytes, "latin1");
  await over;
  clearTimeout(timer);
  socket.destroy();
  return { text, statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)) };
}

const authorization = () => `authorization: Bearer ${caller.token}`;
const BODY = JSON.stringify({ model: "text-model", messages: [{ role: "user", content: "Hello" }] });
const head = (path, ...lines) => [`POST ${path} HTTP/1.1`, "host: edge", ...lines, "", ""].join("\r\n");
const chat = (...lines) =>
  head("/v1/chat/completions", authorization(), "content-type: application/json", ...lines);

/** It was refused, or the connection closed; nobody else's request came of it. */
async function assertRefused(bytes, what) {
  reached.length = 0;
  const { statuses, text } = await send(bytes);
  for (const status of statuses) assert.ok(status >= 400 && status < 500, `${what}: ${text.slice(0, 300)}`);
  assert.equal(reached.length, 0, `${what}: it reached the backend`);
  assert.equal((await scene.anonymous.get("/health")).status, 200);
}

describe("one request is not taken for two", () => {
  const inner = "GET /v1/models HTTP/1.1\r\nhost: edge\r\n\r\n";
  const cases = {
    "a length and chunks": () =>
      chat(`content-length: ${BODY.length}`, "transfer-encoding: chunked") + `0\r\n\r\n${inner}`,
    "two lengths": () => chat(`content-length: ${BODY.length}`, "content-length: 5") + BODY,
    "two lengths in one header": () => chat(`content-length: ${BODY.length}, 5`) + BODY,
    "a length with a sign": () => chat(`content-length: +${BODY.length}`) + BODY,
    "a negative length": () => chat("content-length: -1") + BODY,
    "a length in hexadecimal": () => chat("content-length: 0x10") + BODY,
    "a length with a blank before the colon": () => chat(`content-length : ${BODY.length}`) + BODY,
    "a coding nobody knows": () => chat("transfer-encoding: xchunked") + `0\r\n\r\n${inner}`,
    "a coding behind a tab": () => chat("transfer-encoding:\tchunked, identity") + `0\r\n\r\n`,
    "a chunk that is longer than it says": () =>
      chat("transfer-encoding: chunked") + `5\r\n${BODY}\r\n0\r\n\r\n`,
    "a chunk of a negative size": () => chat("transfer-encoding: chunked") + `-5\r\n${BODY}\r\n0\r\n\r\n`,
    "a chunk of an enormous size": () => chat("transfer-encoding: chunked") + `ffffffffffffffffff\r\n${BODY}`,
    "a header folded over two lines": () =>
      chat("x-folded: a\r\n transfer-encoding: chunked", `content-length: 2`) + "[]",
    "a bare line feed in a header": () => chat("x-a: b\nx-c: d", "content-length: 2") + "[]",
  };
  for (const [what, bytes] of Object.entries(cases)) test(what, () => assertRefused(bytes(), what));

  test("what follows a request on the same connection is answered by itself", async () => {
    reached.length = 0;
    const { statuses } = await send(chat(`content-length: ${BODY.length}`) + BODY + inner);
    assert.deepEqual(statuses, [200, 401], "the second has no token");
    assert.equal(reached.length, 1);
  });
});

describe("headers", () => {
  test("a NUL, a bare CR or a character below blank is refused", async () => {
    for (const byte of ["\0", "\r", "\x01", "\x7f"])
      await assertRefused(chat(`x-a: b${byte}c`, "content-length: 2") + "[]", JSON.stringify(byte));
  });

  test("ten thousand of them are refused, and one of a megabyte", async () => {
    const many = Array.from({ length: 10_000 }, (_, at) => `x-${at}: a`);
    await assertRefused(chat(...many, `content-length: ${BODY.length}`) + BODY, "many");
    await assertRefused(chat(`x-a: ${"a".repeat(1 << 20)}`, `content-length: ${BODY.length}`) + BODY, "long");
  });

  test("two tokens are no token", async () => {
    await assertRefused(chat(authorization(), `content-length: ${BODY.length}`) + BODY, "twice the same");
  });

  test("a backend is told nothing of a caller's headers but the trace", async () => {
    reached.length = 0;
    const headers = {
      cookie: "a=b",
      origin: "http://evil.example",
      referer: "http://evil.example/",
      "x-forwarded-for": "203.0.113.9",
      "x-forwarded-host": "evil.example",
      forwarded: "for=203.0.113.9",
      "x-original-url": "/v1/models",
      "x-http-method-override": "DELETE",
      "api-key": "mine",
      "openai-organization": "org",
    };
    assert.equal((await caller.chat({}, { headers })).status, 200);
    const [exchange] = reached;
    for (const name of Object.keys(headers)) assert.equal(exchange.headers[name], undefined, name);
    assert.equal(exchange.path, "/v1/chat/completions");
    assert.ok(!exchange.headers.authorization.includes(caller.token));
  });

  test("nothing of a caller's comes back in a header of ours", async () => {
    const value = "a\u00e9b";
    const { text } = await send(
      head("/v1/none", `x-request-id: evil${value} set-cookie: a=b`, "content-length: 0"),
    );
    assert.ok(!/set-cookie/i.test(text) && !text.includes("evil"), text);
  });
});

describe("paths", () => {
  const get = (path, ...lines) =>
    `GET ${path} HTTP/1.1\r\nhost: edge\r\n${authorization()}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;

  test("in disguise they are not taken for others", async () => {
    for (const path of [
      "/v1/auth/../models",
      "/v1/./models",
      "/v1//models",
      "/v1/models/..%2f..%2fmetrics",
      "/v1/%6dodels",
      "/v1/models%00",
      "/v1/models%2500",
      "/v1/models/%252e%252e",
      "/v1/models;x=/health",
      "/V1/MODELS",
      "/v1/models/",
      "/v1\\models",
      "/%76%31/models",
      "/metrics%2f",
      "/v1/auth/admin/users/..;/..",
      "/v1/models/a%0d%0ax-injected:%20b",
    ]) {
      const { statuses, text } = await send(get(path));
      // The URL standard resolves dots; then it is the path that it says.
      const isResolved = /^\/v1\/(auth\/\.\.|\.)\/models$/.test(path) || path === "/v1\\models";
      assert.ok(
        isResolved ? [200, 400, 404].includes(statuses[0]) : [400, 404].includes(statuses[0]),
        `${path}: ${text.slice(0, 200)}`,
      );
      assert.ok(!/x-injected/i.test(text.split("\r\n\r\n")[0]), path);
    }
  });

  test("an absolute address, an authority or nothing is answered by what it is to us, and never fetched", async () => {
    const trap = http.createServer((_, response) => response.end("trapped"));
    trap.listen(0, "127.0.0.1");
    await once(trap, "listening");
    let asked = 0;
    trap.on("request", () => (asked += 1));
    const address = `127.0.0.1:${trap.address().port}`;
    for (const line of [
      `GET http://${address}/v1/models HTTP/1.1`,
      `GET //${address}/v1/models HTTP/1.1`,
      `CONNECT ${address} HTTP/1.1`,
      `GET /v1/models?url=http://${address}/ HTTP/1.1`,
      `GET /v1/models/http:%2f%2f${address}%2f HTTP/1.1`,
      "GET  HTTP/1.1",
      "GET * HTTP/1.1",
      "OPTIONS * HTTP/1.1",
    ]) {
      const { statuses, text } = await send(`${line}\r\nhost: ${address}\r\n${authorization()}\r\n\r\n`);
      // What is no request to a handler, the runtime refuses in its own words.
      const isRuntimes = line.startsWith("CONNECT");
      assert.ok(
        isRuntimes || statuses.every((status) => status < 500 || status === 501),
        `${line}: ${text.slice(0, 200)}`,
      );
      assert.ok(!text.includes("trapped"), line);
    }
    assert.equal(asked, 0, "somebody else's server was asked");
    trap.close();
  });
});

describe("a request cannot choose where the edge sends it", () => {
  test("whatever its body says of addresses", async () => {
    const trap = http.createServer((_, response) => response.end("trapped"));
    trap.listen(0, "127.0.0.1");
    await once(trap, "listening");
    let asked = 0;
    trap.on("request", () => (asked += 1));
    const url = `http://127.0.0.1:${trap.address().port}/`;
    reached.length = 0;
    const messages = [
      {
        role: "user",
        content: [
          { type: "text", text: url },
          { type: "image_url", image_url: { url } },
        ],
      },
    ];
    for (const extra of [
      { model: url },
      { model: "seeing-model", messages },
      { base_url: url, api_base: url, endpoint: url, url, backend: url },
      { model: "text-model@evil", provider: url },
      { model: "../../admin" },
      { user: url, metadata: { url }, webhook: url },
    ]) {
      const answer = await caller.chat(extra);
      assert.ok(answer.status < 500, answer.text);
    }
    assert.equal(
      (
        await scene.anonymous.post("/v1/auth/sso", {
          oid: "o",
          tid: url,
          upn: "a@b.example",
          id_token: "x.y.z",
        })
      ).status,
      404,
    );
    assert.equal(asked, 0, "nothing but the configured backends is asked");
    for (const exchange of reached) assert.equal(exchange.path, "/v1/chat/completions");
    trap.close();
  });
});

describe("bodies", () => {
  test("of a wrong type, compressed, or of another alphabet are refused", async () => {
    for (const [type, encoding] of [
      ["text/html", undefined],
      ["application/x-www-form-urlencoded", undefined],
      ["multipart/form-data; boundary=x", undefined],
      ["application/json", "gzip"],
      ["application/json", "br"],
      ["application/json", "gzip, gzip"],
    ]) {
      const headers = { "content-type": type, ...(encoding && { "content-encoding": encoding }) };
      const { status } = await caller.post("/v1/chat/completions", BODY, { headers });
      assert.equal(status, 415, `${type} ${encoding}`);
    }
    const utf16 = Buffer.from(`\ufeff${BODY}`, "utf16le");
    assert.equal((await caller.post("/v1/chat/completions", utf16)).status, 400);
  });

  test("that are no UTF-8, hold a NUL, or are nested without end are refused", async () => {
    const broken = Buffer.concat([
      Buffer.from('{"model":"text-model","messages":[{"role":"user","content":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}]}'),
    ]);
    for (const body of [
      broken,
      "\0",
      `${BODY}\0`,
      "[".repeat(50_000),
      '{"a":'.repeat(15_000),
      `${BODY}${BODY}`,
      "nul",
      "\ufeff{}",
    ]) {
      const { status, json } = await caller.post("/v1/chat/completions", body);
      assert.deepEqual([status, json?.error?.code], [400, "bad_request"], String(body).slice(0, 40));
    }
  });

  test("whose members are doubled are refused, since two parsers could take different ones", async () => {
    for (const body of [
      '{"model":"text-model","model":"seeing-model","messages":[{"role":"user","content":"x"}]}',
      '{"model":"text-model","mod\\u0065l":"seeing-model","messages":[{"role":"user","content":"x"}]}',
    ])
      assert.equal((await caller.post("/v1/chat/completions", body)).status, 400);
  });

  test("that never end are let go of when their caller goes", async () => {
    const { hostname, port } = new URL(scene.url);
    const sockets = Array.from({ length: 50 }, () => {
      const socket = net.connect({ host: hostname, port: Number(port) });
      socket.on("error", () => {});
      socket.write(chat("content-length: 90000") + '{"model":"');
      return socket;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const socket of sockets) socket.destroy();
    assert.equal((await within(10_000, caller.chat(), "the next is answered")).status, 200);
  });
});
