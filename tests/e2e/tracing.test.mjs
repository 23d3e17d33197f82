// What ties a request's parts together: ids, traces, timings, and who may know the backend.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SERVICE_TOKEN = "service-token-of-the-tracing-suite-0123456789";

let scene, admin, user, seen;
before(async () => {
  scene = await openScene({ settings: { SERVICE_TOKEN } });
  scene.conceal(SERVICE_TOKEN);
  admin = await scene.signIn();
  const body = { email: "ann@example.com", password: scene.secret("password") };
  await scene.anonymous.as(SERVICE_TOKEN).post("/v1/auth/admin/users", body);
  const { access_token } = (await scene.anonymous.post("/v1/auth/login", body)).json;
  user = scene.anonymous.as(scene.conceal(access_token));
  scene.upstream.always((exchange) => {
    seen = exchange.headers;
    if (!exchange.json.stream) return exchange.reply(completion());
    exchange.sendHead();
    exchange.end(event({ content: "a" }) + event({}, "stop") + DONE);
  });
});
after(() => scene?.close());

for (const stream of [false, true]) {
  const chat = (caller, headers) => caller.chat({ stream }, { headers });
  const kind = stream ? "a stream" : "a plain answer";

  test(`the backend of ${kind} is told the request's id and the caller's trace`, async () => {
    const answer = await chat(user, { "x-request-id": "mine-1", traceparent: PARENT, tracestate: "v=1,w=2" });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get("x-request-id"), "mine-1");
    assert.deepEqual(
      [seen["x-request-id"], seen.traceparent, seen.tracestate],
      ["mine-1", PARENT, "v=1,w=2"],
    );
  });

  test(`and not what is no trace, before ${kind}`, async () => {
    for (const traceparent of ["x", PARENT.toUpperCase(), `${PARENT}-x`, PARENT.replace("4bf9", "4bg9")]) {
      const answer = await chat(user, { traceparent, tracestate: "v=1" });
      assert.deepEqual([seen.traceparent, seen.tracestate], [undefined, undefined], traceparent);
      assert.equal(seen["x-request-id"], answer.headers.get("x-request-id"));
    }
    await chat(user, { traceparent: PARENT, tracestate: "v".repeat(513) });
    assert.deepEqual([seen.traceparent, seen.tracestate], [PARENT, undefined]);
  });

  test(`${kind} says how long each stage took, and to admins which backend it was`, async () => {
    for (const [caller, backend] of [
      [admin, "main"],
      [user, null],
    ]) {
      const { headers } = await chat(caller);
      assert.match(
        headers.get("server-timing"),
        /^auth;dur=\d+, admit;dur=\d+, route;dur=\d+, upstream;dur=\d+$/,
      );
      assert.equal(headers.get("x-comind-backend"), backend);
    }
  });
}

test("what is refused on the way says how far it came", async () => {
  assert.equal((await scene.anonymous.get("/v1/models")).headers.get("server-timing"), null);
  assert.match((await user.get("/v1/models")).headers.get("server-timing"), /^auth;dur=\d+, admit;dur=\d+$/);
  const refused = await user.chat({ model: "nothing-like-it" });
  assert.match(refused.headers.get("server-timing"), /^auth;dur=\d+, admit;dur=\d+$/);
});
