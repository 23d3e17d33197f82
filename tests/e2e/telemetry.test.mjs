// What an operator sees: counters that a monitor's own parser reads, a line of the log for each request, traces
// that fit the collector's schema. And what nobody may see in any of them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const SERVICE_TOKEN = "service-token-of-the-telemetry-suite-0123456789";
const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PROMPT = "what nobody but the backend may read";

/** A text through the parser of who it is for. */
async function parsed(kind, text) {
  const script = fileURLToPath(new URL("telemetry_check.py", import.meta.url));
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.env.COMIND_OPENAI_PYTHON,
      [script],
      { timeout: 20_000 },
      (error, stdout) => (error ? reject(error) : resolve(JSON.parse(stdout))),
    );
    child.stdin.end(`${JSON.stringify({ kind, text })}\n`);
  });
}

/** The lines of the log that tell of requests. */
function lines(scene) {
  const all = scene.edge.log().split("\n");
  return all.filter((line) => line.startsWith('{"timestamp"')).map((line) => JSON.parse(line));
}

/** The line of one request, once it is there. */
const lineOf = (scene, id) =>
  eventually(5000, () => lines(scene).find((it) => it.request_id === id), `a line of ${id}`);

async function open(settings = {}, options = {}) {
  const scene = await openScene({ settings: { SERVICE_TOKEN, ...settings }, kind: "vllm", ...options });
  scene.conceal(SERVICE_TOKEN);
  scene.conceal(PROMPT);
  const caller = await scene.signIn();
  const monitor = scene.anonymous.as(SERVICE_TOKEN);
  const page = async () => (await monitor.get("/metrics")).text;
  return { scene, caller, page, upstream: scene.upstream };
}

const messages = [{ role: "user", content: PROMPT }];
const usage = { prompt_tokens: 9, completion_tokens: 41, total_tokens: 50 };

/** A stream that begins, and what ends it. */
const end = event({}, "stop") + `data: ${JSON.stringify({ id: "c", choices: [], usage })}\n\n` + DONE;

describe("metrics", () => {
  let scene, caller, page, upstream;
  before(
    async () =>
      ({ scene, caller, page, upstream } = await open({
        HEARTBEAT_MS: "500",
        RATE_LIMIT_RPM: "6",
        BODY_LIMIT_BYTES: "2000",
      })),
  );
  after(() => scene?.close());

  /** The value of a sample, by its name and some of its labels; sums up what fits. */
  async function value(name, labels = {}) {
    const family = Object.entries(await parsed("metrics", await page())).find(
      ([key, { samples }]) => samples.some(([sample]) => sample === name) || key === name,
    );
    assert.ok(family, name);
    const fits = ([sample, given]) =>
      sample === name && Object.entries(labels).every(([label, expected]) => given[label] === expected);
    return family[1].samples.filter(fits).reduce((sum, [, , value]) => sum + value, 0);
  }

  const route = "/v1/chat/completions";

  test("requests by route, status and provider; tokens; durations", async () => {
    const plain = caller.chat({ messages });
    (await upstream.next()).reply(completion("a", { usage }));
    assert.equal((await plain).status, 200);
    const of = { route, status: "200", provider: "vllm", method: "POST", code: "" };
    assert.equal(await value("comind_requests_total", of), 1);
    assert.equal(
      await value("comind_model_tokens_total", { provider: "vllm", model: "text-model", type: "input" }),
      9,
    );
    assert.equal(await value("comind_model_tokens_total", { type: "output" }), 41);
    assert.equal(await value("comind_request_duration_seconds_count", { route }), 1);
    assert.equal(await value("comind_first_byte_seconds_count", { provider: "vllm" }), 1);
    assert.equal(await value("comind_requests_total", { route: "/v1/auth/login", status: "200" }), 1);
    assert.ok(
      (await value("comind_object_calls_total", { namespace: "ACCOUNTS", outcome: "answered" })) >= 2,
    );
    assert.ok((await value("comind_object_calls_total", { namespace: "AUDIT", outcome: "answered" })) >= 1);
    assert.ok((await value("comind_wasm_memory_bytes")) > 65_536);
    assert.equal(await value("comind_backend_breaker_state", { backend: "main", state: "closed" }), 1);
  });

  test("the dashboard asks for nothing that is not there", async () => {
    const file = new URL("../../docs/grafana.json", import.meta.url);
    const { panels } = JSON.parse(await readFile(file, "utf8"));
    const asked = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/comind_\w+/g)));
    assert.ok(asked.length > 15);
    const there = await page();
    for (const name of asked)
      assert.match(there, new RegExp(`^# TYPE ${name.replace(/_bucket$/, "")} `, "m"), name);
    const told = [...there.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    for (const name of told)
      assert.ok(
        asked.some((one) => one.replace(/_bucket$/, "") === name),
        `${name} is on it`,
      );
  });

  test("open streams, until the last byte", async () => {
    const stream = await caller.stream({ messages });
    const exchange = (await upstream.next()).sendHead();
    await exchange.send(event({ content: "a" }));
    await stream.until('"a"');
    assert.equal(await value("comind_open_streams"), 1);
    assert.equal(await value("comind_requests_total", { route, status: "200" }), 1, "not over yet");
    exchange.end(end);
    await stream.whole();
    await eventually(3000, async () => (await value("comind_open_streams")) === 0, "no stream");
    assert.equal(await value("comind_requests_total", { route, status: "200" }), 2);
  });

  test("one whose caller has left is over too, as 499", async () => {
    const stream = await caller.stream({ messages });
    const exchange = (await upstream.next()).sendHead();
    await exchange.send(event({ content: "a" }));
    await stream.until('"a"');
    stream.reset();
    await exchange.send(event({ content: "b" }));
    await exchange.closed;
    // At once, or when it has missed three heartbeats: the runtime may have ended it without a word.
    await eventually(8000, async () => (await value("comind_open_streams")) === 0, "no stream");
    assert.equal(await value("comind_requests_total", { route, status: "499", code: "aborted" }), 1);
  });

  test("limits that were hit, by their name", async () => {
    assert.equal((await caller.post("/v1/chat/completions", { messages: "x".repeat(2000) })).status, 413);
    let last;
    for (let i = 0; i < 6 && last !== 429; i += 1) last = (await caller.get("/v1/models")).status;
    assert.equal(last, 429);
    assert.equal(await value("comind_limits_hit_total", { limit: "body" }), 1);
    assert.equal(await value("comind_limits_hit_total", { limit: "user" }), 1);
    assert.equal(
      await value("comind_requests_total", { route: "/v1/models", status: "429", code: "rate_limited" }),
      1,
    );
    await scene.anonymous.request("PUT", "/coffee");
    assert.equal(await value("comind_requests_total", { method: "PUT", route: "", status: "404" }), 1);
  });
});

describe("the log", () => {
  let scene, caller, upstream;
  before(
    async () => ({ scene, caller, upstream } = await open({ BREAKER_FAILURES: "0", BACKEND_ATTEMPTS: "1" })),
  );
  after(() => scene?.close());

  test("has a line for each request, by OpenTelemetry's names", async () => {
    const plain = caller.chat({ messages }, { headers: { "x-request-id": "plain-1" } });
    (await upstream.next()).reply(completion("a", { usage }));
    assert.equal((await plain).status, 200);
    const { timestamp, duration_ms, first_byte_ms, ...line } = await lineOf(scene, "plain-1");
    assert.ok(Math.abs(Date.parse(timestamp) - Date.now()) < 60_000, timestamp);
    assert.ok(0 <= first_byte_ms && first_byte_ms <= duration_ms && duration_ms < 20_000);
    assert.deepEqual(line, {
      level: "info",
      message: "POST /v1/chat/completions 200",
      request_id: "plain-1",
      "http.request.method": "POST",
      "http.route": "/v1/chat/completions",
      "http.response.status_code": 200,
      "user.id": scene.login.user.id,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "vllm",
      "gen_ai.request.model": "text-model",
      "gen_ai.usage.input_tokens": 9,
      "gen_ai.usage.output_tokens": 41,
      backend: "main",
      stream: false,
      attempts: 1,
    });
  });

  test("of a stream when it is over, with why it was cut", async () => {
    for (const [id, rest, error, level] of [
      ["whole-1", end, undefined, "info"],
      ["cut-1", "", "upstream_error", "warn"],
    ]) {
      const stream = await caller.stream({ messages }, { headers: { "x-request-id": id } });
      const exchange = (await upstream.next()).sendHead();
      await exchange.send(event({ content: "a" }));
      await stream.until('"a"');
      assert.equal(
        lines(scene).find((it) => it.request_id === id),
        undefined,
        "not yet",
      );
      exchange.end(rest);
      await stream.whole();
      const line = await lineOf(scene, id);
      assert.deepEqual(
        [line["http.response.status_code"], line["error.type"], line.level, line.stream],
        [200, error, level, true],
      );
      assert.equal(line["gen_ai.usage.output_tokens"], error ? undefined : 41);
    }
  });

  test("of what failed before a backend had it, without a path or a query of the caller's", async () => {
    await scene.anonymous.get(`/v1/${PROMPT.replaceAll(" ", "-")}?q=${SERVICE_TOKEN}`, {
      headers: { "x-request-id": "lost-1" },
    });
    const { timestamp, duration_ms, ...line } = await lineOf(scene, "lost-1");
    assert.deepEqual(line, {
      level: "info",
      message: "GET 404",
      request_id: "lost-1",
      "http.request.method": "GET",
      "http.response.status_code": 404,
      "error.type": "not_found",
    });
    const unknown = { model: `${PROMPT}, as a model`, messages };
    await caller.post("/v1/chat/completions", unknown, { headers: { "x-request-id": "lost-2" } });
    assert.equal((await lineOf(scene, "lost-2"))["gen_ai.request.model"], undefined);
  });

  test("has only what failed, or nothing, where that is asked for", async () => {
    for (const [REQUEST_LOG, expected] of [
      ["errors", ["bad"]],
      ["off", []],
    ]) {
      await scene.stop();
      await scene.start({ REQUEST_LOG });
      const again = await scene.signIn();
      await again.get("/v1/auth/me", { headers: { "x-request-id": "good" } });
      await scene.anonymous.get("/v1/auth/me", { headers: { "x-request-id": "bad" } });
      await scene.anonymous.get("/health");
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.deepEqual(
        lines(scene).map((it) => it.request_id),
        expected,
        REQUEST_LOG,
      );
    }
  });
});

describe("traces", () => {
  let scene, caller, page, upstream, collector;
  const bodies = [];
  const heads = [];
  before(async () => {
    collector = http.createServer(async (request, response) => {
      heads.push({ method: request.method, url: request.url, headers: request.headers });
      bodies.push(await text(request));
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
    collector.listen(0, "127.0.0.1");
    await once(collector, "listening");
    ({ scene, caller, page, upstream } = await open({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.address().port}`,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer the-collectors-own-key",
    }));
    scene.conceal("the-collectors-own-key");
  });
  after(async () => {
    await scene?.close();
    collector.close();
    collector.closeAllConnections();
  });

  const spans = () =>
    bodies.flatMap((body) => JSON.parse(body).resourceSpans[0].scopeSpans.flatMap((scope) => scope.spans));
  const attributes = (span) =>
    Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  const spansOf = (id) =>
    eventually(
      8000,
      () => {
        const own = spans().find((span) => attributes(span)["comind.request.id"] === id);
        return own && [own, spans().find((span) => span.parentSpanId === own.spanId)];
      },
      `spans of ${id}`,
    );

  test("a request's span, and the backend's call under it, which the backend is told of", async () => {
    const headers = { "x-request-id": "traced-1", traceparent: PARENT, tracestate: "v=1" };
    const plain = caller.chat({ messages }, { headers });
    const exchange = await upstream.next();
    exchange.reply(completion("a", { usage }));
    assert.equal((await plain).status, 200);
    const [own, call] = await spansOf("traced-1");
    assert.deepEqual(
      [own.traceId, own.parentSpanId, own.kind],
      [PARENT.slice(3, 35), PARENT.slice(36, 52), 2],
    );
    assert.deepEqual([call.traceId, call.kind, call.name], [own.traceId, 3, "chat text-model"]);
    assert.equal(exchange.headers.traceparent, `00-${own.traceId}-${call.spanId}-01`);
    assert.equal(exchange.headers.tracestate, "v=1");
    assert.equal(attributes(call)["gen_ai.provider.name"], "vllm");
    assert.equal(attributes(call)["gen_ai.usage.input_tokens"], "9");
    assert.ok(BigInt(own.startTimeUnixNano) <= BigInt(call.startTimeUnixNano));
    assert.equal((await lineOf(scene, "traced-1")).trace_id, own.traceId);
    const { method, url, headers: sent } = heads[0];
    assert.deepEqual([method, url, sent["content-type"]], ["POST", "/v1/traces", "application/json"]);
    assert.equal(sent.authorization, "Bearer the-collectors-own-key");
  });

  test("of a stream when it is over", async () => {
    const stream = await caller.stream({ messages }, { headers: { "x-request-id": "traced-2" } });
    const exchange = (await upstream.next()).sendHead();
    await exchange.send(event({ content: "a" }));
    await stream.until('"a"');
    exchange.end(end);
    await stream.whole();
    const [own, call] = await spansOf("traced-2");
    assert.equal(own.parentSpanId, undefined);
    assert.match(exchange.headers.traceparent, new RegExp(`^00-${own.traceId}-${call.spanId}-01$`));
    assert.equal(attributes(call)["comind.stream"], true);
  });

  test("not of what its caller does not want sampled", async () => {
    const parent = PARENT.replace(/01$/, "00");
    const plain = caller.chat(
      { messages },
      { headers: { "x-request-id": "unsampled", traceparent: parent } },
    );
    const exchange = await upstream.next();
    exchange.reply(completion());
    await plain;
    assert.equal(exchange.headers.traceparent, parent);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.ok(!spans().some((span) => attributes(span)["comind.request.id"] === "unsampled"));
  });

  test("all fit the collector's own schema, and none says what was said", async () => {
    assert.ok(bodies.length > 0);
    for (const body of bodies) {
      assert.ok((await parsed("traces", body)) > 0);
      assert.ok(!body.includes(PROMPT) && !body.includes(SERVICE_TOKEN), body);
    }
  });

  test("a collector that is not there costs nobody an answer", async () => {
    collector.close();
    collector.closeAllConnections();
    for (let i = 0; i < 3; i += 1) assert.equal((await caller.get("/v1/auth/me")).status, 200);
    await eventually(
      8000,
      async () => /^comind_spans_dropped_total [1-9]/m.test(await page()),
      "spans are dropped",
    );
    for (let i = 0; i < 3; i += 1) assert.equal((await caller.get("/v1/auth/me")).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(scene.edge.log().match(/the collector takes no spans/g)?.length, 1, "said once");
  });
});
