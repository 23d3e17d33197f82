// The official OpenAI packages, pointed at the edge with only base URL and key changed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import OpenAI from "openai";

import { startProduct } from "./product.mjs";

const messages = [{ role: "user", content: "Tell a long story." }];
const image = [{ type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }];

let dataDir, product, token;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "product-"));
  product = await startProduct(dataDir);
  const post = async (path, body, headers = {}) => {
    const response = await fetch(product.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    return response.json();
  };
  const { access_token } = await post("/v1/auth/login", { email: product.user, password: product.password });
  const authorization = `Bearer ${access_token}`;
  ({ token } = await post(
    "/v1/api-tokens",
    { name: "openai", scopes: ["chat:write", "models:read"] },
    { authorization },
  ));
});
after(async () => {
  await product?.interrupt();
  await rm(dataDir, { recursive: true, force: true });
});

describe("npm's openai", () => {
  let client, model;
  before(() => {
    client = new OpenAI({ baseURL: `${product.url}/v1`, apiKey: token });
  });

  test("lists models and reads one", async () => {
    const page = await client.models.list();
    model = page.data[0].id;
    assert.equal((await client.models.retrieve(model)).id, model);
  });

  test("chats", async () => {
    const { choices, usage } = await client.chat.completions.create({ model, messages, max_tokens: 20 });
    assert.ok(choices[0].message.content.length > 0);
    assert.ok(usage.total_tokens > 0);
  });

  test("streams, with usage at the end", async () => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 40,
      stream: true,
      stream_options: { include_usage: true },
    });
    const times = [];
    let text = "";
    let usage;
    for await (const chunk of stream) {
      times.push(performance.now());
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.ok(text.length > 0);
    assert.ok(times.length >= 5 && times.at(-1) - times[0] > 50, `${times.length} chunks`);
    assert.ok(usage.completion_tokens > 0);
  });

  test("stops a stream on its way", async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const _ of stream) break;
    assert.ok(stream.controller.signal.aborted);
  });

  test("gives each failure its own class", async () => {
    const once = { maxRetries: 0 };
    const stranger = new OpenAI({ baseURL: `${product.url}/v1`, apiKey: "nobody" });
    await assert.rejects(
      stranger.models.list(once),
      (error) => error instanceof OpenAI.AuthenticationError && error.code === "unauthorized",
    );
    await assert.rejects(
      client.models.retrieve("nope", once),
      (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
    );
    await assert.rejects(
      client.chat.completions.create({ model, messages: [{ role: "user", content: image }] }, once),
      (error) => error instanceof OpenAI.ConflictError && error.code === "capability_not_supported",
    );
    await assert.rejects(
      client.chat.completions.create({ model, messages, temperature: 3 }, once),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature",
    );
  });
});

test("PyPI's openai lists models, chats, streams and names failures", async () => {
  const python = process.env.COMIND_OPENAI_PYTHON;
  assert.ok(python, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make e2e`");
  const script = fileURLToPath(new URL("openai_client.py", import.meta.url));
  const { stdout } = await promisify(execFile)(python, [script, `${product.url}/v1`], {
    env: { ...process.env, OPENAI_API_KEY: token },
    timeout: 120_000,
  });
  const seen = JSON.parse(stdout);
  assert.ok(seen.models.length >= 1);
  assert.ok(seen.answer.length > 0);
  assert.ok(seen.chunks >= 5, `${seen.chunks} chunks`);
  assert.ok(seen.spread_ms > 50, `${seen.spread_ms} ms`);
  assert.ok(seen.streamed.length > 0);
  assert.ok(seen.completion_tokens > 0);
  assert.deepEqual(seen.failures, [
    ["AuthenticationError", 401, "unauthorized"],
    ["NotFoundError", 404, "model_not_found"],
    ["BadRequestError", 400, "bad_request"],
  ]);
});
