// Passwords changed, reset and set.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { eventually } from "./within.mjs";

const SERVICE_TOKEN = "service-token-of-the-passwords-suite-0123456789";
const NEW = "a password to be";
let people = 0;

async function openPasswords(settings = {}) {
  const scene = await openScene({
    settings: {
      SERVICE_TOKEN,
      MAIL_URL: "log:",
      LOGIN_FREE_FAILURES: "1000",
      PASSWORD_RATE_LIMIT_RPM: "100000",
      MAIL_LIMIT_PER_HOUR: "100",
      ...settings,
    },
  });
  scene.conceal(SERVICE_TOKEN);
  scene.operator = scene.anonymous.as(SERVICE_TOKEN);
  scene.loginAs = (email, password) => scene.anonymous.post("/v1/auth/login", { email, password });
  /** A user with two sessions and a token. */
  scene.makeUser = async () => {
    const email = `user-${(people += 1)}@example.com`;
    const password = scene.secret("password");
    const { json } = await scene.operator.post("/v1/auth/admin/users", { email, password });
    const login = async () => {
      const pair = (await scene.loginAs(email, password)).json;
      scene.conceal(pair.access_token);
      scene.conceal(pair.refresh_token);
      return pair;
    };
    const user = { id: json.id, email, password, one: await login(), other: await login() };
    user.caller = scene.anonymous.as(user.one.access_token);
    user.token = await scene.makeToken(user.caller, ["models:read"]);
    return user;
  };
  scene.assertEnded = async (pair) => {
    assertFailure(await scene.anonymous.as(pair.access_token).get("/v1/auth/me"), 401, "token_revoked");
    const { refresh_token } = pair;
    assertFailure(await scene.anonymous.post("/v1/auth/refresh", { refresh_token }), 401, "token_revoked");
  };
  scene.resetCode = async (email) => {
    const sent = () =>
      scene.edge
        .log()
        .split("\n")
        .filter((line) => line.includes(`"${email}"`));
    const before = sent().length;
    const answer = await scene.anonymous.post("/v1/auth/password-reset-request", { email });
    assert.deepEqual([answer.status, Object.keys(answer.json)], [200, ["message"]]);
    await eventually(5000, () => sent().length > before, "a mail");
    return /^(\d{6})$/m.exec(JSON.parse(sent().at(-1)).message)[1];
  };
  return scene;
}

const change = (caller, currentPassword, newPassword = NEW) =>
  caller.post("/v1/auth/change-password", { currentPassword, newPassword });

describe("a password", () => {
  let scene;
  before(async () => (scene = await openPasswords()));
  after(() => scene?.close());

  test("changed by its owner ends every other session, and leaves this one and the tokens", async () => {
    const user = await scene.makeUser();
    const wrong = await change(user.caller, "another password");
    assertFailure(wrong, 401, "invalid_credentials");
    assert.equal(wrong.json.error.param, "currentPassword");
    const answer = await change(user.caller, user.password);
    assert.deepEqual([answer.status, Object.keys(answer.json)], [200, ["message"]]);
    const me = await user.caller.get("/v1/auth/me");
    assert.deepEqual([me.status, me.json.userVersion], [200, 2]);
    await scene.assertEnded(user.other);
    const { refresh_token } = user.one;
    assert.equal((await scene.anonymous.post("/v1/auth/refresh", { refresh_token })).status, 200);
    assert.equal((await user.token.get("/v1/models")).status, 200);
    assertFailure(await scene.loginAs(user.email, user.password), 401, "invalid_credentials");
    assert.equal((await scene.loginAs(user.email, NEW)).status, 200);
  });

  test("that will not do is refused before the present one is looked at", async () => {
    const user = await scene.makeUser();
    for (const [body, param] of [
      [{ newPassword: NEW }, "currentPassword"],
      [{ currentPassword: "", newPassword: NEW }, "currentPassword"],
      [{ currentPassword: user.password, newPassword: "elevenchars" }, "newPassword"],
      [{ currentPassword: user.password, newPassword: "x1".repeat(64) + "x" }, "newPassword"],
      [{ currentPassword: user.password, newPassword: "password1234" }, "newPassword"],
    ]) {
      const answer = await user.caller.post("/v1/auth/change-password", body);
      assertFailure(answer, 400, "bad_request");
      assert.equal(answer.json.error.param, param);
    }
    assert.equal((await user.caller.get("/v1/auth/me")).json.userVersion, 1);
  });

  test("is set with a mailed code, which ends all sessions and works once", async () => {
    const user = await scene.makeUser();
    const code = await scene.resetCode(user.email);
    const reset = (newPassword) =>
      scene.anonymous.post("/v1/auth/password-reset", { email: user.email, code, newPassword });
    assert.equal((await reset("short")).json.error.param, "newPassword");
    const answer = await reset(NEW);
    assert.deepEqual([answer.status, Object.keys(answer.json)], [200, ["message"]]);
    for (const pair of [user.one, user.other]) await scene.assertEnded(pair);
    assertFailure(await reset("yet another password"), 400, "invalid_code");
    assert.equal((await scene.loginAs(user.email, NEW)).status, 200);
    assert.equal((await user.token.get("/v1/models")).status, 200);
  });

  test("is asked to be reset for nobody with the same answer, and no mail", async () => {
    const user = await scene.makeUser();
    const ask = (email) => scene.anonymous.post("/v1/auth/password-reset-request", { email });
    const [known, unknown] = [await ask(user.email), await ask("nobody@example.com")];
    assert.deepEqual([known.status, known.text], [unknown.status, unknown.text]);
    await eventually(5000, () => scene.edge.log().includes(user.email), "the mail to the one who is there");
    assert.ok(!scene.edge.log().includes("nobody@example.com"));
    assertFailure(await ask("nobody"), 400, "bad_request");
    for (const code of ["000000", "12345"]) {
      const body = { email: "nobody@example.com", code, newPassword: NEW };
      assertFailure(await scene.anonymous.post("/v1/auth/password-reset", body), 400, "invalid_code");
    }
  });

  test("is set by the operator, by address or id, which ends all sessions", async () => {
    for (const name of ["email", "user_id"]) {
      const user = await scene.makeUser();
      const whose = name === "email" ? { email: user.email } : { user_id: user.id };
      const set = await scene.operator.post("/v1/auth/admin/set-password", { ...whose, newPassword: NEW });
      assert.deepEqual([set.status, set.text], [204, ""]);
      for (const pair of [user.one, user.other]) await scene.assertEnded(pair);
      assert.equal((await scene.loginAs(user.email, NEW)).json.user.userVersion, 2);
    }
    for (const whose of [{ email: "nobody@example.com" }, { user_id: "user_nobody" }]) {
      const set = await scene.operator.post("/v1/auth/admin/set-password", { ...whose, newPassword: NEW });
      assertFailure(set, 404, "not_found");
    }
  });
});

describe("guesses", () => {
  test("at the present password slow down like those at a sign-in, and a reset forgives them", async () => {
    const scene = await openPasswords({ LOGIN_FREE_FAILURES: "2" });
    const user = await scene.makeUser();
    for (let wrong = 0; wrong < 2; wrong += 1) {
      assertFailure(await change(user.caller, "wrong password"), 401, "invalid_credentials");
    }
    assertFailure(await change(user.caller, user.password), 429, "rate_limited");
    assertFailure(await scene.loginAs(user.email, user.password), 429, "rate_limited");
    const code = await scene.resetCode(user.email);
    const body = { email: user.email, code, newPassword: NEW };
    assert.equal((await scene.anonymous.post("/v1/auth/password-reset", body)).status, 200);
    assert.equal((await scene.loginAs(user.email, NEW)).status, 200);
    await scene.close();
  });

  test("of everybody together are hashed PASSWORD_RATE_LIMIT_RPM=4 times a minute", async () => {
    const scene = await openPasswords({ PASSWORD_RATE_LIMIT_RPM: "4" });
    for (let at = 0; at < 4; at += 1) {
      assertFailure(await scene.loginAs(`nobody-${at}@example.com`, "wrong"), 401, "invalid_credentials");
    }
    const refused = await scene.loginAs("nobody@example.com", "wrong");
    assertFailure(refused, 429, "rate_limited");
    const wait = Number(refused.headers.get("retry-after"));
    assert.ok(wait >= 13 && wait <= 15, `${wait} s: a quarter of a minute`);
    await scene.close();
  });

  test("come PUBLIC_RATE_LIMIT_RPM=3 times a minute from a client, whatever they try", async () => {
    const scene = await openPasswords({ PUBLIC_RATE_LIMIT_RPM: "3", CLIENT_IP_HEADER: "x-client" });
    const from = (client) => ({ headers: { "x-client": client } });
    const tries = [
      ["/v1/auth/logout", {}, 204],
      ["/v1/auth/refresh", { refresh_token: "x" }, 401],
      ["/v1/auth/password-reset-request", { email: "nobody@example.com" }, 200],
    ];
    for (const [path, body, status] of tries) {
      assert.equal((await scene.anonymous.post(path, body, from("2001:db8:1:2::1"))).status, status);
    }
    for (const [path, body] of tries) {
      const refused = await scene.anonymous.post(path, body, from("2001:db8:1:2:3::4"));
      assertFailure(refused, 429, "rate_limited");
      assert.ok(Number(refused.headers.get("retry-after")) <= 20);
    }
    assert.equal((await scene.anonymous.post(...tries[0].slice(0, 2), from("2001:db8:1:3::1"))).status, 204);
    assert.equal((await scene.anonymous.get("/health", from("2001:db8:1:2::1"))).status, 200);
    await scene.close();
  });
});
