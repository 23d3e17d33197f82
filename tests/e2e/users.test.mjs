// Users as the operator makes them, and the tokens that they make.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, EMAIL, openScene } from "./scene.mjs";

const SERVICE_TOKEN = "service-token-of-the-users-suite-0123456789";
const USERS = "/v1/auth/admin/users";
let people = 0;

async function openUsers(settings = {}) {
  const scene = await openScene({
    settings: { SERVICE_TOKEN, LOGIN_FREE_FAILURES: "1000", PASSWORD_RATE_LIMIT_RPM: "100000", ...settings },
  });
  scene.conceal(SERVICE_TOKEN);
  scene.operator = scene.anonymous.as(SERVICE_TOKEN);
  scene.patch = (id, body) => scene.operator.request("PATCH", `${USERS}/${id}`, { body });
  scene.loginAs = async ({ email, password }) => {
    const answer = await scene.anonymous.post("/v1/auth/login", { email, password });
    if (answer.status === 200) scene.conceal(answer.json.access_token);
    return answer;
  };
  /** A user, and a caller with its session. */
  scene.makeUser = async (more = {}) => {
    const user = { email: `user-${(people += 1)}@example.com`, password: scene.secret("password") };
    const made = await scene.operator.post(USERS, { ...user, ...more });
    assert.equal(made.status, 201, made.text);
    const login = await scene.loginAs(user);
    return {
      ...user,
      id: made.json.id,
      made: made.json,
      caller: scene.anonymous.as(login.json?.access_token),
    };
  };
  return scene;
}

describe("a user", () => {
  let scene;
  before(async () => (scene = await openUsers()));
  after(() => scene?.close());

  test("is made, shown and changed", async () => {
    const { id, made, email } = await scene.makeUser({ username: "Ann", privileges: ["b", "a", "a"] });
    assert.deepEqual(made, {
      id,
      email,
      username: "Ann",
      confirmed: true,
      suspended: false,
      created_at: made.created_at,
      privileges: ["a", "b"],
      groupMemberships: ["main"],
      userVersion: 1,
    });
    assert.deepEqual((await scene.operator.get(`${USERS}/${id}`)).json, made);
    const changed = await scene.patch(id, { groupMemberships: ["x", "y"], username: "Bea" });
    assert.deepEqual(changed.json, { ...made, username: "Bea", groupMemberships: ["x", "y"] });
    assert.deepEqual((await scene.patch(id, {})).json, changed.json);
  });

  test("without a password cannot sign in", async () => {
    const email = "nopassword@example.com";
    const made = await scene.operator.post(USERS, { email });
    assert.deepEqual([made.status, made.json.username], [201, "nopassword"]);
    for (const password of ["x", "a password to be"]) {
      assertFailure(await scene.loginAs({ email, password }), 401, "invalid_credentials");
    }
  });

  test("has an address of its own", async () => {
    const taken = await scene.operator.post(USERS, { email: EMAIL.toUpperCase() });
    assertFailure(taken, 409, "duplicate");
    assert.equal(taken.json.error.param, "email");
    const email = "twins@example.com";
    const twins = await Promise.all(Array.from({ length: 8 }, () => scene.operator.post(USERS, { email })));
    assert.deepEqual(twins.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)]);
  });

  test("is not made or changed by a body that is wrong, which names the field", async () => {
    const { id } = await scene.makeUser();
    const names = (count) => Array.from({ length: count }, (_, at) => `g${at}`);
    for (const [body, param] of [
      [{}, "email"],
      [{ email: "x@example.com", password: "password1234" }, "password"],
      [{ email: "x@example.com", username: "x".repeat(101) }, "username"],
      [{ email: "x@example.com", privileges: "admin" }, "privileges"],
      [{ email: "x@example.com", privileges: ["two words"] }, "privileges"],
      [{ email: "x@example.com", groupMemberships: names(101) }, "groupMemberships"],
    ]) {
      assert.equal((await scene.operator.post(USERS, body)).json.error.param, param, JSON.stringify(body));
    }
    assert.equal((await scene.patch(id, { groupMemberships: names(100) })).status, 200);
    assert.equal((await scene.patch(id, { suspended: "yes" })).json.error.param, "suspended");
    for (const nobody of ["user_nobody", "user_AAAAAAAAAAAAAAAAAAAAAA", "..%2f"]) {
      assertFailure(await scene.patch(nobody, {}), 404, "not_found");
      assertFailure(await scene.operator.get(`${USERS}/${nobody}`), 404, "not_found");
      assertFailure(await scene.operator.delete(`/v1/auth/users/${nobody}`), 404, "not_found");
    }
  });

  test("who is suspended is refused everywhere at once, and is back after", async () => {
    const user = await scene.makeUser();
    const token = await scene.makeToken(user.caller, ["models:read"]);
    const ways = () =>
      Promise.all([user.caller.get("/v1/auth/me"), token.get("/v1/models"), scene.loginAs(user)]);
    assert.deepEqual(
      (await ways()).map(({ status }) => status),
      [200, 200, 200],
    );
    await scene.patch(user.id, { suspended: true });
    for (const answer of await ways()) assertFailure(answer, 403, "account_suspended");
    assertFailure(await scene.loginAs({ ...user, password: "wrong" }), 401, "invalid_credentials");
    await scene.patch(user.id, { suspended: false });
    assert.deepEqual(
      (await ways()).map(({ status }) => status),
      [200, 200, 200],
    );
  });

  test("who is deleted leaves sessions, tokens and address free", async () => {
    const user = await scene.makeUser();
    const token = await scene.makeToken(user.caller, ["models:read"]);
    assert.equal((await token.get("/v1/models")).status, 200);
    const answer = await scene.operator.delete(`/v1/auth/users/${user.id}`);
    assert.deepEqual([answer.status, answer.text], [204, ""]);
    for (const caller of [user.caller, token])
      assertFailure(await caller.get("/v1/auth/me"), 401, "unauthorized");
    assertFailure(await scene.loginAs(user), 401, "invalid_credentials");
    assertFailure(await scene.operator.delete(`/v1/auth/users/${user.id}`), 404, "not_found");
    const again = await scene.operator.post(USERS, { email: user.email, password: user.password });
    assert.equal(again.status, 201);
    assert.notEqual(again.json.id, user.id);
    assert.equal((await scene.loginAs(user)).status, 200);
    assertFailure(await token.get("/v1/models"), 401, "unauthorized");
  });

  test("all are listed, page by page, each once", async () => {
    while (people < 25) await scene.makeUser();
    const seen = [];
    let after = "";
    for (let page; page?.has_more !== false; after = `&after=${page.data.at(-1).id}`) {
      const answer = await scene.operator.get(`${USERS}?limit=10${after}`);
      assert.equal(answer.status, 200, answer.text);
      page = answer.json;
      assert.deepEqual([page.object, page.data.length <= 10], ["list", true]);
      seen.push(...page.data.map(({ email }) => email));
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.includes(EMAIL) && seen.includes("user-25@example.com") && seen.length > 25);
    assert.equal((await scene.operator.get(USERS)).json.data.length, 20);
    assert.equal((await scene.operator.get(`${USERS}?limit=100`)).json.data.length, seen.length);
    const one = await scene.operator.get(`${USERS}?email=${encodeURIComponent(EMAIL)}`);
    assert.deepEqual(
      one.json.data.map(({ email }) => email),
      [EMAIL],
    );
    assert.deepEqual((await scene.operator.get(`${USERS}?email=nobody@example.com`)).json.data, []);
    for (const [query, param] of [
      ["limit=0", "limit"],
      ["limit=101", "limit"],
      ["limit=x", "limit"],
      ["after=user_nobody", "after"],
      ["email=nobody", "email"],
    ]) {
      assert.equal((await scene.operator.get(`${USERS}?${query}`)).json.error.param, param);
    }
  });
});

describe("a personal access token", () => {
  let scene;
  before(async () => (scene = await openUsers({ API_TOKEN_ORGANIZATIONS: "main, research" })));
  after(() => scene?.close());
  const create = (caller, body = {}) =>
    caller.post("/v1/api-tokens", { name: `token ${(people += 1)}`, scopes: ["models:read"], ...body });
  const rotate = (caller, id) => caller.post(`/v1/api-tokens/${id}/rotate`);

  test("rotated has name, scopes and life of the old one, which is dead at once", async () => {
    const { caller } = await scene.makeUser();
    const old = (await create(caller, { expires_in_days: 7, scopes: ["chat:write", "models:read"] })).json;
    assert.equal((await scene.anonymous.as(old.token).get("/v1/models")).status, 200);
    const { status, json } = await rotate(caller, old.id);
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(json), Object.keys(old));
    scene.conceal(old.token);
    scene.conceal(json.token);
    assert.deepEqual([json.name, json.scopes], [old.name, old.scopes]);
    assert.equal(Date.parse(json.expires_at) - Date.parse(json.created_at), 7 * 86_400_000);
    assert.notEqual(json.id, old.id);
    assertFailure(await scene.anonymous.as(old.token).get("/v1/models"), 401, "token_revoked");
    assert.equal((await scene.anonymous.as(json.token).get("/v1/models")).status, 200);
    assertFailure(await rotate(caller, old.id), 404, "not_found");
    assert.equal((await rotate(caller, json.id)).status, 200);
  });

  test("rotated twice at once gives one new token", async () => {
    const { caller } = await scene.makeUser();
    const { id } = (await create(caller)).json;
    const answers = await Promise.all([rotate(caller, id), rotate(caller, id), rotate(caller, id)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 404, 404]);
    const active = (await caller.get("/v1/api-tokens")).json.filter(({ is_revoked }) => !is_revoked);
    assert.equal(active.length, 1);
  });

  test("is its owner's: nobody else's is revoked or rotated", async () => {
    const [one, other] = [await scene.makeUser(), await scene.makeUser()];
    const { id } = (await create(one.caller)).json;
    assertFailure(await rotate(other.caller, id), 404, "not_found");
    assertFailure(await other.caller.delete(`/v1/api-tokens/${id}`), 404, "not_found");
    assert.equal((await one.caller.delete(`/v1/api-tokens/${id}`)).status, 204);
    assert.equal((await one.caller.delete(`/v1/api-tokens/${id}`)).status, 204);
    assertFailure(await rotate(one.caller, id), 404, "not_found");
  });

  test("needs an organization whose plan includes it", async () => {
    const { id, caller } = await scene.makeUser({ groupMemberships: ["guests"] });
    assertFailure(await create(caller), 403, "plan_required");
    await scene.patch(id, { groupMemberships: ["guests", "research"] });
    const made = await create(caller);
    assert.equal(made.status, 201);
    await scene.patch(id, { groupMemberships: [] });
    assertFailure(await rotate(caller, made.json.id), 403, "plan_required");
    assert.equal((await scene.anonymous.as(made.json.token).get("/v1/models")).status, 200);
  });

  test("loses the scopes of admins with its owner's privilege", async () => {
    const { id, caller } = await scene.makeUser({ privileges: ["admin"] });
    assertFailure(
      await create((await scene.makeUser()).caller, { scopes: ["agents:read"] }),
      403,
      "admin_scopes_required",
    );
    const made = (await create(caller, { scopes: ["agents:read", "models:read"] })).json;
    await scene.patch(id, { privileges: [] });
    assert.deepEqual((await caller.get("/v1/api-tokens/scopes")).json.is_admin, false);
    assertFailure(await rotate(caller, made.id), 403, "admin_scopes_required");
    assert.equal((await scene.anonymous.as(made.token).get("/v1/models")).status, 200);
  });

  test("shows when it was used last, to the minute", async () => {
    const { caller } = await scene.makeUser();
    const { token, id } = (await create(caller)).json;
    const shown = async () => (await caller.get("/v1/api-tokens")).json.find((listed) => listed.id === id);
    assert.equal((await shown()).last_used_at, null);
    await scene.anonymous.as(token).get("/v1/models");
    const age = Date.now() - Date.parse((await shown()).last_used_at);
    assert.ok(age >= 0 && age < 60_000, `${age} ms`);
  });
});

describe("limits of tokens", () => {
  test("MAX_API_TOKENS=2 are active at once; a dead one makes room", async () => {
    const scene = await openUsers({ MAX_API_TOKENS: "2", API_TOKEN_ORGANIZATIONS: "*" });
    const { caller } = await scene.makeUser({ groupMemberships: [] });
    const tokens = [];
    for (let at = 0; at < 2; at += 1) tokens.push(await scene.makeToken(caller, ["models:read"]));
    const third = { name: "third", scopes: ["models:read"] };
    assertFailure(await caller.post("/v1/api-tokens", third), 409, "token_limit_reached");
    assert.equal((await caller.post(`/v1/api-tokens/${tokens[0].id}/rotate`)).status, 200, "one for one");
    await caller.delete(`/v1/api-tokens/${tokens[1].id}`);
    const many = Array.from({ length: 6 }, (_, at) =>
      caller.post("/v1/api-tokens", { ...third, name: `t${at}` }),
    );
    const statuses = (await Promise.all(many)).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [201, 409, 409, 409, 409, 409]);
    await scene.close();
  });
});
