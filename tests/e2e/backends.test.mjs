// Several backends of several kinds: what they serve, who is asked, what happens when one goes.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, startUpstream } from "./upstream.mjs";
import { eventually } from "./within.mjs";

describe("what a model can do is found out", () => {
  const rows = [
    ["ollama", ["vision", "tools"], { vision: true, tool_calling: true }],
    ["ollama", [], { vision: false, tool_calling: false }],
    ["llamacpp", ["vision"], { vision: true }],
    ["llamacpp", [], { vision: false }],
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
        assert.equal(model.capabilities.chat, true);
        assert.equal(model.capabilities.streaming, true);
        for (const [name, value] of Object.entries(expected))
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
  test("share the work by what each has under way, and by weight", async () => {
    const [big, small] = [await startUpstream({ models: ["m"] }), await startUpstream({ models: ["m"] })];
    const models = { m: { capabilities: { chat: true, streaming: true } } };
    const scene = await openScene({
      backends: [
        { id: "big", provider: "openai", url: big.url, models, weight: 3 },
        { id: "small", provider: "openai", url: small.url, models },
      ],
    });
    const caller = await scene.signIn();
    const held = [];
    for (const upstream of [big, small]) upstream.always((exchange) => held.push({ upstream, exchange }));
    const count = (upstream) => held.filter((one) => one.upstream === upstream).length;
    const answers = [];
    /** One more request, once a backend has it. */
    const chat = async (stream) => {
      answers.push(caller.chat({ model: "m", stream }));
      await eventually(5000, () => held.length === answers.length, "a backend has it");
    };
    for (let at = 0; at < 8; at += 1) await chat(at % 2 === 0);
    assert.deepEqual([count(big), count(small)], [6, 2]);
    // The small one is done, the big one is not: all that comes goes to the small one, until they are even.
    const finish = ({ exchange }) => {
      if (!exchange.json.stream) return exchange.reply(completion());
      exchange.sendHead().end("data: [DONE]\n\n");
    };
    const [done, rest] = [small, big].map((upstream) => held.filter((one) => one.upstream === upstream));
    done.forEach(finish);
    await Promise.all(done.map((one) => answers[held.indexOf(one)]));
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let at = 0; at < 2; at += 1) await chat(false);
    assert.deepEqual([count(big), count(small)], [6, 4]);
    [...rest, ...held.slice(8)].forEach(finish);
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
    await scene.close();
    for (const upstream of [big, small]) await upstream.close();
  });

  test("are not thought busy for callers who have left", async () => {
    const [one, other] = [await startUpstream({ models: ["m"] }), await startUpstream({ models: ["m"] })];
    const models = { m: { capabilities: { chat: true, streaming: true } } };
    const scene = await openScene({
      settings: { HEARTBEAT_MS: "100" },
      backends: [
        { id: "one", provider: "openai", url: one.url, models },
        { id: "other", provider: "openai", url: other.url, models },
      ],
    });
    const caller = await scene.signIn();
    const arrived = [];
    for (const upstream of [one, other]) upstream.always((exchange) => arrived.push({ upstream, exchange }));
    const leaving = [];
    for (let at = 0; at < 8; at += 1) {
      leaving.push(await caller.stream({ model: "m" }));
      await eventually(5000, () => arrived.length === leaving.length, "a backend has it");
    }
    // All who wait for the one go, in either way; the other's stay.
    for (const [at, { upstream }] of arrived.entries()) {
      if (upstream === one) at % 4 ? leaving[at].leave() : leaving[at].reset();
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const before = arrived.length;
    for (let at = 0; at < 4; at += 1) {
      leaving.push(await caller.stream({ model: "m" }));
      await eventually(5000, () => arrived.length === leaving.length, "a backend has it");
    }
    assert.deepEqual(
      arrived.slice(before).map(({ upstream }) => upstream === one),
      [true, true, true, true],
    );
    for (const { exchange } of arrived) exchange.sendHead().end("data: [DONE]\n\n");
    for (const stream of leaving) stream.leave();
    await scene.close();
    for (const upstream of [one, other]) await upstream.close();
  });
});
