// The real vLLM, Ollama and llama.cpp behind the edge: what a user does with them, and how they fail.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { chunksOf, dataOf } from "../e2e/events.mjs";
import { assertFailure, openScene } from "../e2e/scene.mjs";
import { eventually } from "../e2e/within.mjs";
import { startLlama, startMinilm, startOllama, startVllm } from "./servers.mjs";

const ALL = { llamacpp: startLlama, ollama: startOllama, vllm: startVllm };
const chosen = (process.env.BACKENDS_TO_TEST ?? Object.keys(ALL).join(" ")).split(/\s+/).filter(Boolean);
for (const name of chosen) assert.ok(name in ALL, `BACKENDS_TO_TEST: there is no ${name}`);

const PATIENCE = { timeout: 240_000 };
const messages = [{ role: "user", content: "Say hello in five words." }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const image = [
  { type: "text", text: "What is this?" },
  { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
];

async function openEdge(server) {
  const scene = await openScene({
    settings: {
      HEARTBEAT_MS: "1000",
      RATE_LIMIT_TPM: "1000000",
      ADMISSION_LEASE_MS: "0",
      ...(server.key && { BACKEND_KEY: server.key }),
    },
    backends: [server.entry()],
  });
  return { scene, caller: await scene.signIn() };
}

for (const name of chosen) {
  describe(name, PATIENCE, () => {
    let server, scene, caller, model;
    before(async () => {
      server = await ALL[name]();
      ({ scene, caller } = await openEdge(server));
      ({ model } = server);
    });
    after(async () => {
      await scene?.close();
      await server?.stop();
    });

    const chat = (extra = {}) => caller.chat({ model, messages, max_tokens: 12, temperature: 0, ...extra });
    const stream = async (path, body) => {
      const connection = await caller.connect(path, { model, stream: true, temperature: 0, ...body });
      const { status } = await connection.head(60_000);
      const text = (await connection.whole(120_000)).toString();
      assert.equal(status, 200, text);
      return text;
    };
    /** What the caller has spent of its tokens. */
    const left = async () =>
      Number((await caller.get("/v1/models")).headers.get("x-ratelimit-remaining-tokens"));

    test("is listed with its model and what that can do", async () => {
      const { json } = await caller.get("/v1/models");
      assert.deepEqual(
        json.data.map(({ id, owned_by }) => [id, owned_by]),
        [[model, name]],
      );
      const [{ status, capabilities }] = (await caller.get("/v1/capabilities")).json.data;
      assert.equal(status, "up");
      assert.deepEqual(capabilities, {
        chat: true,
        completions: true,
        embeddings: false,
        vision: false,
        tool_calling: name !== "ollama",
        streaming: true,
      });
    });

    test("chats", async () => {
      const { status, json, text } = await chat();
      assert.equal(status, 200, text);
      assert.ok(json.choices[0].message.content.length > 0);
      assert.ok(["stop", "length"].includes(json.choices[0].finish_reason));
      const { prompt_tokens, completion_tokens, total_tokens } = json.usage;
      assert.ok(completion_tokens > 0 && prompt_tokens + completion_tokens === total_tokens);
    });

    test("streams a chat, without a usage that nobody asked for, and the tokens are charged", async () => {
      const before = await left();
      const text = await stream("/v1/chat/completions", { messages, max_tokens: 12 });
      assert.equal(dataOf(text).at(-1), "[DONE]");
      const chunks = chunksOf(text);
      assert.ok(chunks.map(({ choices }) => choices[0].delta.content ?? "").join("").length > 0);
      assert.ok(
        chunks.every(({ choices, usage }) => choices.length === 1 && !usage),
        text,
      );
      assert.ok(["stop", "length"].includes(chunks.at(-1).choices[0].finish_reason));
      assert.ok((await left()) < before + 20_000);
    });

    test("streams a chat with its usage at the end for those who ask", async () => {
      const chunks = chunksOf(
        await stream("/v1/chat/completions", {
          messages,
          max_tokens: 12,
          stream_options: { include_usage: true },
        }),
      );
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.ok(chunks.at(-1).usage.total_tokens > 0);
      assert.ok(chunks.slice(0, -1).every(({ usage }) => !usage));
    });

    test("completes, plain and streamed", async () => {
      const body = { model, prompt: "The capital of France is", max_tokens: 6, temperature: 0 };
      const { status, json, text } = await caller.post("/v1/completions", body);
      assert.equal(status, 200, text);
      assert.ok(json.choices[0].text.length > 0 && json.usage.total_tokens > 0);
      const streamed = await stream("/v1/completions", body);
      assert.equal(dataOf(streamed).at(-1), "[DONE]");
      assert.ok(
        chunksOf(streamed)
          .map(({ choices }) => choices[0]?.text ?? "")
          .join("").length > 0,
      );
    });

    test("keeps to a seed, a stop word and several choices where it knows them", async () => {
      const once = await chat({ seed: 7, stop: ["zebra"], temperature: 0.5, n: name === "ollama" ? 1 : 2 });
      assert.equal(once.status, 200, once.text);
      assert.equal(once.json.choices.length, name === "ollama" ? 1 : 2);
    });

    if (name === "ollama") {
      test("is not asked for tools that its model does not know", async () => {
        const error = assertFailure(await chat({ tools }), 409, "capability_not_supported");
        assert.match(error.message, /tool_calling/);
      });
    } else {
      const question = [{ role: "user", content: "What is the weather in Paris? Use the tool." }];
      test("calls a tool", async () => {
        const { status, json, text } = await chat({
          messages: question,
          tools,
          tool_choice: "required",
          max_tokens: 64,
        });
        assert.equal(status, 200, text);
        const [call] = json.choices[0].message.tool_calls;
        assert.equal(call.function.name, "get_weather");
        assert.equal(typeof call.function.arguments, "string");
        assert.ok(call.id.length > 0 && call.type === "function");
      });
      test("streams the call of a tool", async () => {
        const text = await stream("/v1/chat/completions", {
          messages: question,
          tools,
          tool_choice: "required",
          max_tokens: 64,
        });
        const pieces = chunksOf(text).flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
        assert.ok(pieces[0].id.length > 0);
        assert.equal(pieces[0].function.name, "get_weather");
        assert.ok(pieces.every(({ index }) => Number.isInteger(index)));
        assert.ok(pieces.map((piece) => piece.function?.arguments ?? "").join("").length > 0);
      });
    }

    test("is not asked for what its model cannot do", async () => {
      assertFailure(
        await caller.post("/v1/embeddings", { model, input: "a" }),
        409,
        "capability_not_supported",
      );
      assertFailure(
        await chat({ messages: [{ role: "user", content: image }] }),
        409,
        "capability_not_supported",
      );
      const error = assertFailure(await chat({ model: model.slice(0, -1) }), 404, "model_not_found");
      assert.ok(error.message.includes(model), "the close one is offered");
    });

    if (name !== "ollama") {
      for (const streamed of [false, true]) {
        test(`refuses what is too long in its own words (${streamed ? "stream" : "plain"})`, async () => {
          const long = [{ role: "user", content: "hello ".repeat(4000) }];
          const { error } = (await chat({ messages: long, stream: streamed })).json;
          assert.equal(error.type, "invalid_request_error");
          assert.match(error.message, /2048/);
        });
      }
    }

    test("refuses what only it can judge with a 4xx in the envelope, or takes it", async () => {
      const answer = await chat({ response_format: { type: "no_such_format" } });
      if (answer.status !== 200) {
        assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
        assert.equal(answer.json.error.type, "invalid_request_error");
        assert.ok(answer.json.error.message.length > 0);
      }
    });

    for (const way of ["leave", "reset"]) {
      test(`stops when the caller of a stream goes (${way})`, async () => {
        const connection = await caller.stream({ model, messages, max_tokens: 1500, ignore_eos: true });
        await connection.until('"content"', 60_000);
        if (name !== "ollama") assert.ok((await server.running()) >= 1);
        connection[way]();
        // Ollama does not say what it works on: that it takes the next one at once shows it.
        if (name !== "ollama") await eventually(2500, async () => (await server.running()) === 0, "it rests");
        else assert.equal((await chat({ max_tokens: 2 })).status, 200);
      });
    }

    test("that is killed in mid-stream ends it in an error event, and is reported down", async () => {
      const connection = await caller.stream({ model, messages, max_tokens: 1500, ignore_eos: true });
      await connection.until('"content"', 60_000);
      server.signal("SIGKILL");
      const text = (await connection.whole(15_000)).toString();
      assert.doesNotMatch(text, /\[DONE\]/);
      assert.equal(JSON.parse(dataOf(text).at(-1)).error.code, "upstream_error");
      assertFailure(await chat(), 503, "no_backend_available");
      await eventually(
        15_000,
        async () => (await caller.get("/v1/backends/health")).json.backends[0].status === "down",
        "it is reported down",
      );
    });
  });
}

if (chosen.includes("llamacpp")) {
  describe("an embedding model", PATIENCE, () => {
    let server, scene, caller, model;
    before(async () => {
      server = await startMinilm();
      ({ scene, caller } = await openEdge(server));
      ({ model } = server);
    });
    after(async () => {
      await scene?.close();
      await server?.stop();
    });
    const embed = (body) => caller.post("/v1/embeddings", { model, ...body });

    test("embeds texts and tokens, as numbers and as base64", async () => {
      const { status, json, text } = await embed({ input: "a cat" });
      assert.equal(status, 200, text);
      const vector = json.data[0].embedding;
      assert.equal(vector.length, 384);
      const packed = (await embed({ input: "a cat", encoding_format: "base64" })).json.data[0].embedding;
      const bytes = Buffer.from(packed, "base64");
      assert.equal(bytes.length, 384 * 4);
      assert.ok(Math.abs(bytes.readFloatLE(0) - vector[0]) < 1e-6);
      assert.equal((await embed({ input: ["a", "b", "c"] })).json.data.length, 3);
      assert.equal((await embed({ input: [[101, 1037, 102]] })).json.data.length, 1);
      assert.equal((await embed({ input: "a", encoding_format: null })).status, 200);
    });

    test("is not asked to chat", async () => {
      assertFailure(await caller.chat({ model }), 409, "capability_not_supported");
      assertFailure(
        await caller.stream({ model }).then(async (it) => {
          const { status, headers } = await it.head();
          const text = (await it.whole()).toString();
          return { status, headers, text, json: JSON.parse(text) };
        }),
        409,
        "capability_not_supported",
      );
    });
  });
}

if (chosen.includes("ollama")) {
  test("Ollama gives base64 to those who ask, which it does not know itself", PATIENCE, async () => {
    const server = await startOllama();
    const embeddings = { capabilities: { embeddings: true } };
    const scene = await openScene({
      backends: [{ ...server.entry(), models: { [server.model]: embeddings } }],
    });
    try {
      const caller = await scene.signIn();
      const body = { model: server.model, input: "a cat", encoding_format: "base64" };
      assert.equal(
        typeof JSON.parse((await server.ask("/v1/embeddings", body)).text).data[0].embedding,
        "object",
      );
      const { status, json, text } = await caller.post("/v1/embeddings", body);
      assert.equal(status, 200, text);
      assert.equal(Buffer.from(json.data[0].embedding, "base64").length, 576 * 4);
    } finally {
      await scene.close();
      await server.stop();
    }
  });
}
