// The installed package in Node, against a scripted edge.
import assert from "node:assert/strict";
import test from "node:test";

import { DONE, chunk, event, startEdge } from "./edge.mjs";
import { importPackage } from "./tarball.mjs";

const PARAMS = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const STREAM = { ...PARAMS, stream: true };

/** Runs a call to its failure. */
async function failure(promise) {
  return promise.then(
    () => assert.fail("It succeeded."),
    (error) => error,
  );
}

/** The text of a stream, until it ends or fails. */
async function readText(stream) {
  let text = "";
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
  return text;
}

test("the package in Node", async (t) => {
  const { CoMind, CoMindError, init, memory } = await importPackage(t);
  const edge = await startEdge();
  t.after(() => edge.close());
  const client = new CoMind({ baseURL: edge.url, token: "cmnd_token" });
  /** A stream that has begun, and the server's end of it. */
  const open = async (options, params = STREAM) => {
    const creating = client.chat.completions.create(params, options);
    const exchange = await edge.next();
    exchange.stream();
    return { stream: await creating, exchange };
  };

  await t.test("signing in gives the answer, and its token goes with the calls that follow", async () => {
    const client = new CoMind({ baseURL: `${edge.url}/v1/` });
    const signingIn = client.auth.login({ email: "user@example.com", password: "secret" });
    const login = await edge.next();
    assert.equal(`${login.method} ${login.path}`, "POST /v1/auth/login");
    assert.equal(login.headers.authorization, undefined);
    assert.deepEqual(JSON.parse(login.body), { email: "user@example.com", password: "secret" });
    login.reply({
      access_token: "jwt",
      refresh_token: "r",
      token_type: "bearer",
      expires_in: 3600,
      user: {},
    });
    assert.equal((await signingIn).expires_in, 3600);

    const listing = client.models.list();
    const models = await edge.next();
    assert.equal(models.headers.authorization, "Bearer jwt");
    models.reply({ object: "list", data: [{ id: "a/b" }] });
    assert.deepEqual(await listing, { object: "list", data: [{ id: "a/b" }] });
    assert.ok(!JSON.stringify(client).includes("jwt"));
  });

  await t.test("each method asks its route", async () => {
    for (const [call, method, path] of [
      [client.health(), "GET", "/health"],
      [client.models.list(), "GET", "/v1/models"],
      [client.models.retrieve("Qwen/Qwen2.5 32B"), "GET", "/v1/models/Qwen%2FQwen2.5%2032B"],
      [client.capabilities(), "GET", "/v1/capabilities"],
      [client.chat.completions.create(PARAMS), "POST", "/v1/chat/completions"],
    ]) {
      const exchange = await edge.next();
      assert.deepEqual([exchange.method, exchange.path], [method, path]);
      exchange.reply({ path });
      assert.deepEqual(await call, { path });
    }
  });

  await t.test("only what the server needs is sent", async () => {
    const calling = client.chat.completions.create({ ...PARAMS, seed: 7, vendor: { x: [1] } });
    const { headers, body, ...exchange } = await edge.next().then((exchange) => {
      exchange.reply({});
      return exchange;
    });
    await calling;
    const platform = ["accept", "accept-encoding", "accept-language", "connection", "content-length", "host"];
    const fetchs = ["sec-fetch-mode", "user-agent", ...platform];
    assert.deepEqual(
      Object.keys(headers).filter((name) => !fetchs.includes(name)),
      ["authorization", "content-type"],
    );
    assert.deepEqual(JSON.parse(body), { ...PARAMS, seed: 7, vendor: { x: [1] } });
    assert.equal(exchange.path, "/v1/chat/completions");
  });

  await t.test("a stream gives each chunk as it comes, however its bytes are cut", async () => {
    const { stream, exchange } = await open();
    const chunks = stream[Symbol.asyncIterator]();
    await exchange.send(": keep-alive\n\n" + event(chunk({ role: "assistant", content: "" }), "\r\n\r\n"));
    assert.equal((await chunks.next()).value.choices[0].delta.role, "assistant");
    const bytes = Buffer.from(event(chunk({ content: "Grüße 🌍 " }), "\r\n\r\n"));
    for (const byte of bytes) await exchange.send(Buffer.of(byte));
    const { value } = await chunks.next();
    assert.deepEqual(value, JSON.parse(chunk({ content: "Grüße 🌍 " })));
    await exchange.send(": keep-alive\n\n" + event(chunk({ content: "a" })) + event(chunk({ content: "b" })));
    assert.equal((await chunks.next()).value.choices[0].delta.content, "a");
    assert.equal((await chunks.next()).value.choices[0].delta.content, "b");
    exchange.end(event(chunk({}, "stop")) + DONE);
    assert.equal((await chunks.next()).value.choices[0].finish_reason, "stop");
    assert.deepEqual(await chunks.next(), { value: undefined, done: true });
    const { choices } = await stream.finalCompletion();
    assert.equal(choices[0].message.content, "Grüße 🌍 ab");
    assert.equal((await stream.finalMessage()).role, "assistant");
    assert.equal(stream.requestId, "req_s");
  });

  await t.test(
    "an answer ends with [DONE] or with the last finish reason; any other end is a cut",
    async () => {
      const begun = event(chunk({ content: "Hal" }));
      for (const [bytes, isWhole] of [
        [event(chunk({ content: "Hal" }, "stop")), true],
        [begun + DONE, true],
        [begun, false],
        [begun + "data: [DONE]", false],
        [event(chunk({ content: "Hal" }, "stop", 0)) + event(chunk({ content: "x" }, null, 1)), false],
        ["", false],
      ]) {
        const { stream, exchange } = await open();
        exchange.end(bytes);
        if (isWhole) {
          assert.equal(await readText(stream), "Hal");
          continue;
        }
        const error = await failure(readText(stream));
        assert.deepEqual(
          [error.name, error.code, error.requestId],
          ["StreamTruncatedError", "stream_truncated", "req_s"],
          bytes,
        );
        assert.equal(error.partial?.choices[0].message.content, bytes === "" ? undefined : "Hal");
        assert.equal(await failure(stream.finalCompletion()), error);
      }
    },
  );

  await t.test("a connection that breaks in mid-stream is a cut with its cause", async () => {
    const { stream, exchange } = await open();
    await exchange.send(event(chunk({ content: "Hal" })));
    assert.equal((await stream.next()).value.choices[0].delta.content, "Hal");
    exchange.drop();
    const error = await failure(stream.next());
    assert.equal(error.code, "stream_truncated");
    assert.ok(error.cause instanceof Error);
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
  });

  await t.test("an error event comes after the chunks before it, as an error", async () => {
    const { stream, exchange } = await open();
    const body = {
      error: { message: "The GPU fell over.", type: "server_error", code: "upstream_error", param: null },
    };
    exchange.end(event(chunk({ content: "Hal" })) + event(JSON.stringify(body)));
    assert.equal((await stream.next()).value.choices[0].delta.content, "Hal");
    const error = await failure(stream.next());
    assert.deepEqual(
      [error.name, error.code, error.status, error.message],
      ["StreamTruncatedError", "upstream_error", 502, "The GPU fell over."],
    );
    assert.equal(error.partial.choices[0].message.content, "Hal");
  });

  await t.test("what is not an event stream is malformed", async () => {
    const creating = client.chat.completions.create(STREAM);
    (await edge.next()).reply({});
    assert.equal((await failure(creating)).code, "response_malformed");
    const { stream, exchange } = await open();
    exchange.send("data: <html>\n\n");
    assert.equal((await failure(stream.next())).code, "response_malformed");
    await exchange.closed;
  });

  for (const [way, leave] of [
    ["abort()", ({ stream }) => stream.abort()],
    ["the signal", ({ controller }) => controller.abort()],
  ]) {
    await t.test(`${way} ends a waiting stream and closes its connection`, async () => {
      const controller = new AbortController();
      const { stream, exchange } = await open({ signal: controller.signal });
      await exchange.send(event(chunk({ content: "Hal" })));
      await stream.next();
      const waiting = failure(stream.next());
      leave({ stream, controller });
      const error = await waiting;
      assert.ok(error instanceof CoMindError);
      assert.deepEqual([error.name, error.code], ["AbortError", "aborted"]);
      assert.equal(error.partial.choices[0].message.content, "Hal");
      await exchange.closed;
      assert.deepEqual(await stream.next(), { value: undefined, done: true });
    });
  }

  await t.test("leaving the loop closes the connection", async () => {
    const { stream, exchange } = await open();
    await exchange.send(event(chunk({ content: "a" })) + event(chunk({ content: "b" })));
    for await (const { choices } of stream) {
      assert.equal(choices[0].delta.content, "a");
      break;
    }
    await exchange.closed;
    assert.equal((await failure(stream.finalCompletion())).code, "aborted");
  });

  await t.test("abort() between two chunks of one piece is heeded", async () => {
    const { stream, exchange } = await open();
    await exchange.send(event(chunk({ content: "a" })) + event(chunk({ content: "b" })));
    const error = await failure(
      (async () => {
        for await (const { choices } of stream) {
          assert.equal(choices[0].delta.content, "a");
          stream.abort();
        }
      })(),
    );
    assert.equal(error.code, "aborted");
    await exchange.closed;
  });

  await t.test(
    "a call is aborted before it is sent, while it waits and before it is tried again",
    async () => {
      const aborted = { signal: AbortSignal.abort() };
      assert.equal((await failure(client.models.list(aborted))).name, "AbortError");
      assert.equal((await failure(client.chat.completions.create(STREAM, aborted))).code, "aborted");

      const waiting = new AbortController();
      const listing = failure(client.models.list({ signal: waiting.signal }));
      const exchange = await edge.next();
      waiting.abort("a reason that is not an Error");
      assert.equal((await listing).code, "aborted");
      await exchange.closed;

      const backingOff = new AbortController();
      const retried = failure(client.models.list({ signal: backingOff.signal }));
      (await edge.next()).fail(429, { message: "slow", code: "rate_limited" }, { "retry-after": "30" });
      setTimeout(() => backingOff.abort(), 20);
      assert.equal((await retried).code, "aborted");
      assert.deepEqual(edge.unclaimed, []);
    },
  );

  await t.test("a listener never outlives its call", async () => {
    let listeners = 0;
    const signal = {
      aborted: false,
      addEventListener: () => (listeners += 1),
      removeEventListener: () => (listeners -= 1),
    };
    const listing = client.models.list({ signal });
    (await edge.next()).reply({});
    await listing;
    const { stream, exchange } = await open({ signal });
    assert.equal(listeners, 1);
    exchange.end(DONE);
    await readText(stream);
    assert.equal(listeners, 0);
  });

  await t.test("silence is bounded: before the answer, in a plain one and in a stream", async () => {
    const options = { timeout: 60 };
    const listing = failure(client.models.list(options));
    const silent = await edge.next();
    assert.equal((await listing).code, "timeout");
    await silent.closed;

    const { stream, exchange } = await open(options);
    await exchange.send(event(chunk({ content: "Hal" })));
    await stream.next();
    // A reader who takes longer than the limit is not a silent server.
    await new Promise((resolve) => setTimeout(resolve, 150));
    exchange.send(event(chunk({ content: "lo" })));
    await stream.next();
    const error = await failure(stream.next());
    assert.deepEqual([error.code, error.partial.choices[0].message.content], ["timeout", "Hallo"]);
    await exchange.closed;
    assert.deepEqual(edge.unclaimed, [], "a call that timed out is not sent again");
  });

  await t.test("what may pass is tried again, as often as allowed and when the server says", async () => {
    for (const status of [408, 429, 500, 502, 503, 504]) {
      const listing = client.models.list({ maxRetries: 1 });
      (await edge.next()).fail(status, { message: "later", code: "x" }, { "retry-after": "0" });
      (await edge.next()).reply({ status });
      assert.deepEqual(await listing, { status });
    }
    const dropped = client.models.list();
    (await edge.next()).drop();
    (await edge.next()).reply({ dropped: true });
    assert.deepEqual(await dropped, { dropped: true });

    const started = performance.now();
    const listing = client.models.list();
    (await edge.next()).fail(503, { message: "later", code: "no_backend_available" }, { "retry-after": "1" });
    (await edge.next()).reply({});
    await listing;
    assert.ok(performance.now() - started >= 1000, "the server's wait is kept to");

    for (const maxRetries of [0, 1, 2]) {
      const failing = failure(client.models.list({ maxRetries }));
      for (let attempt = 0; attempt <= maxRetries; attempt += 1)
        (await edge.next()).fail(429, { message: "slow", code: "rate_limited" }, { "retry-after": "0" });
      const error = await failing;
      assert.deepEqual([error.code, error.status, error.retryAfterMs], ["rate_limited", 429, 0]);
      assert.deepEqual(edge.unclaimed, []);
    }
  });

  await t.test("a wait beyond reason is reported, not waited for", async () => {
    const listing = failure(client.models.list());
    (await edge.next()).fail(429, { message: "slow", code: "rate_limited" }, { "retry-after": "3600" });
    assert.equal((await listing).retryAfterMs, 3_600_000);
  });

  await t.test("a refusal is final, and for a sign-in every 4xx is", async () => {
    const listing = failure(client.models.list());
    (await edge.next()).fail(403, {
      message: "no",
      code: "insufficient_scope",
      required_scope: "models:read",
    });
    const error = await listing;
    assert.deepEqual(
      [error.code, error.requiredScope, error.requestId],
      ["insufficient_scope", "models:read", "req_1"],
    );
    for (const [status, code] of [
      [401, "invalid_credentials"],
      [429, "rate_limited"],
    ]) {
      const login = failure(client.auth.login({ email: "e", password: "p" }));
      (await edge.next()).fail(status, { message: "no", code }, { "retry-after": "0" });
      assert.deepEqual([(await login).code, (await login).status], [code, status]);
    }
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("a status speaks where the body does not, and no body is repeated", async () => {
    for (const [status, code] of [
      [400, "bad_request"],
      [401, "unauthorized"],
      [403, "insufficient_scope"],
      [404, "not_found"],
      [405, "method_not_allowed"],
      [409, "capability_not_supported"],
      [413, "request_too_large"],
      [415, "unsupported_media_type"],
      [418, "bad_request"],
      [429, "rate_limited"],
      [431, "headers_too_large"],
      [500, "internal_error"],
      [502, "upstream_error"],
      [503, "no_backend_available"],
      [504, "upstream_timeout"],
      [507, "internal_error"],
    ])
      for (const body of [
        "<html>canary</html>",
        '{"error":"canary"}',
        '{"error":{"code":"canary"}}',
        "null",
      ]) {
        const listing = failure(client.models.list({ maxRetries: 0 }));
        (await edge.next()).reply(body, status);
        const error = await listing;
        assert.deepEqual([error.code, error.status], [code, status]);
        assert.equal(error.message, `The server answered ${status}.`);
      }
    const forged = failure(client.models.list({ maxRetries: 0 }));
    (await edge.next()).fail(500, { message: "x", code: "aborted" });
    assert.deepEqual([(await forged).code, (await forged).name], ["internal_error", "APIError"]);
  });

  await t.test("an answer that is not JSON or breaks off says so", async () => {
    const malformed = failure(client.models.list());
    (await edge.next()).reply("<html>", 200, { "x-request-id": "req_2" });
    assert.deepEqual([(await malformed).code, (await malformed).requestId], ["response_malformed", "req_2"]);
    const broken = failure(client.models.list());
    const exchange = await edge.next();
    await exchange.stream({ "content-type": "application/json" }).send('{"a":');
    exchange.drop();
    assert.equal((await broken).code, "connection_failed");
  });

  await t.test("a server that is not there is one code, and the token is in no error", async () => {
    const gone = await startEdge();
    await gone.close();
    const client = new CoMind({ baseURL: gone.url, token: "canary", maxRetries: 0 });
    const error = await failure(client.models.list());
    assert.deepEqual([error.name, error.code, error.status], ["ConnectionError", "connection_failed", 0]);
    assert.ok(error.cause instanceof Error);
    assert.ok(!`${error.stack}${JSON.stringify(error)}${error.cause.stack}`.includes("canary"));
    const unsendable = new CoMind({ baseURL: gone.url, token: "canary\nx: y" });
    const refused = await failure(unsendable.models.list());
    assert.equal(refused.code, "unauthorized");
    assert.ok(!`${refused.stack}${refused.cause}`.includes("canary"));
  });

  await t.test("options that cannot be meant are refused by name", async () => {
    for (const [param, options] of [
      ["baseURL", {}],
      ["baseURL", { baseURL: "ai.example.com" }],
      ["baseURL", { baseURL: "ftp://ai.example.com" }],
      ["baseURL", { baseURL: "https://user:pass@ai.example.com" }],
      ["baseURL", { baseURL: "https://ai.example.com?x" }],
      ["token", { baseURL: edge.url, token: "" }],
      ["token", { baseURL: edge.url, token: 7 }],
      ["timeout", { baseURL: edge.url, timeout: -1 }],
      ["timeout", { baseURL: edge.url, timeout: 2 ** 31 }],
      ["timeout", { baseURL: edge.url, timeout: NaN }],
      ["maxRetries", { baseURL: edge.url, maxRetries: 11 }],
      ["maxRetries", { baseURL: edge.url, maxRetries: 1.5 }],
      ["fetch", { baseURL: edge.url, fetch: "curl" }],
    ])
      assert.throws(
        () => new CoMind(options),
        (error) => error instanceof CoMindError && error.code === "bad_request" && error.param === param,
      );
    new CoMind({ baseURL: edge.url, timeout: 2 ** 31 - 1, maxRetries: 10 });
    const circle = {};
    circle.circle = circle;
    for (const [param, call] of [
      ["signal", () => client.health({ signal: "stop" })],
      ["params", () => client.chat.completions.create()],
      ["params", () => client.chat.completions.create(circle)],
      ["params", () => client.auth.login()],
    ]) {
      const error = await failure(call());
      assert.deepEqual([error.code, error.param], ["bad_request", param]);
    }
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("a slow reader slows the server", async () => {
    const { stream, exchange } = await open();
    const piece = event(chunk({ content: "x".repeat(10_000) })).repeat(10);
    const PIECES = 400;
    for (let sent = 0; sent < PIECES; sent += 1) exchange.send(piece);
    await stream.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(exchange.waiting > (PIECES * piece.length) / 2, "the server keeps what nobody reads");
    exchange.end(DONE);
    assert.equal((await readText(stream)).length, 10_000 * (10 * PIECES - 1));
  });

  await t.test("streams side by side do not mix", async () => {
    const opened = [];
    for (let index = 0; index < 5; index += 1) opened.push(await open());
    const failures = opened.map(({ stream }) => failure(readText(stream)));
    for (let round = 0; round < 20; round += 1)
      for (const [index, { exchange }] of opened.entries())
        await exchange.send(event(chunk({ content: `${index}` })).slice(0, 40));
    for (const { exchange } of opened) exchange.drop();
    for (const error of await Promise.all(failures)) assert.equal(error.code, "stream_truncated");

    const whole = [];
    for (let index = 0; index < 5; index += 1) whole.push(await open());
    const read = whole.map(({ stream }) => readText(stream));
    for (let round = 0; round < 20; round += 1)
      for (const [index, { exchange }] of whole.entries()) {
        const bytes = event(chunk({ content: `${index}` }));
        await exchange.send(bytes.slice(0, round * 3));
        await exchange.send(bytes.slice(round * 3));
      }
    for (const { exchange } of whole) exchange.end(DONE);
    assert.deepEqual(
      await Promise.all(read),
      [..."01234"].map((digit) => digit.repeat(20)),
    );
  });

  await t.test("one event of a megabyte arrives whole", async () => {
    const { stream, exchange } = await open();
    const content = "ü".repeat(600_000);
    exchange.end(event(chunk({ content }, "stop")) + DONE);
    assert.equal(await readText(stream), content);
  });

  await t.test("thousands of streams, left in every way, leave the wasm memory as it was", async () => {
    assert.equal(await init(), "wasm");
    const leave = [
      async (stream) => stream.abort(),
      async (stream) => stream.next().then(() => stream.abort()),
      async (stream) => stream.next().then(() => stream.return()),
      async (stream) => stream.return(),
      async (stream) => failure(readText(stream)),
      async (stream) => readText(stream),
    ];
    const round = async (count) => {
      for (let index = 0; index < count; index += 1) {
        const { stream, exchange } = await open();
        const way = index % leave.length;
        const closed = exchange.closed;
        exchange.send(event(chunk({ content: "x".repeat(20_000) })));
        if (way === 4) exchange.end();
        if (way === 5) exchange.end(DONE);
        await leave[way](stream);
        await closed;
      }
    };
    await round(60);
    const before = memory().byteLength;
    await round(1800);
    assert.equal(memory().byteLength, before);
  });

  assert.deepEqual(edge.unclaimed, []);
});

test("the slim entry loads nothing until it is told from where", async (t) => {
  const slim = await importPackage(t, "@co-mind/client/slim");
  const edge = await startEdge();
  t.after(() => edge.close());
  const client = new slim.CoMind({ baseURL: edge.url });
  const health = client.health();
  (await edge.next()).reply({ status: "ok" });
  assert.deepEqual(await health, { status: "ok" }, "what needs no core works without it");

  const asking = client.chat.completions.create(STREAM);
  (await edge.next()).stream().end(event(chunk({ content: "a" }, "stop")) + DONE);
  const error = await failure(readText(await asking));
  assert.deepEqual([error.code, error.param], ["bad_request", "init"]);
  const bad = await failure(slim.init(Uint8Array.of(0)));
  assert.equal(bad.code, "connection_failed");
  const { readFile } = await import("node:fs/promises");
  await slim.init(readFile(new URL("../../pkg/wasm/core_bg.wasm", import.meta.url)));
  const again = client.chat.completions.create(STREAM);
  (await edge.next()).stream().end(event(chunk({ content: "a" }, "stop")) + DONE);
  assert.equal(await readText(await again), "a");
});
