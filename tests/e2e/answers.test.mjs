// What passes between caller and backend: bodies byte for byte, credentials and browser headers never.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";

const CHAT = "/v1/chat/completions";

let scene, caller;
before(async () => {
  scene = await openScene();
  caller = await scene.signIn();
});
after(() => scene?.close());

describe("the caller's body reaches the backend byte for byte", () => {
  const bodies = {
    "members in any order, with blanks and line ends": `\n{ "stream" : false ,\r\n\t"messages":[ {"content":"Hello", "role":"user"} ],\n "model" : "text-model" }\n `,
    "every other field of OpenAI's": JSON.stringify({
      model: "text-model",
      messages: [
        { role: "system", content: "Be brief.", name: "x" },
        { role: "user", content: [{ type: "text", text: "Hello" }] },
      ],
      stop: ["\n"],
      n: 2,
      seed: 7,
      tool_choice: "auto",
      response_format: { type: "json_object" },
      logprobs: true,
      top_logprobs: 3,
      max_completion_tokens: 9,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      logit_bias: { 50256: -100 },
      user: "ada",
      store: false,
      metadata: { a: "b" },
      parallel_tool_calls: false,
    }),
    "fields that only vendors know": `{"model":"text-model","messages":[{"role":"user","content":"Hello"}],"min_p":0.05,"repetition_penalty":1.10,"guided_regex":"[a-z]+","chat_template_kwargs":{"enable_thinking":false}}`,
    "numbers that lose digits in a float": `{"model":"text-model","messages":[{"role":"user","content":"Hello"}],"seed":12345678901234567890,"x":1.0,"y":1e2,"z":-0.0}`,
    "escapes and characters of every kind": `{"model":"text-model","messages":[{"role":"user","content":"\\u00fc ü \\ud83d\\ude00 😀 \\/ \\" \\\\ \\u0000"}]}`,
    "an escaped model name": `{"model":"text\\u002dmodel","messages":[{"role":"user","content":"Hello"}]}`,
    "a history with tool calls": JSON.stringify({
      model: "text-model",
      messages: [
        { role: "user", content: "Weather?" },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "sunny" },
      ],
    }),
  };
  for (const [title, body] of Object.entries(bodies)) {
    test(`with ${title}`, async () => {
      const answer = caller.post(CHAT, body);
      const exchange = await scene.upstream.next();
      assert.equal(exchange.body.toString(), body);
      assert.match(exchange.headers["content-type"], /^application\/json/);
      assert.equal(
        exchange.headers["content-length"] ?? String(Buffer.byteLength(body)),
        String(Buffer.byteLength(body)),
      );
      exchange.reply(completion());
      assert.equal((await answer).status, 200);
    });
  }

  test("of a megabyte, streamed", async () => {
    const body = { messages: [{ role: "user", content: "ü".repeat(500_000) }] };
    const stream = await caller.stream(body);
    const exchange = await scene.upstream.next();
    assert.deepEqual(exchange.json, {
      stream_options: { include_usage: true },
      model: "text-model",
      ...body,
      stream: true,
    });
    exchange.sendHead().end(DONE);
    await stream.whole();
  });
});

describe("the backend's answer reaches the caller byte for byte", () => {
  const bodies = {
    "fields that nobody knows": JSON.stringify(
      completion("Paris", { system_fingerprint: "b11549", timings: { a: 1.5 }, token_ids: null }),
    ),
    "blanks, line ends and odd numbers": `{ "id" : "x",\r\n "choices":[ ], "created": 12345678901234567890, "y": 1.0 }\n`,
    "tool calls": JSON.stringify(
      completion(null, {
        choices: [
          {
            index: 0,
            message: {
              role: "assistant",
              content: null,
              tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
            },
            finish_reason: "tool_calls",
          },
        ],
      }),
    ),
    "a megabyte": JSON.stringify(completion("é".repeat(500_000))),
  };
  for (const [title, body] of Object.entries(bodies)) {
    test(`with ${title}`, async () => {
      const answer = caller.chat();
      (await scene.upstream.next()).reply(body);
      const { status, text } = await answer;
      assert.equal(status, 200);
      assert.ok(text === body, text.slice(0, 200));
    });
  }

  test("in many small pieces", async () => {
    const body = JSON.stringify(completion("Zürich"));
    const answer = caller.chat();
    const exchange = await scene.upstream.next();
    exchange.sendHead(200, { "content-type": "application/json; charset=utf-8" });
    for (const byte of Buffer.from(body)) await exchange.send(Buffer.from([byte]));
    exchange.end();
    assert.equal((await answer).text, body);
  });
});

describe("the backend", () => {
  const browser = {
    cookie: "session=canary-cookie",
    origin: "https://evil.example",
    referer: "https://evil.example/page",
    "x-forwarded-for": "192.0.2.1",
    "proxy-authorization": "Basic canary",
    "x-api-key": "canary-key",
    "sec-fetch-mode": "cors",
  };
  for (const stream of [false, true]) {
    test(`gets our key for it and nothing that says who asked, ${stream ? "streamed" : "plain"}`, async () => {
      const answer = caller.chat({ stream }, { headers: browser });
      const exchange = await scene.upstream.next();
      if (stream) exchange.sendHead().end(event({ content: "a" }) + DONE);
      else exchange.reply(completion());
      assert.equal((await answer).status, 200);
      assert.equal(exchange.headers.authorization, `Bearer ${scene.settings.MAIN_KEY}`);
      assert.equal(exchange.headers.host, new URL(scene.upstream.url).host);
      for (const name of Object.keys(browser)) assert.equal(exchange.headers[name], undefined, name);
      assert.ok(!JSON.stringify(exchange.headers).includes(caller.token));
    });
  }

  test("gets our key with questions about itself too, and nobody else's", async () => {
    await caller.get("/v1/models", { headers: browser });
    await caller.get("/v1/capabilities", { headers: browser });
    assert.ok(scene.upstream.questions.length > 0);
    for (const { question, headers } of scene.upstream.questions) {
      assert.equal(headers.authorization, `Bearer ${scene.settings.MAIN_KEY}`, question);
      for (const name of ["cookie", "origin", "referer"])
        assert.equal(headers[name], undefined, `${name} with ${question}`);
    }
  });

  test("cannot set cookies or give cross-origin leave in our name", async () => {
    const answer = caller.chat();
    (await scene.upstream.next()).reply(completion(), 200, {
      "set-cookie": "a=b",
      "access-control-allow-origin": "*",
      "access-control-allow-credentials": "true",
      server: "llama.cpp",
      "x-internal-address": "10.0.0.7",
    });
    const { headers } = await answer;
    for (const name of [
      "set-cookie",
      "access-control-allow-origin",
      "access-control-allow-credentials",
      "server",
      "x-internal-address",
    ]) {
      assert.equal(headers.get(name), null, name);
    }
  });
});
