// Recorded answers of real servers (tests/fixtures) on their way through the edge: what a user gets is what the
// OpenAI API promises, whichever server it came from.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chunksOf, dataOf } from "./events.mjs";
import { assertFailure, openScene } from "./scene.mjs";

const FOLDER = fileURLToPath(new URL("../fixtures/", import.meta.url));
const TOKENS = 60_000;

function read(server) {
  const names = readdirSync(FOLDER + server).map((name) => name.replace(/\.json$/, ""));
  return Object.fromEntries(
    names.map((name) => [name, JSON.parse(readFileSync(`${FOLDER}${server}/${name}.json`, "utf8"))]),
  );
}

/** A server that answers what the real one did: questions by their path, work as the test says. */
async function replay(fixtures) {
  const state = { work: null, sent: null };
  const questions = new Map(
    Object.entries(fixtures)
      .filter(([, { request }]) => !request.body || /^(show|embeddings-empty)$/.test(name(request, fixtures)))
      .map(([, fixture]) => [`${fixture.request.body ? "POST" : "GET"} ${fixture.request.path}`, fixture]),
  );
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const isWork = request.method === "POST" && request.url.startsWith("/v1/") && body !== "{}";
    const fixture = isWork ? state.work : questions.get(`${request.method} ${request.url}`);
    if (isWork) state.sent = JSON.parse(body);
    const { status, type, text } = fixture ?? { status: 404, type: "text/plain", text: "" };
    response.writeHead(status, { "content-type": type ?? "text/plain" }).end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(state, {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  });
}

const name = (request, fixtures) =>
  Object.keys(fixtures).find((title) => fixtures[title].request === request);
const textOf = (chunks) =>
  chunks.map(({ choices: [choice] }) => choice?.delta?.content ?? choice?.text ?? "").join("");

/** Which recording is the answer to what the edge asks, for a caller who asked for a stream without more. */
const ASKED = { llamacpp: "", ollama: "-usage", vllm: "-continuous" };
const EXPECTED = {
  llamacpp: { chat: true, completions: true, embeddings: false, tool_calling: true },
  ollama: { chat: true, completions: true, embeddings: false, tool_calling: false },
  vllm: { chat: true, completions: true, embeddings: false, tool_calling: true },
  minilm: { chat: false, completions: false, embeddings: true, tool_calling: false },
};

for (const [kind, capabilities] of Object.entries(EXPECTED)) {
  const fixtures = read(kind);
  describe(`what the real ${kind} said`, () => {
    let server, scene, caller, model;
    before(async () => {
      server = await replay(fixtures);
      const provider = kind === "minilm" ? "llamacpp" : kind;
      scene = await openScene({
        settings: { RATE_LIMIT_TPM: String(TOKENS), ADMISSION_LEASE_MS: "0", BREAKER_FAILURES: "0" },
        backends: [{ id: "b", provider, url: server.url }],
      });
      caller = await scene.signIn();
      model = (await caller.get("/v1/models")).json.data[0].id;
    });
    after(async () => {
      await scene?.close();
      await server?.close();
    });

    const play = (title) => (server.work = fixtures[title]);
    const spent = async () =>
      TOKENS - Number((await caller.get("/v1/models")).headers.get("x-ratelimit-remaining-tokens"));
    const stream = async (path, body) => {
      const connection = await caller.connect(path, { model, stream: true, ...body });
      const { status } = await connection.head();
      const text = (await connection.whole()).toString();
      assert.equal(status, 200, text);
      return text;
    };

    test("of its models is understood", async () => {
      const [entry] = (await caller.get("/v1/capabilities")).json.data;
      assert.equal(entry.status, "up");
      assert.deepEqual({ ...entry.capabilities, ...capabilities }, entry.capabilities);
    });

    if (kind === "minilm") {
      test("of embeddings passes", async () => {
        for (const title of ["embeddings", "embeddings-base64"]) {
          play(title);
          const { status, text } = await caller.post("/v1/embeddings", { model, input: "a cat" });
          assert.equal(status, 200);
          assert.equal(text, fixtures[title].text);
        }
      });
      return;
    }

    for (const [path, title, question] of [
      ["/v1/chat/completions", "chat", { messages: [{ role: "user", content: "Hello" }] }],
      ["/v1/completions", "completion", { prompt: "Hello" }],
    ]) {
      test(`to a plain ${title} passes byte for byte`, async () => {
        play(title);
        const { status, text } = await caller.post(path, { model, ...question });
        assert.equal(status, 200, text);
        assert.equal(text, fixtures[title].text);
      });

      test(`in a stream of a ${title} comes without the usage that the edge asked for, which is charged`, async () => {
        play(`${title}-stream${ASKED[kind]}`);
        const recorded = chunksOf(server.work.text);
        const before = await spent();
        const text = await stream(path, question);
        const chunks = chunksOf(text);
        assert.equal(textOf(chunks), textOf(recorded));
        assert.equal(dataOf(text).at(-1), "[DONE]");
        assert.ok(chunks.every(({ choices }) => choices.length === 1));
        const isAsked = kind !== "llamacpp";
        if (isAsked) assert.ok(chunks.every(({ usage }) => !usage));
        const last = recorded.findLast((chunk) => chunk.usage ?? chunk.timings);
        const { cache_n, prompt_n, predicted_n } = last.timings ?? {};
        const total = last.usage?.total_tokens ?? cache_n + prompt_n + predicted_n;
        const charged = (await spent()) - before;
        assert.ok(charged <= total, `${charged} of ${total} are charged, but for what a second gives back`);
        assert.deepEqual(
          server.sent.stream_options,
          {
            llamacpp: undefined,
            ollama: { include_usage: true },
            vllm: { include_usage: true, continuous_usage_stats: true },
          }[kind],
        );
      });

      test(`in a stream of a ${title} comes with its usage at the end, and only there, for those who ask`, async () => {
        play(`${title}-stream${kind === "vllm" ? "-continuous" : "-usage"}`);
        const chunks = chunksOf(await stream(path, { ...question, stream_options: { include_usage: true } }));
        const withUsage = chunks.filter(({ usage }) => usage);
        assert.equal(withUsage.length, 1);
        assert.equal(withUsage[0], chunks.at(-1));
        assert.ok(withUsage[0].usage.total_tokens > 0);
        assert.equal(textOf(chunks), textOf(chunksOf(server.work.text)));
      });
    }

    if (kind !== "ollama") {
      test("of tool calls keeps to the OpenAI API", async () => {
        const question = { messages: [{ role: "user", content: "Weather?" }], tools: [{ type: "function" }] };
        play("tools");
        const { json } = await caller.chat({ model, ...question });
        const [choice] = json.choices;
        assert.equal(choice.finish_reason, "tool_calls");
        assert.equal(choice.message.tool_calls[0].function.name, "get_weather");
        play(kind === "vllm" ? "tools-stream-continuous" : "tools-stream");
        const chunks = chunksOf(await stream("/v1/chat/completions", question));
        const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
        assert.ok(pieces[0].id && pieces[0].type === "function");
        assert.ok(pieces.every(({ index }) => index === 0));
        const last = chunks.findLast(({ choices }) => choices.length > 0);
        assert.equal(last.choices[0].finish_reason, "tool_calls");
      });
    }

    test("when it refused comes in the one envelope, with its status and its words", async () => {
      const titles = Object.keys(fixtures).filter(
        (title) => /^(unknown-model|wrong-type|too-long|tools)$/.test(title) && fixtures[title].status >= 400,
      );
      assert.ok(titles.length >= 1);
      for (const title of titles) {
        for (const streamed of [false, true]) {
          play(title);
          const { status, text } = server.work;
          const answer = await caller.chat({ model, stream: streamed });
          const code = status === 404 ? "model_not_found" : "bad_request";
          const { message } = assertFailure(answer, status, answer.json.error.code);
          assert.ok([code, "invalid_value"].includes(answer.json.error.code), answer.text);
          const { error } = JSON.parse(text);
          assert.equal(message, error.message ?? error);
        }
      }
    });
  });
}
