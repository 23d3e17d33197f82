// Records what the real servers answer, for the tests that need none: `node tests/backends/record.mjs`
// writes tests/fixtures/SERVER/CASE.json anew.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { startLlama, startMinilm, startOllama, startVllm } from "./servers.mjs";

const FOLDER = fileURLToPath(new URL("../fixtures/", import.meta.url));
/** What a file holds of an answer, in characters: fixtures are read by people. */
const LIMIT = 12_000;

const messages = [{ role: "user", content: "Say hello in five words." }];
const question = [{ role: "user", content: "What is the weather in Paris? Use the tool." }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [
  { type: "function", function: { name: "get_weather", description: "The weather", parameters } },
];
const CHAT = "/v1/chat/completions";

/** A body without even a model. */
const EMPTY = Object.freeze({});
const usage = { stream_options: { include_usage: true } };
const continuous = { stream_options: { include_usage: true, continuous_usage_stats: true } };
const chat = (extra) => ({ messages, max_tokens: 12, temperature: 0, ...extra });
const call = (extra) =>
  chat({ messages: question, tools, tool_choice: "required", max_tokens: 64, ...extra });
const complete = (extra) => ({ prompt: "The capital of France is", max_tokens: 5, temperature: 0, ...extra });

/** Asked of every server that writes. */
const COMMON = {
  models: ["/v1/models"],
  chat: [CHAT, chat()],
  "chat-stream": [CHAT, chat({ stream: true })],
  "chat-stream-usage": [CHAT, chat({ stream: true, ...usage })],
  completion: ["/v1/completions", complete()],
  "completion-stream": ["/v1/completions", complete({ stream: true })],
  "completion-stream-usage": ["/v1/completions", complete({ stream: true, ...usage })],
  tools: [CHAT, call()],
  "tools-stream": [CHAT, call({ stream: true, ...usage })],
  embeddings: ["/v1/embeddings", { input: "a cat" }],
  "embeddings-empty": ["/v1/embeddings", EMPTY],
  "unknown-model": [CHAT, chat({ model: "nope" })],
  "wrong-type": [CHAT, chat({ temperature: "hot" })],
};
const tooLong = [CHAT, chat({ messages: [{ role: "user", content: "hello ".repeat(4000) }] })];

const SERVERS = {
  llamacpp: [startLlama, { ...COMMON, props: ["/props"], "too-long": tooLong }],
  minilm: [
    startMinilm,
    {
      models: ["/v1/models"],
      embeddings: ["/v1/embeddings", { input: "a cat" }],
      "embeddings-base64": ["/v1/embeddings", { input: "a cat", encoding_format: "base64" }],
      "embeddings-empty": ["/v1/embeddings", EMPTY],
      props: ["/props"],
      chat: [CHAT, chat()],
    },
  ],
  ollama: [
    startOllama,
    {
      ...COMMON,
      tags: ["/api/tags"],
      show: ["/api/show", {}],
      version: ["/api/version"],
      "embeddings-base64": ["/v1/embeddings", { input: "a cat", encoding_format: "base64" }],
    },
  ],
  vllm: [
    startVllm,
    {
      ...COMMON,
      "chat-stream-continuous": [CHAT, chat({ stream: true, ...continuous })],
      "completion-stream-continuous": ["/v1/completions", complete({ stream: true, ...continuous })],
      "tools-stream-continuous": [CHAT, call({ stream: true, ...continuous })],
      "too-long": tooLong,
      version: ["/version"],
      "get-chat": [CHAT],
      "get-completions": ["/v1/completions"],
      "get-embeddings": ["/v1/embeddings"],
      metrics: ["/metrics"],
    },
  ],
};

for (const [name, [start, cases]] of Object.entries(SERVERS)) {
  const server = await start();
  try {
    await rm(FOLDER + name, { recursive: true, force: true });
    await mkdir(FOLDER + name, { recursive: true });
    for (const [title, [path, given]] of Object.entries(cases)) {
      const body = given === EMPTY ? {} : given && { model: server.model, ...given };
      const { status, type, text } = await server.ask(path, body);
      const fixture = {
        request: { path, ...(body && { body: shortened(body) }) },
        status,
        type,
        text: cleaned(title, text),
      };
      await writeFile(`${FOLDER}${name}/${title}.json`, `${JSON.stringify(fixture, null, 2)}\n`);
      console.log(`${name}/${title}: ${status}, ${text.length} characters`);
    }
  } finally {
    await server.stop();
  }
}

function shortened(body) {
  return JSON.parse(
    JSON.stringify(body, (_, value) => (value?.length > 1000 ? `${value.slice(0, 60)}…` : value)),
  );
}

/** Without what belongs to one machine, and no more than is needed. */
function cleaned(title, text) {
  if (title === "metrics")
    return `${text
      .split("\n")
      .filter((line) =>
        /^vllm:(num_requests|prompt_tokens|generation_tokens|iteration_tokens_total_count)/.test(line),
      )
      .join("\n")}\n`;
  if (title === "props") {
    const { modalities, chat_template_caps, build_info, total_slots } = JSON.parse(text);
    return JSON.stringify({ modalities, chat_template_caps, build_info, total_slots });
  }
  if (title === "show") {
    const { capabilities, details } = JSON.parse(text);
    return JSON.stringify({ capabilities, details: { ...details, parent_model: "" } });
  }
  if (title.startsWith("embeddings") && text.length > LIMIT / 4) {
    const answer = JSON.parse(text);
    for (const item of answer.data ?? [])
      item.embedding = item.embedding.slice(0, Array.isArray(item.embedding) ? 8 : 32);
    return JSON.stringify(answer);
  }
  return text.replaceAll(/"(\/[\w.-]+)+\/([\w.-]+)"/g, '"$2"').slice(0, LIMIT);
}
