// Backends that fail: before the first byte a real status, after it one error event and no [DONE].
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { completion, deadPort, DONE, event } from "./upstream.mjs";
import { within } from "./within.mjs";

/** A whole answer on the socket of a stream, in the form that fetch-based callers give. */
async function answered(stream) {
  const { status, headers } = await stream.head();
  const text = (await stream.whole()).toString();
  return { status, headers, text, json: JSON.parse(text) };
}

/** The error event at the end of a cut stream; everything before it is `sent`. */
function assertCut(text, sent, code) {
  assert.ok(text.startsWith(sent), JSON.stringify(text));
  assert.ok(!text.includes("[DONE]"), "a cut answer must not look whole");
  const rest = text.slice(sent.length).replace(/^(: keep-alive\n\n)*/, "");
  const match = /^data: (\{"error":.*\})\n\n$/.exec(rest);
  assert.ok(match, `one error event, not ${JSON.stringify(rest)}`);
  const { error } = JSON.parse(match[1]);
  assert.equal(error.code, code);
  assert.equal(error.type, "server_error");
  assert.ok(error.message.length > 0);
  assert.ok("param" in error);
}

for (const stream of [false, true]) {
  describe(`${stream ? "a stream" : "a plain answer"} from a backend`, () => {
    let scene, caller;
    before(async () => {
      scene = await openScene({
        // One backend that fails and fails, and is to be asked all the same.
        settings: {
          FIRST_BYTE_TIMEOUT_MS: "700",
          STALL_TIMEOUT_MS: "700",
          BREAKER_FAILURES: "0",
          BACKEND_ATTEMPTS: "1",
        },
      });
      caller = await scene.signIn();
    });
    after(() => scene?.close());

    afterEach(() => scene.upstream.always(null));

    const ask = async (script) => {
      const asked = stream ? caller.stream().then(answered) : caller.chat();
      await script(await scene.upstream.next());
      return asked;
    };
    const json = { "content-type": "application/json" };

    test("that says 400 in the envelope: its status and message", async () => {
      const answer = await ask((exchange) =>
        exchange.reply(
          {
            error: {
              message: "prompt is too long: 9000 > 2048",
              type: "exceed_context_size_error",
              code: 400,
              param: null,
              n_ctx: 2048,
            },
          },
          400,
        ),
      );
      assert.equal(answer.status, 400);
      assert.match(answer.headers.get("content-type"), /^application\/json/);
      assert.ok(answer.headers.get("x-request-id"));
      assert.equal(answer.json.error.message, "prompt is too long: 9000 > 2048");
      for (const member of ["type", "code", "param"]) assert.ok(member in answer.json.error, member);
    });

    const strange = {
      "an error that is a string": [`{"error":"model not loaded"}`, json, /model not loaded/],
      "a detail": [`{"detail":"no such thing"}`, json, /no such thing/],
      "plain text": ["bad luck", { "content-type": "text/plain" }, /bad luck/],
      "a page": ["<html><h1>Nope</h1></html>", { "content-type": "text/html" }, /./],
      nothing: ["", json, /./],
    };
    for (const status of [404, 422]) {
      for (const [title, [body, headers, message]] of Object.entries(strange)) {
        test(`that says ${status} with ${title}: its status, put into the envelope`, async () => {
          const answer = await ask((exchange) => exchange.sendHead(status, headers).end(body));
          assert.equal(answer.status, status);
          assert.match(answer.headers.get("content-type"), /^application\/json/);
          assert.match(answer.json.error.message, message);
          for (const member of ["type", "code", "param"]) assert.ok(member in answer.json.error, member);
        });
      }
    }

    test("that says 429: 429, and when to try again", async () => {
      const answer = await ask((exchange) =>
        exchange.reply({ error: { message: "slow down" } }, 429, { "retry-after": "7" }),
      );
      assert.equal(answer.status, 429);
      assert.equal(answer.headers.get("retry-after"), "7");
    });

    test("that refuses our key: 502, for the caller cannot do anything about it", async () => {
      for (const status of [401, 403]) {
        const answer = await ask((exchange) =>
          exchange.reply({ error: { message: "Invalid API Key" } }, status),
        );
        const { message } = assertFailure(answer, 502, "upstream_error");
        assert.doesNotMatch(message, /Invalid API Key/);
      }
    });

    for (const status of [500, 501, 502, 503, 504, 529]) {
      test(`that says ${status}: a server error in the envelope that tells when to retry`, async () => {
        const answer = await ask((exchange) =>
          exchange.reply({ error: { message: "out of memory at 0xdeadbeef" } }, status),
        );
        assert.ok([502, 503, 504].includes(answer.status), `${answer.status}`);
        assertFailure(
          answer,
          answer.status,
          { 502: "upstream_error", 503: "no_backend_available", 504: "upstream_timeout" }[answer.status],
        );
        assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
      });
    }

    for (const cut of ["fin", "drop"]) {
      test(`that goes away before its head (${cut}), however often it is asked: 502 or 503`, async () => {
        scene.upstream.always((exchange) => exchange[cut]());
        const answer = await (stream ? caller.stream().then(answered) : caller.chat());
        assert.ok([502, 503].includes(answer.status), answer.text);
        assertFailure(
          answer,
          answer.status,
          { 502: "upstream_error", 503: "no_backend_available" }[answer.status],
        );
        assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
      });

      test(`that went away before its head (${cut}) once is asked again by the next caller`, async () => {
        scene.upstream.always((exchange) => exchange.reply(completion()));
        assert.equal((await caller.chat()).status, 200);
      });
    }

    test("that is silent: 504 after FIRST_BYTE_TIMEOUT_MS, and the backend may rest", async () => {
      const start = performance.now();
      let exchange;
      const answer = await ask((one) => {
        exchange = one;
      });
      const took = performance.now() - start;
      assertFailure(answer, 504, "upstream_timeout");
      assert.ok(took > 600 && took < 3000, `${took.toFixed(0)} ms`);
      await within(1000, exchange.closed, "the request to the backend is closed");
    });

    if (stream) return;

    test("that gives 200 and no JSON: 502", async () => {
      for (const [body, headers] of [
        ["<html></html>", { "content-type": "text/html" }],
        ["{cut", json],
        ["", json],
      ]) {
        const answer = await ask((exchange) => exchange.sendHead(200, headers).end(body));
        assertFailure(answer, 502, "upstream_error");
      }
    });

    for (const cut of ["fin", "drop"]) {
      test(`that breaks off in mid-body (${cut}): 502`, async () => {
        const answer = await ask(async (exchange) => {
          exchange.sendHead(200, json);
          await exchange.send(`{"id":"chatcmpl`);
          exchange[cut]();
        });
        assertFailure(answer, 502, "upstream_error");
      });
    }

    test("that stalls in mid-body: 504", async () => {
      const answer = await ask(async (exchange) => {
        exchange.sendHead(200, json);
        await exchange.send(`{"id":"chatcmpl`);
      });
      assertFailure(answer, 504, "upstream_timeout");
    });

    test("that redirects: 502, and nobody follows", async () => {
      const answer = await ask((exchange) => exchange.sendHead(307, { location: "/elsewhere" }).end());
      assertFailure(answer, 502, "upstream_error");
    });
  });
}

describe("a stream that has begun", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({
      settings: {
        STALL_TIMEOUT_MS: "700",
        HEARTBEAT_MS: "200",
        FIRST_BYTE_TIMEOUT_MS: "1500",
        EVENT_LIMIT_BYTES: "4096",
        BREAKER_FAILURES: "0",
      },
    });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  async function begun(...pieces) {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead();
    for (const piece of pieces) await exchange.send(piece);
    await stream.until(pieces.join(""));
    return { stream, exchange };
  }
  const first = event({ role: "assistant" }) + event({ content: "The" });

  for (const cut of ["fin", "drop"]) {
    test(`and is cut between events (${cut}) ends with one error event`, async () => {
      const { stream, exchange } = await begun(first);
      exchange[cut]();
      assertCut((await stream.whole()).toString(), first, "upstream_error");
    });

    test(`and is cut inside an event (${cut}) ends with one error event instead of half of another`, async () => {
      const { stream, exchange } = await begun(first);
      await exchange.send(event({ content: " capital" }).slice(0, 50));
      exchange[cut]();
      assertCut((await stream.whole()).toString(), first, "upstream_error");
    });

    test(`and is cut before its first event (${cut}) fails, by status or by event`, async () => {
      const stream = await caller.stream();
      const exchange = await scene.upstream.next();
      exchange.sendHead();
      exchange[cut]();
      const { status } = await stream.head();
      if (status === 200) assertCut((await stream.whole()).toString(), "", "upstream_error");
      else assert.equal(status, 502);
    });
  }

  test("and ends properly but without [DONE] and without a finish reason ends with one error event", async () => {
    const { stream, exchange } = await begun(first);
    exchange.end();
    assertCut((await stream.whole()).toString(), first, "upstream_error");
  });

  test("and ends with a finish reason and without [DONE] is whole: it gets its [DONE]", async () => {
    const all = first + event({}, "stop");
    const { stream, exchange } = await begun(all);
    exchange.end();
    assert.equal((await stream.whole()).toString(), all + DONE);
  });

  test("and brings an error of the backend's own ends with it, once", async () => {
    const { stream, exchange } = await begun(first);
    const error = `data: {"error":{"message":"CUDA out of memory","type":"server_error","code":500}}\n\n`;
    exchange.end(error);
    const text = (await stream.whole()).toString();
    assert.ok(text.startsWith(first));
    assert.ok(!text.includes("[DONE]"));
    assert.equal(text.match(/"error":/g).length, 1, text);
  });

  test("and stalls ends with one error event after STALL_TIMEOUT_MS, heartbeats or not, and the backend may rest", async () => {
    const { stream, exchange } = await begun(first);
    const start = performance.now();
    assertCut((await stream.whole()).toString(), first, "upstream_timeout");
    const took = performance.now() - start;
    assert.ok(took > 500 && took < 3000, `${took.toFixed(0)} ms`);
    await within(1000, exchange.closed, "the request to the backend is closed");
  });

  test("with heartbeats and then hears nothing ends with one error event after FIRST_BYTE_TIMEOUT_MS", async () => {
    const stream = await caller.stream();
    await scene.upstream.next();
    assertCut((await stream.whole()).toString(), "", "upstream_timeout");
  });

  test("with heartbeats and then gets a refusal ends with one error event that has the backend's message", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    await stream.until(": keep-alive\n\n");
    exchange.reply(
      { error: { message: "prompt is too long", type: "invalid_request_error", code: 400 } },
      400,
    );
    const text = (await stream.whole()).toString();
    assert.match(text, /prompt is too long/);
    assert.ok(!text.includes("[DONE]"));
  });

  test("and is no event stream is 502", async () => {
    const stream = await caller.stream();
    const exchange = await scene.upstream.next();
    exchange.sendHead(200, { "content-type": "text/html" }).end("<html></html>");
    assertFailure(await answered(stream), 502, "upstream_error");
  });
});

test("a stream that has begun and stalls is cut after STALL_TIMEOUT_MS though no heartbeat is due", async (t) => {
  const scene = await openScene({ settings: { STALL_TIMEOUT_MS: "500", HEARTBEAT_MS: "15000" } });
  t.after(() => scene.close());
  const caller = await scene.signIn();
  const stream = await caller.stream();
  const exchange = await scene.upstream.next();
  await exchange.sendHead().send(event({ role: "assistant" }));
  const start = performance.now();
  assertCut((await stream.whole()).toString(), event({ role: "assistant" }), "upstream_timeout");
  assert.ok(performance.now() - start < 3000, `${(performance.now() - start).toFixed(0)} ms`);
});

describe("backends that are not there", () => {
  let scene, caller, port;
  before(async () => {
    port = await deadPort();
    scene = await openScene({
      settings: { CATALOG_TTL_MS: "100", PROBE_TIMEOUT_MS: "300" },
      backends: [
        {
          id: "gone",
          provider: "openai",
          url: `http://127.0.0.1:${port}`,
          models: { "text-model": { capabilities: { chat: true, streaming: true } } },
        },
      ],
    });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  test("leave health as it is", async () => {
    assert.deepEqual((await scene.anonymous.get("/health")).json, { status: "ok" });
  });

  for (const stream of [false, true]) {
    test(`give 503 and when to try again, ${stream ? "streamed" : "plain"}`, async () => {
      const answer = await caller.chat({ stream });
      assertFailure(answer, 503, "no_backend_available");
      assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
    });
  }

  test("are down in the capabilities", async () => {
    const { json } = await caller.get("/v1/capabilities");
    assert.deepEqual(
      json.data.map(({ backend, status }) => ({ backend, status })),
      [{ backend: "gone", status: "down" }],
    );
  });

  test("serve no model", async () => {
    assert.deepEqual((await caller.get("/v1/models")).json, { object: "list", data: [] });
  });

  test("never show their address", async () => {
    for (const path of ["/v1/capabilities", "/v1/models"])
      assert.ok(!(await caller.get(path)).text.includes(String(port)), path);
    assert.ok(!(await caller.chat()).text.includes(String(port)));
  });
});
