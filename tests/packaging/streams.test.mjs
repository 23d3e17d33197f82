// Every way to read a stream and every limit on a call, in the installed package: on WebAssembly, and on the core as
// JavaScript, which must not be told apart.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import { DONE, chunk, event, startEdge } from "./edge.mjs";
import { importPackage } from "./tarball.mjs";

const PARAMS = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const raw = (choice, rest = {}) =>
  event(
    JSON.stringify({
      id: "c",
      object: "chat.completion.chunk",
      created: 7,
      model: "m",
      choices: choice,
      ...rest,
    }),
  );
const delta = (delta, finish_reason = null, index = 0) => raw([{ index, delta, finish_reason }]);

async function failure(promise) {
  return promise.then(
    () => assert.fail("It succeeded."),
    (error) => error,
  );
}

for (const [entry, core] of [
  ["@co-mind/client", "wasm"],
  ["@co-mind/client/javascript", "javascript"],
])
  test(`streams, with the core as ${core}`, async (t) => {
    const { CoMind, init, memory } = await importPackage(t, entry);
    assert.equal(await init(), core);
    const edge = await startEdge();
    t.after(() => edge.close());
    const client = new CoMind({ baseURL: edge.url, token: "t", maxRetries: 0 });
    /** A stream that has begun, and the server's end of it. */
    const open = async (options, params = PARAMS) => {
      const stream = client.chat.completions.stream(params, options);
      const exchange = await edge.next();
      return { stream, exchange: exchange.stream() };
    };
    /** A stream that comes in these pieces. */
    const streamOf = async (...pieces) => {
      const { stream, exchange } = await open();
      for (const piece of pieces) await exchange.send(piece);
      exchange.end();
      return stream;
    };
    const HELLO = [
      delta({ role: "assistant", content: "" }),
      delta({ content: "Grü" }),
      delta({ content: "ße" }),
    ];
    const END = delta({}, "stop") + raw([], { usage: USAGE }) + DONE;

    await t.test("stream() asks at once, with stream: true, and gives what create() gives", async () => {
      const { stream, exchange } = await open();
      assert.equal(JSON.parse(exchange.body).stream, true);
      assert.equal(stream.requestId === null || stream.requestId === "req_s", true);
      exchange.end(HELLO.join("") + END);
      const texts = [];
      for await (const { choices } of stream) texts.push(choices[0]?.delta.content);
      assert.deepEqual(texts, ["", "Grü", "ße", undefined, undefined]);
      assert.equal(stream.requestId, "req_s");
      assert.deepEqual(stream.usage, USAGE);
      assert.equal((await stream.finalMessage()).content, "Grüße");
    });

    await t.test("textStream, forEach, forEachText and final… see the same answer", async () => {
      const text = [];
      for await (const piece of (await streamOf(...HELLO, END)).textStream) text.push(piece);
      assert.equal(text.join(""), "Grüße");
      assert.ok(text.every((piece) => piece.length > 0));
      const chunks = [];
      await (await streamOf(HELLO.join(""), END)).forEach((chunk) => chunks.push(chunk));
      assert.equal(chunks.length, 5);
      let spelled = "";
      await (await streamOf(...HELLO, END)).forEachText((piece) => (spelled += piece));
      assert.equal(spelled, "Grüße");
      assert.equal(await (await streamOf(...HELLO, END)).finalText(), "Grüße");
      const lines = await new Response((await streamOf(...HELLO, END)).toReadableStream()).text();
      assert.deepEqual(
        lines
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line)),
        chunks,
      );
    });

    await t.test("chunks are whole objects in the order of the wire, and share nothing", async () => {
      const pieces = ["a", 'b"\\', "😀", "\u2028", ""].map((content) =>
        raw([{ index: 0, delta: { content }, logprobs: null, finish_reason: null }], { vendor: { x: [1] } }),
      );
      for (const all of [pieces, pieces.map((piece) => piece.replace(',"vendor":{"x":[1]}', ""))]) {
        const seen = [];
        for await (const chunk of await streamOf(all.join(""), DONE)) seen.push(chunk);
        assert.deepEqual(
          seen.map((chunk) => JSON.stringify(chunk)),
          all.map((piece) => JSON.stringify(JSON.parse(piece.slice("data: ".length)))),
        );
        const objects = new Set();
        const collect = (value) => {
          if (typeof value !== "object" || value === null) return 0;
          objects.add(value);
          return 1 + Object.values(value).reduce((sum, member) => sum + collect(member), 0);
        };
        const count = seen.reduce((sum, chunk) => sum + collect(chunk), 0);
        assert.equal(objects.size, count);
      }
    });

    await t.test("tool calls, refusals, reasoning, logprobs and several choices add up", async () => {
      const call = (index, piece) => ({ tool_calls: [{ index, ...piece }] });
      const logprob = (token) => ({ content: [{ token, logprob: -0.5, bytes: null, top_logprobs: [] }] });
      const stream = await streamOf(
        delta({ role: "assistant", reasoning_content: "Let me " }),
        delta({ reasoning_content: "think." }),
        delta(call(0, { id: "a", type: "function", function: { name: "f", arguments: "" } })),
        delta(call(0, { function: { arguments: '{"city":' } })),
        delta(call(1, { id: "b", type: "function", function: { name: "g", arguments: "{}" } })),
        delta(call(0, { function: { arguments: '"Rome"}' } }), "tool_calls"),
        delta({ content: "No" }, null, 1),
        raw([{ index: 1, delta: { refusal: "I will not." }, logprobs: logprob("I"), finish_reason: "stop" }]),
        DONE,
      );
      const { choices } = await stream.finalCompletion();
      assert.deepEqual(choices[0].message, {
        role: "assistant",
        content: null,
        reasoning_content: "Let me think.",
        tool_calls: [
          { id: "a", type: "function", function: { name: "f", arguments: '{"city":"Rome"}' } },
          { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
        ],
      });
      assert.equal(choices[0].finish_reason, "tool_calls");
      assert.deepEqual([choices[1].message.content, choices[1].message.refusal], ["No", "I will not."]);
      assert.equal(choices[1].logprobs.content[0].token, "I");
    });

    await t.test("snapshot and usage can be read on the way", async () => {
      const { stream, exchange } = await open();
      assert.deepEqual([stream.snapshot, stream.usage], [null, null]);
      await exchange.send(HELLO.join(""));
      await stream.next();
      assert.equal(stream.snapshot.choices[0].message.content, "Grüße");
      assert.equal(stream.usage, null);
      exchange.end(END);
      assert.equal(await stream.finalText(), "Grüße", "whoever has stopped reading is not waited for");
      const left = [];
      for await (const { choices } of stream) left.push(choices[0]?.delta.content);
      assert.deepEqual(left, ["Grü", "ße", undefined, undefined], "and misses nothing");
    });

    await t.test("final… waits for whoever is reading, and a second reading is refused", async () => {
      const { stream, exchange } = await open();
      const reading = (async () => {
        let text = "";
        for await (const piece of stream.textStream) text += piece;
        return text;
      })();
      const whole = stream.finalText();
      assert.throws(() => stream[Symbol.asyncIterator](), { code: "bad_request", param: "stream" });
      exchange.end(HELLO.join("") + END);
      assert.deepEqual([await reading, await whole], ["Grüße", "Grüße"]);
    });

    await t.test("next() may be called before the last one is answered", async () => {
      const { stream, exchange } = await open();
      const asked = Array.from({ length: 7 }, () => stream.next());
      for (const content of "abcde") await exchange.send(delta({ content }));
      exchange.end(DONE);
      const seen = await Promise.all(asked);
      assert.deepEqual(
        seen.map(({ value, done }) => (done ? null : value.choices[0].delta.content)),
        [..."abcde", null, null],
      );
    });

    await t.test("a callback that throws ends the stream with what it threw", async () => {
      const { stream, exchange } = await open();
      const boom = new Error("boom");
      const reading = failure(
        stream.forEachText(() => {
          throw boom;
        }),
      );
      await exchange.send(HELLO.join(""));
      assert.equal(await reading, boom);
      await exchange.closed;
    });

    await t.test("completions of a text stream and add up as well", async () => {
      const stream = client.completions.stream({ model: "m", prompt: "Once" });
      const exchange = await edge.next();
      assert.equal(exchange.path, "/v1/completions");
      const piece = (text, finish_reason = null) =>
        event(
          JSON.stringify({
            id: "t",
            object: "text_completion",
            created: 7,
            model: "m",
            choices: [{ index: 0, text, logprobs: null, finish_reason }],
          }),
        );
      exchange.stream().end(piece(" upon") + piece(" a") + piece(" time", "length") + DONE);
      const texts = [];
      for await (const { choices } of stream) texts.push(choices[0].text);
      assert.deepEqual(texts, [" upon", " a", " time"]);
      const { object, choices } = await stream.finalCompletion();
      assert.deepEqual(
        [object, choices],
        ["text_completion", [{ index: 0, text: " upon a time", finish_reason: "length" }]],
      );
      assert.equal(await stream.finalText(), " upon a time");
    });

    await t.test("the vectors of chunks join to their completions, however their bytes are cut", async () => {
      const file = await readFile(new URL("../vectors/chunks.json", import.meta.url), "utf8");
      const { vectors } = JSON.parse(file);
      assert.ok(vectors.length > 20);
      for (const { name, events, completion, error, whole } of vectors)
        for (const size of [1, 7, 64, 1 << 20]) {
          const data = events.map((data) =>
            event(typeof data === "string" ? data : JSON.stringify(data), "\r\n\r\n"),
          );
          const bytes = Buffer.from(data.join(""));
          const body = new ReadableStream({
            start(controller) {
              for (let at = 0; at < bytes.length; at += size)
                controller.enqueue(bytes.subarray(at, at + size));
              controller.close();
            },
          });
          const fetch = async () => new Response(body, { headers: { "content-type": "text/event-stream" } });
          const client = new CoMind({ baseURL: edge.url, token: "t", fetch });
          const joined = client.chat.completions.stream(PARAMS).finalCompletion();
          if (error) assert.equal((await failure(joined)).code, error, name);
          else if (whole) assert.deepEqual(await joined, completion, name);
          else if (completion.choices.length === 0)
            assert.equal((await failure(joined)).partial, undefined, name);
          else assert.deepEqual((await failure(joined)).partial, completion, name);
        }
    });

    await t.test("a platform without streams gets the answer in one piece", async () => {
      const fetch = async () => {
        const headers = { "content-type": "text/event-stream" };
        return Object.defineProperty(new Response(HELLO.join("") + END, { headers }), "body", {
          value: undefined,
        });
      };
      const client = new CoMind({ baseURL: edge.url, token: "t", fetch });
      assert.equal(await client.chat.completions.stream(PARAMS).finalText(), "Grüße");
    });

    await t.test("each time limit ends what it bounds, by its name, and not before its time", async () => {
      const start = performance.now();
      const waited = () => performance.now() - start;
      const of = async (timeout, act) => {
        const { stream, exchange } = await open({ timeout });
        await act?.(exchange);
        const error = await failure(stream.finalText());
        await exchange.closed;
        assert.deepEqual([error.name, error.code], ["TimeoutError", "timeout"]);
        return error;
      };
      const head = failure(client.models.list({ timeout: { connect: 60 } }));
      const silent = await edge.next();
      assert.match((await head).message, /timeout\.connect/);
      await silent.closed;
      assert.ok(waited() >= 60);
      assert.match((await of({ firstByte: 60 })).message, /timeout\.firstByte/);
      const stalled = await of({ stall: 60 }, (exchange) => exchange.send(HELLO.join("")));
      assert.match(stalled.message, /timeout\.stall/);
      assert.equal(stalled.partial.choices[0].message.content, "Grüße");
      const beat = async (exchange) => {
        await exchange.send(HELLO.join(""));
        const timer = setInterval(() => exchange.send(": keep-alive\n\n"), 10);
        exchange.closed.then(() => clearInterval(timer));
      };
      assert.match((await of({ stall: 5000, progress: 80 }, beat)).message, /timeout\.progress/);
      assert.match((await of({ total: 80 }, beat)).message, /timeout\.total/);
      // A body that never ends is bounded as well, and so is a wait between two tries.
      const body = failure(client.models.list({ timeout: { stall: 60 } }));
      await (await edge.next()).stream({ "content-type": "application/json" }).send("{");
      assert.match((await body).message, /timeout\.stall/);
      const retried = failure(client.models.list({ timeout: { total: 100 }, maxRetries: 2 }));
      (await edge.next()).fail(429, { message: "slow", code: "rate_limited" }, { "retry-after": "30" });
      assert.match((await retried).message, /timeout\.total/);
      for (const [timeout, param] of [
        [{ connect: -1 }, "timeout.connect"],
        [{ total: 2 ** 31 }, "timeout.total"],
        [{ idle: 5 }, "timeout.idle"],
        [null, "timeout"],
      ])
        assert.equal((await failure(client.models.list({ timeout }))).param, param);
    });

    await t.test("10,000 aborted streams leave memory, listeners and connections as they were", async () => {
      const listeners = new Set();
      let open = 0;
      const encoder = new TextEncoder();
      const signal = {
        aborted: false,
        addEventListener: (_, listener) => listeners.add(listener),
        removeEventListener: (_, listener) => listeners.delete(listener),
      };
      const answer = () => {
        open += 1;
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(encoder.encode(delta({ content: "x".repeat(2000) }))),
            cancel: () => void (open -= 1),
          }),
          { headers: { "content-type": "text/event-stream" } },
        );
      };
      const client = new CoMind({ baseURL: edge.url, token: "t", fetch: async () => answer() });
      const abort = async (count) => {
        for (let at = 0; at < count; at += 1) {
          const stream = client.chat.completions.stream(PARAMS, { signal });
          const reading = stream.next();
          if (at % 3 > 0) await reading;
          else reading.catch(() => {});
          stream.abort();
          if (at % 3 === 2) await failure(stream.finalText());
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      };
      await abort(1000);
      const before = memory().byteLength;
      await abort(9000);
      assert.deepEqual([memory().byteLength, listeners.size, open], [before, 0, 0]);
    });

    assert.deepEqual(edge.unclaimed, []);
  });

test("calls", async (t) => {
  const { CoMind } = await importPackage(t);
  const edge = await startEdge();
  t.after(() => edge.close());
  const client = new CoMind({ baseURL: edge.url, token: "t" });

  await t.test("each method asks its route, with its body", async () => {
    const { auth, apiTokens, models, backends, embeddings, completions } = client;
    const body = { a: 1 };
    for (const [call, method, path, sends = false, token = true] of [
      [() => client.health(), "GET", "/health", false, false],
      [() => client.capabilities(), "GET", "/v1/capabilities"],
      [() => models.list(), "GET", "/v1/models"],
      [() => models.retrieve("Qwen/Qwen2.5 $&"), "GET", "/v1/models/Qwen%2FQwen2.5%20%24%26"],
      [() => backends.list(), "GET", "/v1/backends"],
      [() => backends.health(), "GET", "/v1/backends/health"],
      [() => completions.create(body), "POST", "/v1/completions", true],
      [() => embeddings.create(body), "POST", "/v1/embeddings", true],
      [() => auth.me(), "GET", "/v1/auth/me"],
      [
        () => auth.checkRegistration("a+b@c"),
        "GET",
        "/v1/auth/check-registration?email=a%2Bb%40c",
        false,
        false,
      ],
      [() => auth.register(body), "POST", "/v1/auth/register", true, false],
      [() => auth.changePassword(body), "POST", "/v1/auth/change-password", true],
      [() => auth.requestPasswordReset(body), "POST", "/v1/auth/password-reset-request", true, false],
      [() => auth.resetPassword(body), "POST", "/v1/auth/password-reset", true, false],
      [() => apiTokens.scopes(), "GET", "/v1/api-tokens/scopes"],
      [() => apiTokens.list(), "GET", "/v1/api-tokens"],
      [() => apiTokens.create(body), "POST", "/v1/api-tokens", true],
      [() => apiTokens.rotate("a/b"), "POST", "/v1/api-tokens/a%2Fb/rotate"],
      [() => apiTokens.revoke("x"), "DELETE", "/v1/api-tokens/x"],
    ]) {
      const calling = call();
      const exchange = await edge.next();
      assert.deepEqual([exchange.method, exchange.path], [method, path]);
      assert.equal(exchange.headers.authorization, token ? "Bearer t" : undefined, path);
      assert.equal(exchange.body, sends ? '{"a":1}' : "", path);
      assert.equal(exchange.headers["content-type"], sends ? "application/json" : undefined, path);
      exchange.reply({ path }, 200, { "x-request-id": "req_9" });
      const answer = await calling;
      assert.deepEqual(answer, { path });
      assert.equal(answer._request_id, "req_9");
    }
    for (const [method, path] of [
      ["sso", "/v1/auth/sso"],
      ["confirm", "/v1/auth/confirm"],
    ]) {
      const client = new CoMind({ baseURL: edge.url });
      const signingIn = client.auth[method](body);
      const exchange = await edge.next();
      assert.deepEqual([exchange.method, exchange.path, exchange.body], ["POST", path, '{"a":1}']);
      exchange.reply({
        access_token: "a",
        refresh_token: "r",
        token_type: "bearer",
        expires_in: 60,
        user: {},
      });
      await signingIn;
      assert.deepEqual(await client.auth.session(), { user: {} });
    }
    const revoking = apiTokens.revoke("x");
    (await edge.next()).reply("", 204);
    assert.equal(await revoking, undefined);
  });

  await t.test("what the caller adds to the headers is sent, and nothing else", async () => {
    const client = new CoMind({ baseURL: edge.url, token: "t", headers: { "X-App": "a" } });
    const calling = client.models.list({ headers: { traceparent: "00-1" }, idempotencyKey: "k" });
    const { headers, ...exchange } = await edge.next().then((exchange) => {
      exchange.reply({});
      return exchange;
    });
    assert.ok(exchange);
    const platform = [
      "host",
      "connection",
      "accept",
      "accept-language",
      "sec-fetch-mode",
      "user-agent",
      "accept-encoding",
    ];
    const ours = Object.keys(headers).filter((name) => !platform.includes(name));
    assert.deepEqual(ours.sort(), ["authorization", "idempotency-key", "traceparent", "x-app"]);
    await calling;
  });

  await t.test("a header that is none is refused by name", async () => {
    for (const headers of [{ "a b": "x" }, { a: "x\ny" }])
      assert.throws(() => new CoMind({ baseURL: edge.url, headers }), {
        code: "bad_request",
        param: `headers.${Object.keys(headers)[0]}`,
      });
    const error = await failure(client.models.list({ idempotencyKey: "a\nb" }));
    assert.equal(error.param, "headers.idempotency-key");
  });

  await t.test("what the server says is no use is not tried again", async () => {
    const listing = failure(client.models.list());
    (await edge.next()).fail(
      503,
      { message: "no", code: "no_backend_available" },
      { "x-should-retry": "false" },
    );
    assert.equal((await listing).code, "no_backend_available");
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("tries of the edge's own count", async () => {
    for (const [count, maxRetries, more] of [
      ["3", 2, 0],
      ["2", 2, 1],
      ["1", 2, 2],
      ["x", 2, 2],
    ]) {
      const listing = failure(client.models.list({ maxRetries }));
      for (let at = 0; at <= more; at += 1)
        (await edge.next()).fail(
          503,
          { message: "later", code: "no_backend_available" },
          { "retry-after": "0", "x-attempt-count": at === 0 ? count : "1" },
        );
      await listing;
      assert.deepEqual(edge.unclaimed, [], count);
    }
  });

  await t.test("what must not be done twice is sent again only if it was not done", async () => {
    const lost = failure(client.apiTokens.create({ name: "a", scopes: [] }));
    (await edge.next()).drop();
    assert.equal((await lost).name, "ConnectionError");
    const refused = client.apiTokens.create({ name: "a", scopes: [] });
    (await edge.next()).fail(429, { message: "slow", code: "rate_limited" }, { "retry-after": "0" });
    (await edge.next()).reply({ token: "cmnd_" }, 201);
    assert.deepEqual(await refused, { token: "cmnd_" });
    assert.deepEqual(edge.unclaimed, []);
  });
});
