// Who may do what: every way in which a credential can be wrong.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { changed, read, sign, unsigned } from "./tokens.mjs";
import { completion } from "./upstream.mjs";

const PREVIOUS = "the-secret-of-last-month-0123456789";

let scene, caller, secret;
before(async () => {
  scene = await openScene({ settings: { JWT_SECRET_PREVIOUS: PREVIOUS } });
  scene.conceal(PREVIOUS);
  caller = await scene.signIn();
  secret = scene.settings.JWT_SECRET;
});
after(() => scene?.close());

const now = () => Math.floor(Date.now() / 1000);
const models = (token) => caller.as(token).get("/v1/models");

describe("401 unauthorized", () => {
  test("without a token, on every route that wants one", async () => {
    for (const path of [
      "/v1/models",
      "/v1/models/text-model",
      "/v1/capabilities",
      "/v1/api-tokens",
      "/v1/api-tokens/scopes",
    ]) {
      assertFailure(await scene.anonymous.get(path), 401, "unauthorized");
    }
    assertFailure(await scene.anonymous.chat(), 401, "unauthorized");
    assertFailure(
      await scene.anonymous.post("/v1/api-tokens", { name: "x", scopes: ["chat:write"] }),
      401,
      "unauthorized",
    );
    assertFailure(await scene.anonymous.delete("/v1/api-tokens/x"), 401, "unauthorized");
  });

  test("before anything of the body is looked at", async () => {
    assertFailure(await scene.anonymous.post("/v1/chat/completions", "{not json"), 401, "unauthorized");
  });

  const headers = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YWRhOnB3",
    "garbage",
    "Bearer garbage",
    "Bearer a.b.c",
    "Bearer a.b",
    "Bearer ..",
    "Bearer cmnd_",
    "Bearer cmnd_x",
    "Bearer cmnd_x.sk_y",
    `Bearer ${"x".repeat(6000)}`,
  ];
  for (const authorization of headers) {
    test(`for ${JSON.stringify(authorization.slice(0, 30))}`, async () => {
      assertFailure(
        await scene.anonymous.get("/v1/models", { headers: { authorization } }),
        401,
        "unauthorized",
      );
    });
  }

  const forgeries = {
    "a signature by another secret": () => changed(caller.token, {}, "another-secret-another-secret-another"),
    "a changed claim under the old signature": () => {
      const [header, , signature] = caller.token.split(".");
      const { claims } = read(caller.token);
      return [
        header,
        Buffer.from(JSON.stringify({ ...claims, exp: now() + 86_400 })).toString("base64url"),
        signature,
      ].join(".");
    },
    "a signature cut short": () => caller.token.slice(0, -2),
    "a signature with something after it": () => `${caller.token}AA`,
    "alg none": () => unsigned(caller.token),
    "alg None": () => unsigned(caller.token, "None"),
    "alg none with the old signature": () => unsigned(caller.token) + caller.token.split(".")[2],
    "alg HS512 in a token signed with HS256": () =>
      sign(read(caller.token).claims, secret, { ...read(caller.token).header, alg: "HS512" }),
    "another issuer": () => changed(caller.token, { iss: "somebody else" }, secret),
    "no expiry": () => changed(caller.token, { exp: undefined }, secret),
    "no subject": () => changed(caller.token, { sub: undefined }, secret),
    "an unknown user": () => changed(caller.token, { sub: "user_nobody" }, secret),
    "no use": () => changed(caller.token, { use: undefined }, secret),
    "the refresh token": () => scene.login.refresh_token,
    "an empty header": () => sign(read(caller.token).claims, secret, {}),
  };
  for (const [title, make] of Object.entries(forgeries)) {
    test(`for ${title}`, async () => {
      assertFailure(await models(make()), 401, "unauthorized");
    });
  }
});

describe("a token of our own making", () => {
  test("passes when signature and claims are right", async () => {
    assert.equal(
      (await models(changed(caller.token, { iat: now() - 10, exp: now() + 60 }, secret))).status,
      200,
    );
  });
  test("passes when it is signed with the previous secret and says nothing about the key", async () => {
    assert.equal((await models(sign(read(caller.token).claims, PREVIOUS))).status, 200);
  });
  test("is token_expired past its time", async () => {
    assertFailure(
      await models(changed(caller.token, { iat: now() - 7200, exp: now() - 3600 }, secret)),
      401,
      "token_expired",
    );
  });
  test("is unauthorized, not expired, when it is forged as well", async () => {
    assertFailure(
      await models(changed(caller.token, { exp: now() - 3600 }, "another-secret-another-secret-another")),
      401,
      "unauthorized",
    );
  });
  test("is token_revoked when its session is unknown to the user", async () => {
    assertFailure(
      await models(changed(caller.token, { sid: "nosuchsession" }, secret)),
      401,
      "token_revoked",
    );
  });
});

describe("the Authorization header", () => {
  test("takes its scheme in any letter case", async () => {
    for (const scheme of ["bearer", "BEARER"]) {
      assert.equal(
        (await scene.anonymous.get("/v1/models", { headers: { authorization: `${scheme} ${caller.token}` } }))
          .status,
        200,
      );
    }
  });
});

describe("a personal access token", () => {
  test("is shown once, in its form, with its life", async () => {
    const { status, json } = await caller.post("/v1/api-tokens", {
      name: "shown once",
      scopes: ["models:read"],
    });
    scene.conceal(json.token);
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(json).sort(), ["created_at", "expires_at", "id", "name", "scopes", "token"]);
    assert.match(json.token, /^cmnd_[^.]+\.sk_.{43,}$/);
    assert.ok(json.token.includes(json.id), "the id is the public half");
    assert.equal(json.name, "shown once");
    assert.deepEqual(json.scopes, ["models:read"]);
    assert.match(json.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.equal(Math.round((Date.parse(json.expires_at) - Date.parse(json.created_at)) / 86_400_000), 90);

    const list = await caller.get("/v1/api-tokens");
    assert.equal(list.status, 200);
    assert.ok(Array.isArray(list.json));
    const entry = list.json.find(({ id }) => id === json.id);
    assert.deepEqual(Object.keys(entry).sort(), [
      "created_at",
      "expires_at",
      "id",
      "is_expired",
      "is_revoked",
      "last_used_at",
      "name",
      "scopes",
    ]);
    assert.equal(entry.is_revoked, false);
    assert.equal(entry.is_expired, false);
    assert.equal(entry.last_used_at, null);
    assert.ok(!list.text.includes("sk_"), "no secret in the list");
  });

  test("opens what its scopes name", async () => {
    const token = await scene.makeToken(caller, ["chat:write", "models:read"]);
    assert.equal((await token.get("/v1/models")).status, 200);
    assert.equal((await token.get("/v1/models/text-model")).status, 200);
    assert.equal((await token.get("/v1/capabilities")).status, 200);
    const answer = token.chat();
    (await scene.upstream.next()).reply(completion());
    assert.equal((await answer).status, 200);
  });

  test("without the scope is 403 and says which one was missing", async () => {
    const reader = await scene.makeToken(caller, ["models:read"]);
    assert.equal(assertFailure(await reader.chat(), 403, "insufficient_scope").required_scope, "chat:write");
    const writer = await scene.makeToken(caller, ["chat:write"]);
    for (const path of ["/v1/models", "/v1/models/text-model", "/v1/capabilities"]) {
      assert.equal(
        assertFailure(await writer.get(path), 403, "insufficient_scope").required_scope,
        "models:read",
      );
    }
  });

  test("may not manage tokens", async () => {
    const token = await scene.makeToken(caller, ["chat:write", "models:read"]);
    assertFailure(await token.get("/v1/api-tokens"), 403, "pat_not_allowed");
    assertFailure(await token.get("/v1/api-tokens/scopes"), 403, "pat_not_allowed");
    assertFailure(
      await token.post("/v1/api-tokens", { name: "x", scopes: ["chat:write"] }),
      403,
      "pat_not_allowed",
    );
    assertFailure(await token.delete(`/v1/api-tokens/${token.id}`), 403, "pat_not_allowed");
  });

  test("is dead at once when revoked, even if it was just used; revoking again is no mistake", async () => {
    const token = await scene.makeToken(caller, ["models:read"]);
    assert.equal((await token.get("/v1/models")).status, 200);
    assert.equal((await caller.delete(`/v1/api-tokens/${token.id}`)).status, 204);
    assertFailure(await token.get("/v1/models"), 401, "token_revoked");
    assert.equal((await caller.delete(`/v1/api-tokens/${token.id}`)).status, 204);
    const entry = (await caller.get("/v1/api-tokens")).json.find(({ id }) => id === token.id);
    assert.ok(entry === undefined || entry.is_revoked, "a revoked token is not shown as a living one");
  });

  test("with one character changed is unauthorized", async () => {
    const { token } = await scene.makeToken(caller, ["models:read"]);
    const last = token.at(-1);
    assertFailure(await models(token.slice(0, -1) + (last === "A" ? "B" : "A")), 401, "unauthorized");
  });

  test("that nobody has made cannot be deleted", async () => {
    assertFailure(await caller.delete("/v1/api-tokens/nope"), 404, "not_found");
  });

  test("has a name of its own among the living ones", async () => {
    const token = await scene.makeToken(caller, ["models:read"], "laptop");
    assertFailure(
      await caller.post("/v1/api-tokens", { name: "laptop", scopes: ["models:read"] }),
      409,
      "duplicate",
    );
    await caller.delete(`/v1/api-tokens/${token.id}`);
    await scene.makeToken(caller, ["models:read"], "laptop");
  });

  const wrong = [
    ["name", { scopes: ["chat:write"] }, "no name"],
    ["name", { name: "", scopes: ["chat:write"] }, "an empty name"],
    ["name", { name: "x".repeat(101), scopes: ["chat:write"] }, "a name of 101 characters"],
    ["scopes", { name: "x" }, "no scopes"],
    ["scopes", { name: "x", scopes: [] }, "an empty list of scopes"],
    ["scopes", { name: "x", scopes: ["fly:high"] }, "an unknown scope"],
    ["expires_in_days", { name: "x", scopes: ["chat:write"], expires_in_days: 0 }, "a life of 0 days"],
    ["expires_in_days", { name: "x", scopes: ["chat:write"], expires_in_days: 366 }, "a life of 366 days"],
  ];
  for (const [param, body, how] of wrong) {
    test(`is not made with ${how}`, async () => {
      assert.match(
        assertFailure(await caller.post("/v1/api-tokens", body), 400, "bad_request").param ?? "",
        new RegExp(`^${param}`),
      );
    });
  }

  test("is made at the edges: a name of 100 characters, a life of 1 and of 365 days", async () => {
    for (const days of [1, 365]) {
      const { status, json } = await caller.post("/v1/api-tokens", {
        name: `${days}`.padEnd(100, "é"),
        scopes: ["chat:write"],
        expires_in_days: days,
      });
      scene.conceal(json.token);
      assert.equal(status, 201);
      assert.equal(
        Math.round((Date.parse(json.expires_at) - Date.parse(json.created_at)) / 86_400_000),
        days,
      );
    }
  });

  test("is one of 25 at most", async () => {
    const living = (await caller.get("/v1/api-tokens")).json.filter(
      ({ is_revoked, is_expired }) => !is_revoked && !is_expired,
    );
    for (let count = living.length; count < 25; count += 1) await scene.makeToken(caller, ["models:read"]);
    assertFailure(
      await caller.post("/v1/api-tokens", { name: "one too many", scopes: ["models:read"] }),
      409,
      "token_limit_reached",
    );
  });
});

test("an admin may give a token every scope", async () => {
  const { status, json } = await caller.get("/v1/api-tokens/scopes");
  assert.equal(status, 200);
  assert.equal(json.is_admin, true);
  const everyone = [
    "knowledgebases:read",
    "knowledgebases:write",
    "chat:read",
    "chat:write",
    "models:read",
    "files:read",
    "files:write",
  ];
  const admins = ["agents", "echo", "researcher", "docanalyzer", "sanitizer"].flatMap((area) => [
    `${area}:read`,
    `${area}:write`,
  ]);
  assert.deepEqual([...json.scopes].sort(), [...everyone, ...admins].sort());
});
