// The audit log: what happens to accounts, tokens and passwords is remembered before its answer goes out, and read by
// auditors alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { eventually } from "./within.mjs";

const SERVICE_TOKEN = "service-token-of-the-audit-suite-0123456789";
const CLIENT = "203.0.113.7";
const ROUTE = "/v1/admin/audit-logs";

let scene, auditor, operator, password;
before(async () => {
  scene = await openScene({
    settings: {
      SERVICE_TOKEN,
      CLIENT_IP_HEADER: "x-client",
      AUDIT_LIMIT_EVENTS: "400",
      PASSWORD_RATE_LIMIT_RPM: "100000",
      LOGIN_FREE_FAILURES: "3",
      RATE_LIMIT_RPM: "60",
      REGISTRATION: "open",
      MAIL_URL: "log:",
      PUBLIC_RATE_LIMIT_RPM: "0",
      REFRESH_GRACE_MS: "0",
    },
  });
  scene.conceal(SERVICE_TOKEN);
  operator = scene.anonymous.as(SERVICE_TOKEN);
  password = scene.secret("a password");
  auditor = await makeUser("auditor@example.com", ["admin", "auditView"]);
});
after(() => scene?.close());

const login = (email, given = password) =>
  scene.anonymous.post("/v1/auth/login", { email, password: given }, { headers: { "x-client": CLIENT } });

async function makeUser(email, privileges = []) {
  const made = await operator.post("/v1/auth/admin/users", { email, password, privileges });
  assert.equal(made.status, 201, made.text);
  const { json } = await login(email);
  scene.conceal(json.access_token);
  scene.conceal(json.refresh_token);
  return Object.assign(scene.anonymous.as(json.access_token), { id: made.json.id, pair: json });
}

async function find(filters = {}) {
  const answer = await auditor.get(`${ROUTE}?${new URLSearchParams(filters)}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

/** What is remembered of a user, the oldest first, as `action status code`. */
async function story(user_id) {
  const { data } = await find({ user_id });
  return data
    .reverse()
    .map(({ actor, action, status, code }) => [actor, action, status, ...(code ? [code] : [])].join(" "));
}

test("a user's story, in order", async () => {
  const ann = await makeUser("ann@example.com");
  assert.equal((await login("ann@example.com", "wrong password")).status, 401);
  const made = (await ann.post("/v1/api-tokens", { name: "script", scopes: ["models:read"] })).json;
  scene.conceal(made.token);
  assert.equal((await ann.as(made.token).chat()).status, 403);
  assert.equal((await ann.as(made.token).chat()).status, 403);
  const rotated = (await ann.post(`/v1/api-tokens/${made.id}/rotate`)).json;
  scene.conceal(rotated.token);
  assert.equal((await ann.as(made.token).get("/v1/models")).status, 401);
  assert.equal((await ann.delete(`/v1/api-tokens/${rotated.id}`)).status, 204);
  const newPassword = scene.secret("another password");
  const change = { currentPassword: password, newPassword };
  assert.equal((await ann.post("/v1/auth/change-password", change)).status, 200);
  assert.equal(
    (await operator.request("PATCH", `/v1/auth/admin/users/${ann.id}`, { body: { suspended: true } })).status,
    200,
  );
  assert.equal((await login("ann@example.com", newPassword)).status, 403);
  assert.equal((await operator.delete(`/v1/auth/users/${ann.id}`)).status, 204);
  assert.deepEqual(await story(ann.id), [
    "operator user.create success",
    "user auth.login success",
    "anonymous auth.login failure invalid_credentials",
    "user api_token.create success",
    "user access.denied failure insufficient_scope",
    "user api_token.rotate success",
    "user access.denied failure token_revoked",
    "user api_token.revoke success",
    "user password.change success",
    "operator user.update success",
    "anonymous auth.login failure account_suspended",
    "operator user.delete success",
  ]);
  const { data } = await find({ user_id: ann.id, action: "api_token.create" });
  assert.deepEqual([data[0].resource, data[0].resource_id, data[0].ip_address], ["api_token", made.id, null]);
  const [signIn] = (await find({ user_id: ann.id, action: "auth.login", status: "success" })).data;
  assert.equal(signIn.ip_address, CLIENT);
  assert.match(signIn.request_id, /^req_/);
});

test("a refresh token used twice, a sign-out, a limit", async () => {
  const bob = await makeUser("bob@example.com");
  const { refresh_token } = bob.pair;
  const next = (await scene.anonymous.post("/v1/auth/refresh", { refresh_token })).json;
  for (const token of [next.access_token, next.refresh_token]) scene.conceal(token);
  const later = (await scene.anonymous.post("/v1/auth/refresh", { refresh_token: next.refresh_token })).json;
  for (const token of [later.access_token, later.refresh_token]) scene.conceal(token);
  assert.equal((await scene.anonymous.post("/v1/auth/refresh", { refresh_token })).status, 401);
  const again = (await login("bob@example.com")).json;
  for (const token of [again.access_token, again.refresh_token]) scene.conceal(token);
  const user = scene.anonymous.as(again.access_token);
  let limited = 0;
  for (let i = 0; i < 70; i += 1) limited += (await user.get("/v1/models")).status === 429 ? 1 : 0;
  assert.ok(limited >= 2, `${limited} refused`);
  assert.equal(
    (await scene.anonymous.post("/v1/auth/logout", { access_token: again.access_token })).status,
    204,
  );
  assert.deepEqual((await story(bob.id)).slice(2), [
    "anonymous auth.refresh failure token_revoked",
    "user auth.login success",
    "user limit.hit failure rate_limited",
    "user auth.logout success",
  ]);
  const [hit] = (await find({ user_id: bob.id, action: "limit.hit" })).data;
  assert.equal(hit.resource_id, "/v1/models");
});

test("registration and a mailed code", async () => {
  const registered = await scene.anonymous.post("/v1/auth/register", {
    email: "cy@example.com",
    password,
    username: "Cy",
  });
  assert.equal(registered.status, 201, registered.text);
  const code = await eventually(
    5000,
    () => /n(\d{6})\\/.exec(scene.edge.log().split("cy@example.com")[1] ?? "")?.[1],
    "a code",
  );
  const wrong = code === "000000" ? "000001" : "000000";
  assert.equal(
    (await scene.anonymous.post("/v1/auth/confirm", { email: "cy@example.com", code: wrong })).status,
    400,
  );
  const confirmed = await scene.anonymous.post("/v1/auth/confirm", { email: "cy@example.com", code });
  assert.equal(confirmed.status, 200, confirmed.text);
  for (const token of [confirmed.json.access_token, confirmed.json.refresh_token]) scene.conceal(token);
  assert.deepEqual(await story(confirmed.json.user.id), ["user user.confirm success"]);
  const { data } = await find({ action: "user.confirm", status: "failure" });
  assert.deepEqual([data[0].user_id, data[0].code], [null, "invalid_code"]);
});

test("every filter narrows, and a page is a page", async () => {
  const all = await find({ limit: "500" });
  assert.equal(all.total, all.data.length);
  assert.ok(all.total > 20);
  const ids = all.data.map(({ id }) => id);
  assert.deepEqual(
    ids,
    [...ids].sort((a, b) => b - a),
    "the newest first",
  );
  for (const [name, of] of [
    ["action", "auth.login"],
    ["resource", "api_token"],
    ["status", "failure"],
    ["user_id", auditor.id],
  ]) {
    const narrowed = await find({ [name]: of, limit: "500" });
    // Whoever reads is remembered too.
    const expected = all.data.filter((event) => event[name] === of);
    assert.ok(narrowed.data.length > 0 && narrowed.data.every((event) => event[name] === of), name);
    assert.ok(narrowed.data.length >= expected.length && narrowed.data.length <= expected.length + 5, name);
  }
  const [page, next] = [
    await find({ limit: "5", end: all.data[0].timestamp }),
    await find({ limit: "5", offset: "5", end: all.data[0].timestamp }),
  ];
  assert.deepEqual([page.limit, page.offset, page.data.length, next.offset], [5, 0, 5, 5]);
  assert.ok(page.data.at(-1).id > next.data[0].id);
  const middle = all.data[10].timestamp;
  const since = await find({ start: middle, limit: "500" });
  const until = await find({ end: middle, limit: "500" });
  assert.ok(since.data.every(({ timestamp }) => timestamp >= middle));
  assert.ok(until.data.every(({ timestamp }) => timestamp < middle));
});

test("a bad filter is named", async () => {
  for (const [name, value] of [
    ["start", "yesterday"],
    ["end", "2026-13-01"],
    ["action", "x"],
    ["resource", "x"],
    ["status", "200"],
    ["limit", "0"],
    ["limit", "501"],
    ["offset", "-1"],
  ]) {
    const failure = assertFailure(await auditor.get(`${ROUTE}?${name}=${value}`), 400, "bad_request");
    assert.equal(failure.param, name);
  }
  assert.equal((await auditor.get(`${ROUTE}?limit=500&offset=10000000`)).json.data.length, 0);
});

test("is for admins with the privilege, with a session of theirs", async () => {
  for (const privileges of [[], ["admin"], ["auditView"]]) {
    const caller = await makeUser(`${privileges.join("-") || "none"}@example.com`, privileges);
    const failure = assertFailure(await caller.get(ROUTE), 403, "insufficient_scope");
    assert.equal(failure.required_scope, "auditView");
  }
  const token = (await auditor.post("/v1/api-tokens", { name: "all", scopes: ["models:read", "chat:write"] }))
    .json;
  scene.conceal(token.token);
  assertFailure(await auditor.as(token.token).get(ROUTE), 403, "pat_not_allowed");
  assertFailure(await scene.anonymous.get(ROUTE), 401, "unauthorized");
  assertFailure(await operator.get(ROUTE), 401, "unauthorized");
  assert.ok(
    (await find({ action: "audit_log.read", status: "failure" })).total >= 3,
    "who tried is remembered",
  );
});

test("survives a crash, with all that was answered", async () => {
  const { total } = await find();
  await scene.stop({ abruptly: true });
  await scene.start();
  operator = scene.anonymous.as(SERVICE_TOKEN);
  auditor.url = scene.url;
  assert.ok((await find()).total >= total, "nothing is lost");
});

test("nobody who invents addresses pushes out what happened to others", async () => {
  const before = await find({ user_id: auditor.id, action: "user.create" });
  assert.equal(before.total, 1);
  for (let round = 0; round < 12; round += 1) {
    const headers = (i) => ({ "x-client": `198.51.${round}.${i}` });
    const guess = (i) => ({ email: `nobody-${round}-${i}@example.com`, password: "wrong password" });
    const guesses = Array.from({ length: 16 }, (_, i) =>
      scene.anonymous.post("/v1/auth/login", guess(i), { headers: headers(i) }),
    );
    for (const answer of await Promise.all(guesses)) assert.equal(answer.status, 401);
  }
  const failures = await find({ action: "auth.login", status: "failure", limit: "500" });
  const anonymous = failures.data.filter(({ user_id }) => user_id === null).length;
  assert.ok(anonymous >= 100 && anonymous <= 100 + 64, `${anonymous} of nobody known`);
  assert.equal((await find({ user_id: auditor.id, action: "user.create" })).total, 1);
});

test("AUDIT_RETENTION_DAYS=1: what is a day old is remembered, and what is older is not", async (t) => {
  const DAY = 86_400_000;
  const own = await openScene({
    entries: [["clock.js", "tests/e2e/clock.js"]],
    settings: { AUDIT_RETENTION_DAYS: "1", SERVICE_TOKEN, ACCESS_TOKEN_SECS: "3600" },
  });
  t.after(() => own.close());
  own.conceal(SERVICE_TOKEN);
  const post = (path, body, token) => own.anonymous.as(token).post(path, body);
  const admin = { email: "auditor@example.com", password: own.secret("a password") };
  await post("/v1/auth/admin/users", { ...admin, privileges: ["admin", "auditView"] }, SERVICE_TOKEN);
  /** Signs in, which removes what is too old, and gives how many accounts are remembered as made. */
  const remembered = async (offset) => {
    await own.anonymous.get("/health", { headers: { "x-clock": `${offset}` } });
    const { json } = await post("/v1/auth/login", admin);
    for (const token of [json.access_token, json.refresh_token]) own.conceal(token);
    return (await own.anonymous.as(json.access_token).get(`${ROUTE}?action=user.create`)).json.total;
  };
  assert.equal(await remembered(DAY - 60_000), 1);
  assert.equal(await remembered(DAY + 60_000), 0);
});
