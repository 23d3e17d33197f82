// Clients that others have made, pointed at the edge with only base URL and key changed: the official OpenAI
// packages, Vercel's AI SDK, LangChain and llm.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, generateText, streamText } from "ai";
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

describe("Vercel's AI SDK", () => {
  const prompt = "Tell a long story.";
  const provider = (apiKey = token) =>
    createOpenAICompatible({ name: "edge", baseURL: `${product.url}/v1`, apiKey, includeUsage: true });
  let model;
  before(async () => (model = await firstModel()));

  test("generates a text", async () => {
    const { text, usage, finishReason } = await generateText({
      model: provider()(model),
      prompt,
      maxOutputTokens: 20,
    });
    assert.ok(text.length > 0);
    assert.ok(usage.totalTokens > 0);
    assert.equal(finishReason, "length");
  });

  test("streams one, with its usage", async () => {
    const result = streamText({ model: provider()(model), prompt, maxOutputTokens: 30 });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    assert.ok(pieces.length >= 5 && pieces.join("").length > 0, `${pieces.length} pieces`);
    assert.ok((await result.usage).outputTokens > 0);
  });

  test("stops a stream on its way, and goes on with the next", async () => {
    const abort = new AbortController();
    const result = streamText({ model: provider()(model), prompt, abortSignal: abort.signal, onError() {} });
    for await (const _ of result.textStream) abort.abort();
    const { text } = await generateText({ model: provider()(model), prompt, maxOutputTokens: 5 });
    assert.ok(text.length > 0);
  });

  test("knows each failure by its status", async () => {
    const once = { prompt, maxRetries: 0 };
    for (const [call, status, code] of [
      [() => generateText({ model: provider("nobody")(model), ...once }), 401, "unauthorized"],
      [() => generateText({ model: provider()("nope"), ...once }), 404, "model_not_found"],
      [
        () => embed({ model: provider().textEmbeddingModel(model), value: "a", maxRetries: 0 }),
        409,
        "capability_not_supported",
      ],
    ])
      await assert.rejects(
        call,
        (error) =>
          APICallError.isInstance(error) &&
          error.statusCode === status &&
          JSON.parse(error.responseBody).error.code === code,
      );
  });
});

const python = process.env.COMIND_OPENAI_PYTHON;
const run = promisify(execFile);
const beside = (name) => fileURLToPath(new URL(name, import.meta.url));
const firstModel = async () => {
  const response = await fetch(`${product.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
  return (await response.json()).data[0].id;
};

test("PyPI's LangChain invokes, streams, stops early and names failures", async () => {
  assert.ok(python, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make e2e`");
  const { stdout } = await run(
    python,
    [beside("langchain_client.py"), `${product.url}/v1`, await firstModel()],
    { env: { ...process.env, OPENAI_API_KEY: token }, timeout: 120_000 },
  );
  const seen = JSON.parse(stdout);
  assert.ok(seen.answer.length > 0 && seen.again.length > 0);
  assert.ok(seen.tokens > 0 && seen.streamed_tokens > 0);
  assert.ok(seen.pieces >= 5 && seen.streamed.length > 0, `${seen.pieces} pieces`);
  assert.deepEqual(seen.failures, [
    ["OpenAIAuthenticationError", 401],
    ["OpenAIModelNotFoundError", 404],
  ]);
});

test("PyPI's llm answers on the command line, streamed and not", async () => {
  const model = await firstModel();
  const folder = await mkdtemp(join(tmpdir(), "llm-"));
  try {
    await writeFile(
      join(folder, "extra-openai-models.yaml"),
      `- model_id: edge\n  model_name: ${model}\n  api_base: ${product.url}/v1\n  api_key_name: edge\n`,
    );
    const llm = (key, ...args) => {
      const options = ["-m", "edge", "-n", "-o", "max_tokens", "20", "--key", key];
      const running = run(join(dirname(python), "llm"), [...options, "Tell a long story.", ...args], {
        env: { ...process.env, LLM_USER_PATH: folder },
        timeout: 120_000,
      });
      // It reads what is piped in, to its end.
      running.child.stdin.end();
      return running;
    };
    for (const args of [[], ["--no-stream"]]) {
      const { stdout } = await llm(token, ...args);
      assert.ok(stdout.trim().length > 0);
    }
    await assert.rejects(llm("nobody"), ({ stderr }) => /401/.test(stderr));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("PyPI's openai lists models, chats, streams and names failures", async () => {
  assert.ok(python, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make e2e`");
  const { stdout } = await run(python, [beside("openai_client.py"), `${product.url}/v1`], {
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
