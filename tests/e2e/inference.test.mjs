// Completions, embeddings and the backends, beside the chat completions that every other suite is about.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { deadPort } from "./upstream.mjs";

const able = (...names) => ({
  capabilities: Object.fromEntries(
    ["chat", "completions", "embeddings", "vision", "tool_calling", "streaming"].map((name) => [
      name,
      names.includes(name),
    ]),
  ),
});

/** Spelled as no serialiser would, with members that nobody knows: the backend must see it so. */
const text = (fields) => `{ "model":"writer",\n "x_vendor": {"a":[1, 2.50]},  ${fields} }`;
const vector = (fields) => `{"model":"embedder" ,"user":"u", ${fields}}`;

let scene;
let caller;
const answerWith = (value, status) => {
  let seen;
  scene.upstream.always((exchange) => {
    seen = exchange;
    exchange.reply(value, status);
  });
  return () => seen;
};

before(async () => {
  scene = await openScene({ settings: { RATE_LIMIT_TPM: "1000000" } });
  await scene.stop();
  const [main] = JSON.parse(scene.settings.BACKENDS);
  main.models = {
    writer: able("chat", "completions", "streaming"),
    embedder: able("embeddings"),
    "text-model": able("chat", "streaming"),
  };
  const dead = { id: "dead", provider: "vllm", url: `http://127.0.0.1:${await deadPort()}` };
  await scene.start({ BACKENDS: JSON.stringify([main, dead]) });
  caller = await scene.signIn();
});
after(() => scene?.close());

describe("a completion", () => {
  const whole = {
    id: "cmpl-1",
    object: "text_completion",
    choices: [{ index: 0, text: "Paris", logprobs: null, finish_reason: "stop", x: 1 }],
    usage: { prompt_tokens: 2000, completion_tokens: 1, total_tokens: 2001 },
    x_vendor: true,
  };

  test("passes as it is, both ways, and is counted", async () => {
    const seen = answerWith(whole);
    const body = text(`"prompt":"The capital of France is","max_tokens":16,"temperature":0.0`);
    const left = ({ headers }) => Number(headers.get("x-ratelimit-remaining-tokens"));
    const before = left(await caller.get("/v1/models"));
    const { status, json } = await caller.post("/v1/completions", body);
    assert.deepEqual([status, json], [200, whole]);
    assert.equal(seen().path, "/v1/completions");
    assert.equal(seen().body.toString(), body);
    assert.equal(seen().headers.authorization, `Bearer ${scene.settings.MAIN_KEY}`);
    assert.ok(before - left(await caller.get("/v1/models")) >= 1900);
  });

  for (const prompt of [`["a","b"]`, "[1,2,3]", "[[1,2],[3]]"]) {
    test(`takes ${prompt} for a prompt`, async () => {
      answerWith(whole);
      assert.equal((await caller.post("/v1/completions", text(`"prompt":${prompt}`))).status, 200);
    });
  }

  test("streams its events to the end, one finish for each prompt", async () => {
    const piece = (index, text, finish_reason = null) =>
      `data: ${JSON.stringify({ object: "text_completion", choices: [{ index, text, finish_reason }] })}\n\n`;
    const events = [piece(0, "a"), piece(1, "b"), piece(0, "", "stop"), piece(1, "", "length")];
    for (const [count, isWhole] of [
      [4, true],
      [3, false],
    ]) {
      scene.upstream.always((exchange) => {
        exchange.sendHead(200, { "content-type": "text/event-stream" });
        for (const event of events.slice(0, count)) exchange.send(event);
        exchange.end();
      });
      const answer = await caller.post("/v1/completions", text(`"prompt":["x","y"],"stream":true`));
      assert.equal(answer.headers.get("content-type"), "text/event-stream; charset=utf-8");
      assert.ok(answer.text.startsWith(events.slice(0, count).join("")), answer.text);
      assert.equal(answer.text.includes('"code":"upstream_error"'), !isWhole);
    }
  });

  test("names the field that is wrong", async () => {
    for (const [fields, param] of [
      [`"prompt":null`, "prompt"],
      [`"prompt":[]`, "prompt"],
      [`"prompt":{"a":1}`, "prompt"],
      [`"prompt":["a",1]`, "prompt"],
      [`"prompt":"a","max_tokens":0`, "max_tokens"],
      [`"prompt":"a","top_p":2`, "top_p"],
      [`"prompt":"a","stream":1`, "stream"],
    ]) {
      const answer = await caller.post("/v1/completions", text(fields));
      assertFailure(answer, 400, "bad_request");
      assert.equal(answer.json.error.param, param, fields);
    }
  });
});

describe("an embedding", () => {
  const floats = {
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: [0.1, -1e-9, 3] }],
    model: "embedder",
    usage: { prompt_tokens: 3, total_tokens: 3 },
  };

  for (const [what, fields, answer] of [
    ["floats of a text", `"input":"a"`, floats],
    [
      "base64 of several",
      `"input":["a","b"],"encoding_format":"base64","dimensions":3`,
      { ...floats, data: [{ index: 0, embedding: "AAAA" }] },
    ],
    ["floats of tokens", `"input":[1,2],"encoding_format":"float"`, floats],
    ["floats of several as tokens", `"input":[[1],[2]]`, floats],
  ]) {
    test(`gives ${what}`, async () => {
      const seen = answerWith(answer);
      const body = vector(fields);
      const { status, json } = await caller.post("/v1/embeddings", body);
      assert.deepEqual([status, json], [200, answer]);
      assert.deepEqual([seen().path, seen().body.toString()], ["/v1/embeddings", body]);
    });
  }

  test("names the field that is wrong", async () => {
    for (const [fields, param] of [
      [`"prompt":"a"`, "input"],
      [`"input":[]`, "input"],
      [`"input":"a","encoding_format":"int8"`, "encoding_format"],
      [`"input":"a","dimensions":0`, "dimensions"],
    ]) {
      const answer = await caller.post("/v1/embeddings", vector(fields));
      assertFailure(answer, 400, "bad_request");
      assert.equal(answer.json.error.param, param, fields);
    }
  });

  test("passes a backend's refusal with its status and message", async () => {
    answerWith({ error: { message: "input is too long", type: "BadRequestError", code: 400 } }, 400);
    const answer = await caller.post("/v1/embeddings", vector(`"input":"a"`));
    assert.deepEqual([answer.status, answer.json.error.message], [400, "input is too long"]);
  });
});

test("a model is asked only for what it can do, before any backend works", async () => {
  scene.upstream.always(() => assert.fail("a backend was asked"));
  const messages = [{ role: "user", content: "a" }];
  for (const [path, body, param, name] of [
    ["/v1/embeddings", { model: "writer", input: "a" }, "input", "embeddings"],
    ["/v1/completions", { model: "text-model", prompt: "a" }, "prompt", "completions"],
    ["/v1/completions", { model: "embedder", prompt: "a" }, "prompt", "completions"],
    ["/v1/chat/completions", { model: "embedder", messages }, "messages", "chat"],
  ]) {
    const answer = await caller.post(path, body);
    assertFailure(answer, 409, "capability_not_supported");
    assert.equal(answer.json.error.param, param);
    assert.match(answer.json.error.message, new RegExp(`${name}.*/v1/capabilities`));
  }
  for (const path of ["/v1/embeddings", "/v1/completions"]) {
    const answer = await caller.post(path, { model: "embeder", input: "a", prompt: "a" });
    assert.equal(answer.json.error.code, "no_backend_available", "the dead one may have it");
    assert.match(answer.json.error.message, /Did you mean `embedder`/);
  }
});

test("the backends are listed without address and key", async () => {
  const { json, text } = await caller.get("/v1/backends");
  assert.deepEqual(json, {
    object: "list",
    data: [
      { id: "main", provider: "openai", status: "up", models: json.data[0].models },
      { id: "dead", provider: "vllm", status: "down", models: 0 },
    ],
  });
  assert.ok(json.data[0].models >= 3);
  assert.ok(!text.includes("127.0.0.1") && !text.includes(scene.settings.MAIN_KEY));
});

test("the health of each backend is that of its last probe", async () => {
  const { json } = await caller.get("/v1/backends/health");
  const [main, dead] = json.backends;
  assert.deepEqual(
    { ...main, latency_ms: 0 },
    { provider: "openai", backend: "main", status: "up", latency_ms: 0, code: 200 },
  );
  assert.ok(Number.isInteger(main.latency_ms) && main.latency_ms >= 0);
  assert.deepEqual(dead, { provider: "vllm", backend: "dead", status: "down", latency_ms: null, code: null });
});
