// Several backends of several kinds: what they serve, who is asked, what happens when one goes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, startUpstream } from "./upstream.mjs";
import { eventually } from "./within.mjs";

describe("what a model can do is found out", () => {
  const rows = [
    ["vllm", [], { chat: true, completions: true, embeddings: false }],
    ["vllm", ["embeddings"], { chat: false, completions: false, embeddings: true, streaming: false }],
    ["ollama", ["vision", "tools"], { vision: true, tool_calling: true }],
    ["ollama", [], { vision: false, tool_calling: false }],
    ["llamacpp", ["vision"], { vision: true, embeddings: false }],
    ["llamacpp", ["embeddings"], { vision: false, embeddings: true }],
  ];
  for (const [kind, capabilities, expected] of rows) {
    test(`from ${kind} with ${capabilities.join(" and ") || "nothing special"}`, async () => {
      const upstream = await startUpstream({ kind, models: ["m"], capabilities });
      const scene = await openScene({ backends: [{ id: "b", provider: kind, url: upstream.url }] });
      try {
        const caller = await scene.signIn();
        const [backend] = (await caller.get("/v1/capabilities")).json.data;
        assert.equal(backend.provider, kind);
        const [model] = backend.models;
        assert.equal(model.id, "m");
        for (const [name, value] of Object.entries({ chat: true, streaming: true, ...expected }))
          assert.equal(model.capabilities[name], value, name);
        const [listed] = (await caller.get("/v1/models")).json.data;
        assert.equal(listed.owned_by, kind);
        assert.deepEqual(upstream.unmatched, []);
      } finally {
        await scene.close();
        await upstream.close();
      }
    });
  }

  test("and what the configuration states wins", async () => {
    const upstream = await startUpstream({ kind: "ollama", models: ["m"], capabilities: [] });
    const scene = await openScene({
      backends: [
        { id: "b", provider: "ollama", url: upstream.url, models: { m: { capabilities: { vision: true } } } },
      ],
    });
    try {
      const caller = await scene.signIn();
      const [{ capabilities }] = (await caller.get("/v1/capabilities")).json.data[0].models;
      assert.equal(capabilities.vision, true);
      assert.equal(capabilities.tool_calling, false);
    } finally {
      await scene.close();
      await upstream.close();
    }
  });
});

describe("three backends", () => {
  let scene, caller, first, second, third;
  before(async () => {
    first = await startUpstream({ kind: "vllm", models: ["shared", "a"] });
    second = await startUpstream({ kind: "llamacpp", models: ["shared"] });
    third = await startUpstream({ kind: "ollama", models: ["z", "b"] });
    scene = await openScene({
      settings: { CATALOG_TTL_MS: "100", PROBE_TIMEOUT_MS: "500", SECOND_KEY: "sk-second" },
      backends: [
        {
          id: "first",
          provider: "vllm",
          url: first.url,
          models: {
            shared: { capabilities: { tool_calling: true, vision: false } },
            a: { capabilities: { tool_calling: false, vision: false } },
          },
        },
        { id: "second", provider: "llamacpp", url: `${second.url}/`, api_key: "SECOND_KEY" },
        { id: "third", provider: "ollama", url: third.url },
      ],
    });
    scene.conceal("sk-second");
    caller = await scene.signIn();
  });
  after(async () => {
    await scene?.close();
    for (const upstream of [first, second, third]) {
      await upstream?.close();
      assert.deepEqual(upstream?.unmatched, [], upstream?.kind);
    }
  });

  test("serve the union of their models, each once, sorted", async () => {
    const { json } = await caller.get("/v1/models");
    assert.deepEqual(
      json.data.map(({ id }) => id),
      ["a", "b", "shared", "z"],
    );
    assert.deepEqual(
      json.data.map(({ owned_by }) => owned_by).filter((_, index) => index !== 2),
      ["vllm", "ollama", "ollama"],
    );
  });

  test("are each listed with what they can do", async () => {
    const { json } = await caller.get("/v1/capabilities");
    assert.deepEqual(
      json.data.map(({ backend, provider, status }) => `${backend} ${provider} ${status}`).sort(),
      ["first vllm up", "second llamacpp up", "third ollama up"],
    );
  });

  test("are asked for the models that they serve", async () => {
    for (const [model, upstream] of [
      ["a", first],
      ["z", third],
    ]) {
      const answer = caller.chat({ model });
      const exchange = await upstream.next();
      assert.equal(exchange.json.model, model);
      assert.equal(exchange.headers.authorization, undefined, "a backend without a key gets none");
      exchange.reply(completion());
      assert.equal((await answer).status, 200);
    }
  });

  test("that can do what is asked are preferred to those that cannot", async () => {
    const answer = caller.chat({ model: "shared", tools: [{ type: "function", function: { name: "f" } }] });
    (await first.next()).reply(completion());
    assert.equal((await answer).status, 200);
  });

  test("that hang do not keep the others from being listed", async () => {
    third.discovery = "hang";
    const start = performance.now();
    await eventually(
      5000,
      async () => {
        const { json } = await caller.get("/v1/capabilities");
        return json.data.find(({ backend }) => backend === "third").status !== "up";
      },
      "the hanging backend is no longer up",
    );
    const { json } = await caller.get("/v1/models");
    assert.ok(json.data.some(({ id }) => id === "shared"));
    assert.ok(performance.now() - start < 5000);
    third.discovery = "answer";
    await eventually(
      5000,
      async () => (await caller.get("/v1/models")).json.data.length === 4,
      "it comes back by itself",
    );
  });

  test("take over from each other before the first byte when one is gone", async () => {
    await first.close();
    for (const stream of [false, true]) {
      const answer = caller.chat({ model: "shared", stream });
      const exchange = await second.next();
      assert.equal(exchange.headers.authorization, "Bearer sk-second");
      if (stream) exchange.sendHead().end("data: [DONE]\n\n");
      else exchange.reply(completion());
      assert.equal((await answer).status, 200);
    }
  });

  test("that are gone for good leave the list and are reported down", async () => {
    await eventually(
      5000,
      async () => !(await caller.get("/v1/models")).json.data.some(({ id }) => id === "a"),
      "its own model leaves the list",
    );
    const { json } = await caller.get("/v1/capabilities");
    assert.equal(json.data.find(({ backend }) => backend === "first").status, "down");
  });
});

describe("two backends with the same model", () => {
  const embedding = { object: "list", data: [], model: "m", usage: { prompt_tokens: 1, total_tokens: 1 } };
  let one, other, scene, caller, held;
  const count = (upstream) => held.filter((request) => request.upstream === upstream).length;
  /** One more request, once a backend has it. */
  const embed = async () => {
    const before = held.length;
    const stream = await caller.connect("/v1/embeddings", { model: "m", input: "a" });
    await eventually(5000, () => held.length > before, "a backend has it");
    return stream;
  };
  const start = async (weight, settings = {}) => {
    held = [];
    [one, other] = [await startUpstream({ models: ["m"] }), await startUpstream({ models: ["m"] })];
    for (const upstream of [one, other]) upstream.always((exchange) => held.push({ upstream, exchange }));
    const models = { m: { capabilities: { embeddings: true } } };
    scene = await openScene({
      settings,
      backends: [
        { id: "one", provider: "openai", url: one.url, models, weight },
        { id: "other", provider: "openai", url: other.url, models },
      ],
    });
    caller = await scene.signIn();
  };
  const stop = async () => {
    await scene.close();
    for (const upstream of [one, other]) await upstream.close();
  };

  test("share the work by what each has under way, and by weight", async () => {
    await start(3);
    const asked = [];
    for (let at = 0; at < 8; at += 1) asked.push(await embed());
    assert.deepEqual([count(one), count(other)], [6, 2]);
    // The small one is done, the big one is not: all that comes goes to the small one, until they are even.
    for (const [at, { upstream, exchange }] of held.entries()) {
      if (upstream !== other) continue;
      exchange.reply(embedding);
      assert.equal((await asked[at].head()).status, 200);
    }
    for (let at = 0; at < 2; at += 1) asked.push(await embed());
    assert.deepEqual([count(one), count(other)], [6, 4]);
    for (const { exchange } of held) if (!exchange.isOver) exchange.reply(embedding);
    for (const answer of asked) assert.equal((await answer.head()).status, 200);
    await stop();
  });

  test("get nothing new at weight 0", async () => {
    await start(0);
    const asked = [];
    for (let at = 0; at < 4; at += 1) asked.push(await embed());
    assert.deepEqual([count(one), count(other)], [0, 4]);
    for (const { exchange } of held) exchange.reply(embedding);
    for (const answer of asked) assert.equal((await answer.head()).status, 200);
    await stop();
  });

  test("are not thought busy for callers who have left", async () => {
    await start(1, { CONNECT_TIMEOUT_MS: "100" });
    const asked = [];
    for (let at = 0; at < 8; at += 1) asked.push(await embed());
    // All who wait for the one go; the other's stay.
    for (const [at, { upstream }] of held.entries()) if (upstream === one) asked[at].reset();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const before = held.length;
    for (let at = 0; at < 4; at += 1) asked.push(await embed());
    assert.deepEqual(
      held.slice(before).map(({ upstream }) => upstream === one),
      [true, true, true, true],
    );
    for (const { exchange } of held) exchange.reply(embedding);
    await stop();
  });
});
