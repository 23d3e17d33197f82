// The quickstart as a user types it: curl, the product as `make run` starts it, the real model.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { startProduct } from "./product.mjs";

let dataDir, product, token, model;

/** curl's output as JSON, and its status. */
async function curl(path, ...options) {
  const { stdout } = await promisify(execFile)("curl", [
    "-sS",
    "-w",
    "\n%{http_code}",
    product.url + path,
    ...options,
  ]);
  const end = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(end + 1)), json: JSON.parse(stdout.slice(0, end)) };
}

const bearer = () => ["-H", `Authorization: Bearer ${token}`];
const post = (body) => ["-X", "POST", "-H", "Content-Type: application/json", "-d", JSON.stringify(body)];

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "product-"));
  product = await startProduct(dataDir);
});
after(async () => {
  await product?.interrupt();
  await rm(dataDir, { recursive: true, force: true });
});

describe("the quickstart", () => {
  test("1. health check", async () => {
    assert.deepEqual(await curl("/health"), { status: 200, json: { status: "ok" } });
  });

  test("2. authenticate", async () => {
    const { status, json } = await curl(
      "/v1/auth/login",
      ...post({ email: product.user, password: product.password }),
    );
    assert.equal(status, 200);
    assert.match(json.access_token, /^eyJ/);
    assert.match(json.refresh_token, /^eyJ/);
    assert.equal(json.token_type, "bearer");
    assert.equal(json.expires_in, 3600);
    token = json.access_token;
  });

  test("3. list available models", async () => {
    const { status, json } = await curl("/v1/models", ...bearer());
    assert.equal(status, 200);
    assert.equal(json.object, "list");
    assert.ok(json.data.length >= 1);
    for (const one of json.data)
      assert.deepEqual(
        { object: one.object, owned_by: one.owned_by },
        { object: "model", owned_by: "llamacpp" },
      );
    model = json.data[0].id;
  });

  test("4. send a chat completion", async (t) => {
    const { status, json } = await curl(
      "/v1/chat/completions",
      ...bearer(),
      ...post({ model, messages: [{ role: "user", content: "What is the capital of France?" }] }),
    );
    assert.equal(status, 200);
    assert.equal(json.object, "chat.completion");
    const [choice] = json.choices;
    assert.equal(choice.index, 0);
    assert.equal(choice.message.role, "assistant");
    assert.ok(choice.message.content.length > 0);
    t.diagnostic(choice.message.content);
    assert.ok(["stop", "length"].includes(choice.finish_reason));
    const { prompt_tokens, completion_tokens, total_tokens } = json.usage;
    assert.ok(prompt_tokens > 0 && completion_tokens > 0);
    assert.equal(prompt_tokens + completion_tokens, total_tokens);
  });

  test("5. stream a response, token by token", async (t) => {
    const body = post({
      model,
      messages: [{ role: "user", content: "Write a haiku about AI" }],
      stream: true,
      max_tokens: 60,
    });
    const child = spawn("curl", ["-sSN", product.url + "/v1/chat/completions", ...bearer(), ...body]);
    const reads = [];
    child.stdout.on("data", (bytes) => reads.push({ at: performance.now(), text: bytes.toString() }));
    await once(child, "close");
    const text = reads.map((read) => read.text).join("");
    assert.match(text, /^data: \{/);
    assert.ok(text.endsWith("data: [DONE]\n\n"), text.slice(-200));
    const chunks = text
      .split("\n\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice(6)));
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("").length > 10);
    const spread = reads.at(-1).at - reads[0].at;
    assert.ok(reads.length >= 5, `${reads.length} reads`);
    assert.ok(spread > 100, `all within ${spread.toFixed(0)} ms`);
    t.diagnostic(`${chunks.length} events in ${reads.length} reads over ${spread.toFixed(0)} ms`);
  });

  test("6. check backend capabilities", async () => {
    const { status, json } = await curl("/v1/capabilities", ...bearer());
    assert.equal(status, 200);
    const [backend] = json.data;
    assert.equal(backend.provider, "llamacpp");
    assert.equal(backend.status, "up");
    assert.equal(backend.capabilities.chat, true);
    assert.equal(backend.capabilities.streaming, true);
    assert.equal(backend.capabilities.vision, false);
    assert.ok(backend.models.some(({ id }) => id === model));
  });
});

describe("troubleshooting", () => {
  test("401: the token is missing or invalid", async () => {
    const missing = await curl("/v1/models");
    assert.deepEqual([missing.status, missing.json.error.code], [401, "unauthorized"]);
    const invalid = await curl("/v1/models", "-H", "Authorization: Bearer nonsense");
    assert.deepEqual([invalid.status, invalid.json.error.code], [401, "unauthorized"]);
  });

  test("403: the token lacks the scope", async () => {
    const made = await curl(
      "/v1/api-tokens",
      ...bearer(),
      ...post({ name: "reader", scopes: ["models:read"] }),
    );
    assert.equal(made.status, 201);
    const { status, json } = await curl(
      "/v1/chat/completions",
      "-H",
      `Authorization: Bearer ${made.json.token}`,
      ...post({ model, messages: [{ role: "user", content: "Hello" }] }),
    );
    assert.deepEqual(
      [status, json.error.code, json.error.required_scope],
      [403, "insufficient_scope", "chat:write"],
    );
  });

  test("404: all routes start with /v1/", async () => {
    const { status, json } = await curl("/models", ...bearer());
    assert.deepEqual([status, json.error.code], [404, "not_found"]);
    assert.match(json.error.message, /\/v1\//);
  });

  test("409: the model cannot see", async () => {
    const content = [
      { type: "text", text: "What is it?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
    ];
    const { status, json } = await curl(
      "/v1/chat/completions",
      ...bearer(),
      ...post({ model, messages: [{ role: "user", content }] }),
    );
    assert.deepEqual([status, json.error.code], [409, "capability_not_supported"]);
    assert.match(json.error.message, /\/v1\/capabilities/);
  });
});

test("a prompt that the model has no room for is the model's own 400", async () => {
  const { status, json } = await curl(
    "/v1/chat/completions",
    ...bearer(),
    ...post({ model, messages: [{ role: "user", content: "word ".repeat(6000) }] }),
  );
  assert.equal(status, 400);
  assert.match(json.error.message, /context/);
});

test("the same steps in a Node script, with fetch alone", async () => {
  const call = (path, body) =>
    fetch(product.url + path, {
      method: body ? "POST" : "GET",
      headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: body && JSON.stringify(body),
    });
  const { data } = await (await call("/v1/models")).json();
  const messages = [{ role: "user", content: "Tell a long story." }];
  const answer = await (
    await call("/v1/chat/completions", { model: data[0].id, messages, max_tokens: 20 })
  ).json();
  assert.equal(answer.object, "chat.completion");
  const response = await call("/v1/chat/completions", {
    model: data[0].id,
    messages,
    max_tokens: 40,
    stream: true,
  });
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  let text = "";
  let reads = 0;
  for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
    text += bytes;
    reads += 1;
  }
  assert.ok(reads >= 5, `${reads} reads`);
  assert.ok(text.endsWith("data: [DONE]\n\n"));
});

test("the page is served beside the API, and whatever is neither is a failure in JSON", async () => {
  const page = await fetch(product.url);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  assert.match(page.headers.get("content-security-policy") ?? "", /default-src/);
  for (const path of ["/nope", "/v1/nope", "/nope.html", "/assets/", "/%2e%2e/package.json"]) {
    const answer = await fetch(product.url + path);
    assert.equal(answer.status, 404, path);
    assert.match(answer.headers.get("content-type"), /^application\/json/, path);
    assert.equal((await answer.json()).error.code, "not_found", path);
  }
  const posted = await fetch(product.url, { method: "POST" });
  assert.ok([404, 405].includes(posted.status));
  assert.ok((await posted.json()).error.code);
});

test("Ctrl-C ends everything, even in mid-answer; the second start is quick and knows the account", async (t) => {
  const { user, password } = product;
  const body = post({ model, messages: [{ role: "user", content: "Tell a long story." }], stream: true });
  const child = spawn("curl", ["-sSN", `${product.url}/v1/chat/completions`, ...bearer(), ...body]);
  await once(child.stdout, "data");
  assert.deepEqual(await product.interrupt(), [], "nothing of it lives on");
  await assert.rejects(fetch(`${product.url}/health`));
  product = null;
  product = await startProduct(dataDir);
  t.diagnostic(`second start in ${(product.startMs / 1000).toFixed(1)} s`);
  assert.ok(product.startMs < 10_000, `${product.startMs.toFixed(0)} ms`);
  assert.deepEqual([product.user, product.password], [user, password]);
  assert.equal((await curl("/v1/models", ...bearer())).status, 200, "the session lives on");
});
