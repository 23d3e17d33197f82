// Every route with every kind of credential: the answers follow from the README's column `needs`, not from a run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { changed } from "./tokens.mjs";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const ROUTES = Array.from(
  readme
    .split("### Routes")[1]
    .split("\n### ")[0]
    .matchAll(/^\| `(\w+) (\S+)` \| (.+?) \| /gm),
  ([, method, path, needs]) => ({
    name: `${method} ${path}`,
    method,
    path,
    needs: needs.replaceAll("`", ""),
  }),
);

const USER = "user_AAAAAAAAAAAAAAAAAAAAAA";
const TOKEN = "A".repeat(33);
let count = 0;
const fresh = () => `somebody-${(count += 1)}@example.com`;

/** What a request of each route gets that nothing but the credential could stop: `[body, status, code]`. */
const REQUESTS = {
  "GET /health": () => [undefined, 200],
  "GET /metrics": () => [undefined, 200],
  "GET /openapi.json": () => [undefined, 200],
  "GET /v1/admin/audit-logs": () => [undefined, 403, "insufficient_scope"],
  "POST /v1/auth/login": () => [
    { email: scene.settings.ADMIN_EMAIL, password: "wrong" },
    401,
    "invalid_credentials",
  ],
  "POST /v1/auth/refresh": () => [{ refresh_token: scene.refresh }, 200],
  "POST /v1/auth/logout": () => [{}, 204],
  "POST /v1/auth/sso": () => [{ oid: "o", tid: "t", upn: "u@example.com" }, 404, "not_found"],
  "GET /v1/auth/me": () => [undefined, 200],
  "GET /v1/auth/check-registration": () => [undefined, 200],
  "POST /v1/auth/register": () => [{ email: fresh(), password: "a password to be" }, 201],
  "POST /v1/auth/confirm": () => [{ email: fresh(), code: "000000" }, 400, "invalid_code"],
  "POST /v1/auth/change-password": () => [{}, 400, "bad_request"],
  "POST /v1/auth/password-reset-request": () => [{ email: fresh() }, 200],
  "POST /v1/auth/password-reset": () => [
    { email: fresh(), code: "000000", newPassword: "a password to be" },
    400,
    "invalid_code",
  ],
  "POST /v1/auth/admin/set-password": () => [{ user_id: scene.other, newPassword: "a password to be" }, 204],
  "POST /v1/auth/admin/users": () => [{ email: fresh() }, 201],
  "GET /v1/auth/admin/users": () => [undefined, 200],
  "GET /v1/auth/admin/users/{id}": () => [undefined, 200, undefined, scene.other],
  "PATCH /v1/auth/admin/users/{id}": () => [{ username: "Other" }, 200, undefined, scene.other],
  "DELETE /v1/auth/users/{id}": () => [undefined, 404, "not_found", USER],
  "GET /v1/models": () => [undefined, 200],
  "GET /v1/models/{id}": () => [undefined, 200, undefined, "text-model"],
  "POST /v1/chat/completions": () => [{}, 400, "bad_request"],
  "POST /v1/completions": () => [{}, 400, "bad_request"],
  "POST /v1/embeddings": () => [{}, 400, "bad_request"],
  "GET /v1/backends": () => [undefined, 200],
  "GET /v1/backends/health": () => [undefined, 200],
  "GET /v1/capabilities": () => [undefined, 200],
  "GET /v1/api-tokens/scopes": () => [undefined, 200],
  "POST /v1/api-tokens": () => [{}, 400, "bad_request"],
  "GET /v1/api-tokens": () => [undefined, 200],
  "DELETE /v1/api-tokens/{id}": () => [undefined, 404, "not_found", TOKEN],
  "POST /v1/api-tokens/{id}/rotate": () => [undefined, 404, "not_found", TOKEN],
};

const PASSES = null;
const UNKNOWN = [401, "unauthorized"];

/** What each credential is answered by a route that needs something; `null`: it passes. */
const CREDENTIALS = {
  "no token": () => UNKNOWN,
  garbage: () => UNKNOWN,
  "a forged JWT": () => UNKNOWN,
  "an expired JWT": (needs) => (needs === "the service token" ? UNKNOWN : [401, "token_expired"]),
  "the JWT of an ended session": (needs) =>
    needs === "the service token" ? UNKNOWN : [401, "token_revoked"],
  "a refresh token": () => UNKNOWN,
  "a mistyped PAT": () => UNKNOWN,
  "a PAT that nobody made": () => UNKNOWN,
  "a revoked PAT": (needs) => (needs === "the service token" ? UNKNOWN : [401, "token_revoked"]),
  "a PAT without the scope": (needs) => {
    if (needs === "the service token") return UNKNOWN;
    if (needs === "a session") return [403, "pat_not_allowed"];
    return needs === "any token" ? PASSES : [403, "insufficient_scope"];
  },
  "a PAT with all scopes": (needs) => {
    if (needs === "the service token") return UNKNOWN;
    return needs === "a session" ? [403, "pat_not_allowed"] : PASSES;
  },
  "a user's JWT": (needs) => (needs === "the service token" ? UNKNOWN : PASSES),
  "an admin's JWT": (needs) => (needs === "the service token" ? UNKNOWN : PASSES),
  "the JWT of a suspended user": (needs) =>
    needs === "the service token" ? UNKNOWN : [403, "account_suspended"],
  "a wrong service token": () => UNKNOWN,
  "the service token": (needs) => (needs === "the service token" ? PASSES : UNKNOWN),
};

let scene;
let tokens;

before(async () => {
  scene = await openScene({
    settings: {
      REGISTRATION: "open",
      MAIL_URL: "log:",
      REFRESH_GRACE_MS: "60000",
      LOGIN_FREE_FAILURES: "1000",
      SERVICE_TOKEN: "service-token-of-the-matrix-suite-0123456789",
    },
  });
  scene.conceal(scene.settings.SERVICE_TOKEN);
  const operator = scene.anonymous.as(scene.settings.SERVICE_TOKEN);
  const makeUser = async (email) => {
    const password = scene.secret("password");
    const made = await operator.post("/v1/auth/admin/users", { email, password });
    assert.equal(made.status, 201, made.text);
    const login = async () => {
      const answer = await scene.anonymous.post("/v1/auth/login", { email, password });
      scene.conceal(answer.json.access_token);
      scene.conceal(answer.json.refresh_token);
      return answer.json;
    };
    return { id: made.json.id, login };
  };
  const admin = await scene.signIn();
  scene.other = (await makeUser("other@example.com")).id;
  const ann = await makeUser("ann@example.com");
  const kept = await ann.login();
  const ended = await ann.login();
  assert.equal(
    (await scene.anonymous.post("/v1/auth/logout", { refresh_token: ended.refresh_token })).status,
    204,
  );
  const bob = await makeUser("bob@example.com");
  const suspended = await bob.login();
  const suspend = { body: { suspended: true } };
  assert.equal((await operator.request("PATCH", `/v1/auth/admin/users/${bob.id}`, suspend)).status, 200);
  const caller = scene.anonymous.as(kept.access_token);
  const all = (await caller.get("/v1/api-tokens/scopes")).json.scopes;
  const narrow = await scene.makeToken(caller, ["files:read"]);
  const wide = await scene.makeToken(caller, all);
  const revoked = await scene.makeToken(caller, all);
  assert.equal((await caller.delete(`/v1/api-tokens/${revoked.id}`)).status, 204);
  scene.refresh = (await ann.login()).refresh_token;
  const secret = scene.settings.JWT_SECRET;
  tokens = {
    "no token": undefined,
    garbage: "garbage",
    "a forged JWT": changed(kept.access_token, {}, "another secret, as long as ours is, or longer"),
    "an expired JWT": changed(kept.access_token, { exp: 1_700_000_000 }, secret),
    "the JWT of an ended session": ended.access_token,
    "a refresh token": kept.refresh_token,
    "a mistyped PAT": wide.token.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
    "a PAT that nobody made":
      "cmnd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.sk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAxxxxxx",
    "a revoked PAT": revoked.token,
    "a PAT without the scope": narrow.token,
    "a PAT with all scopes": wide.token,
    "a user's JWT": kept.access_token,
    "an admin's JWT": admin.token,
    "the JWT of a suspended user": suspended.access_token,
    "a wrong service token": `${scene.settings.SERVICE_TOKEN}x`,
    "the service token": scene.settings.SERVICE_TOKEN,
  };
});
after(() => scene?.close());

test("every route of the README has its request here, and every credential its token", () => {
  assert.deepEqual(ROUTES.map(({ name }) => name).sort(), Object.keys(REQUESTS).sort());
  assert.deepEqual(Object.keys(tokens), Object.keys(CREDENTIALS));
  assert.ok(ROUTES.length >= 27);
});

async function walk() {
  let cells = 0;
  for (const { name, method, path, needs } of ROUTES) {
    for (const [credential, answerTo] of Object.entries(CREDENTIALS)) {
      const [body, status, code, id] = REQUESTS[name]();
      const query = name.endsWith("check-registration") ? "?email=ann@example.com" : "";
      const token = tokens[credential];
      const caller = token === undefined ? scene.anonymous : scene.anonymous.as(token);
      const answer = await caller.request(method, path.replace("{id}", id) + query, { body });
      const what = `${name} with ${credential}: ${answer.status} ${answer.text}`;
      const refusal = needs === "nothing" ? PASSES : answerTo(needs);
      if (refusal) assertFailure(answer, ...refusal);
      assert.equal(answer.status, refusal ? refusal[0] : status, what);
      assert.equal(answer.json?.error?.code, refusal ? refusal[1] : code, what);
      if (refusal?.[1] === "insufficient_scope") assert.equal(answer.json.error.required_scope, needs, what);
      cells += 1;
    }
  }
  return cells;
}

test("every route answers every credential as its needs say", async (t) => {
  t.diagnostic(`${await walk()} cells`);
});

test("and so it does after the power failed", async (t) => {
  await scene.stop({ abruptly: true });
  await scene.start();
  t.diagnostic(`${await walk()} cells`);
});
