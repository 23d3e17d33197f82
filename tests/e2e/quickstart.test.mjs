// The six steps of the quickstart, by shape.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openScene, EMAIL } from "./scene.mjs";
import { Connection } from "./caller.mjs";
import { completion, DONE, event } from "./upstream.mjs";
import { read } from "./tokens.mjs";

let scene, caller;
before(async () => {
  scene = await openScene();
  caller = await scene.signIn();
});
after(() => scene?.close());

test("health needs no token", async () => {
  const answer = await scene.anonymous.get("/health");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.deepEqual(answer.json, { status: "ok" });
});

test("health answers HEAD with the same head and no body", async () => {
  const connection = await Connection.open(scene.url, {
    method: "HEAD",
    path: "/health",
    headers: { connection: "close" },
  });
  const { status, headers } = await connection.head();
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.equal(connection.received, 0);
  connection.leave();
});

test("a sign-in gives two tokens, their kind and life, and the user", () => {
  const { access_token, refresh_token, token_type, expires_in, user } = scene.login;
  assert.equal(token_type, "bearer");
  assert.equal(expires_in, 3600);
  assert.match(user.id, /^user_./);
  assert.equal(user.email, EMAIL);
  assert.deepEqual(user.privileges, ["admin"]);
  assert.deepEqual(user.groupMemberships, ["main"]);
  assert.equal(user.userVersion, 1);

  const access = read(access_token);
  assert.equal(access.header.alg, "HS256");
  assert.equal(access.header.typ, "JWT");
  assert.equal(access.claims.sub, user.id);
  assert.equal(access.claims.use, "access");
  assert.equal(access.claims.ver, 1);
  assert.equal(access.claims.exp - access.claims.iat, 3600);
  const refresh = read(refresh_token);
  assert.equal(refresh.claims.use, "refresh");
  assert.equal(refresh.claims.exp - refresh.claims.iat, 30 * 86_400);
  assert.equal(refresh.claims.sid, access.claims.sid);
  for (const { claims } of [access, refresh])
    for (const name of ["iss", "jti", "sid"]) assert.ok(claims[name], name);
  assert.notEqual(access.claims.jti, refresh.claims.jti);
});

test("the address is taken in any letter case", async () => {
  const answer = await scene.anonymous.post("/v1/auth/login", {
    email: EMAIL.toUpperCase(),
    password: scene.settings.ADMIN_PASSWORD,
  });
  assert.equal(answer.status, 200, answer.text);
  scene.conceal(answer.json.access_token);
});

test("models are listed once each, sorted, owned by the backend's provider", async () => {
  const { status, json } = await caller.get("/v1/models");
  assert.equal(status, 200);
  assert.equal(json.object, "list");
  assert.deepEqual(
    json.data.map(({ id, object, owned_by }) => ({ id, object, owned_by })),
    ["Qwen/Qwen2.5-32B-Instruct", "seeing-model", "text-model"].map((id) => ({
      id,
      object: "model",
      owned_by: "openai",
    })),
  );
  for (const model of json.data) assert.ok(Number.isInteger(model.created), "created");
});

for (const path of [
  "Qwen/Qwen2.5-32B-Instruct",
  "Qwen%2FQwen2.5-32B-Instruct",
  "Qwen%2fQwen2.5-32B-Instruct",
]) {
  test(`one model is found by ${path}`, async () => {
    const { status, json } = await caller.get(`/v1/models/${path}`);
    assert.equal(status, 200);
    assert.equal(json.id, "Qwen/Qwen2.5-32B-Instruct");
    assert.equal(json.object, "model");
    assert.equal(json.owned_by, "openai");
  });
}

test("a chat completion comes back as the backend gave it", async () => {
  const answer = caller.chat();
  (await scene.upstream.next()).reply(completion());
  const { status, headers, json } = await answer;
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.ok(headers.get("x-request-id"));
  assert.deepEqual(json, completion());
});

test("a stream is an event stream that ends with [DONE]", async () => {
  const stream = await caller.stream();
  const exchange = await scene.upstream.next();
  await exchange.sendHead().send(event({ role: "assistant" }));
  for (const word of ["Silicon", " dreams"]) await exchange.send(event({ content: word }));
  await exchange.send(event({}, "stop"));
  exchange.end(DONE);
  const text = (await stream.whole()).toString();
  const { status, headers } = await stream.head();
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^text\/event-stream/);
  assert.match(headers.get("cache-control") ?? "", /no-cache|no-store/);
  assert.ok(headers.get("x-request-id"));
  assert.equal(
    text,
    [{ role: "assistant" }, { content: "Silicon" }, { content: " dreams" }]
      .map((delta) => event(delta))
      .join("") +
      event({}, "stop") +
      DONE,
  );
});

test("capabilities say what each backend and each of its models can do", async () => {
  const { status, json } = await caller.get("/v1/capabilities");
  assert.equal(status, 200);
  assert.equal(json.object, "list");
  const [backend, ...others] = json.data;
  assert.deepEqual(others, []);
  assert.equal(backend.provider, "openai");
  assert.equal(backend.backend, "main");
  assert.equal(backend.status, "up");
  const keys = ["chat", "completions", "embeddings", "streaming", "tool_calling", "vision"];
  assert.deepEqual(Object.keys(backend.capabilities).sort(), keys);
  const seen = Object.fromEntries(backend.models.map(({ id, capabilities }) => [id, capabilities]));
  assert.deepEqual(Object.keys(seen).sort(), ["Qwen/Qwen2.5-32B-Instruct", "seeing-model", "text-model"]);
  for (const capabilities of Object.values(seen)) assert.deepEqual(Object.keys(capabilities).sort(), keys);
  assert.deepEqual(
    { vision: true, tool_calling: true },
    { vision: seen["seeing-model"].vision, tool_calling: seen["seeing-model"].tool_calling },
  );
  assert.deepEqual(
    { vision: false, tool_calling: false },
    { vision: seen["text-model"].vision, tool_calling: seen["text-model"].tool_calling },
  );
  assert.equal(backend.capabilities.vision, true, "the backend can do what one of its models can do");
});

test("every answer has a request id of its own", async () => {
  const ids = new Set();
  for (let index = 0; index < 5; index += 1)
    ids.add((await scene.anonymous.get("/health")).headers.get("x-request-id"));
  assert.equal(ids.size, 5);
  assert.ok(!ids.has(null));
});

test("a caller's own request id is kept when it is one, and replaced when it is not", async () => {
  const given = async (id) =>
    (await scene.anonymous.get("/health", { headers: { "x-request-id": id } })).headers.get("x-request-id");
  assert.equal(await given("mine-123"), "mine-123");
  for (const id of ["x".repeat(2000), "a b", "<script>", ""]) assert.notEqual(await given(id), id);
});
