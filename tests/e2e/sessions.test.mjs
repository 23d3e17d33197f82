// Sessions: refreshed, found stolen, ended.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { assertFailure, EMAIL, openScene } from "./scene.mjs";
import { changed, read } from "./tokens.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const SERVICE_TOKEN = "service-token-of-the-sessions-suite-0123456789";

/** A scene with what sessions are asked. */
async function openSessions(settings = {}) {
  const scene = await openScene({
    settings: { SERVICE_TOKEN, LOGIN_FREE_FAILURES: "1000", PASSWORD_RATE_LIMIT_RPM: "100000", ...settings },
  });
  scene.conceal(SERVICE_TOKEN);
  scene.login = async () => {
    const body = { email: EMAIL, password: scene.settings.ADMIN_PASSWORD };
    const answer = await scene.anonymous.post("/v1/auth/login", body);
    assert.equal(answer.status, 200, answer.text);
    return keep(scene, answer.json);
  };
  scene.refresh = (refresh_token) => scene.anonymous.post("/v1/auth/refresh", { refresh_token });
  scene.logout = (body) => scene.anonymous.post("/v1/auth/logout", body);
  scene.me = (token) => scene.anonymous.as(token).get("/v1/auth/me");
  return scene;
}

function keep(scene, pair) {
  scene.conceal(pair.access_token);
  scene.conceal(pair.refresh_token);
  return pair;
}

describe("a refresh", () => {
  let scene;
  before(async () => (scene = await openSessions({ REFRESH_GRACE_MS: "700" })));
  after(() => scene?.close());

  test("gives the next pair, and the user as documented", async () => {
    const first = await scene.login();
    const { status, json } = await scene.refresh(first.refresh_token);
    assert.equal(status, 200);
    keep(scene, json);
    assert.deepEqual(Object.keys(json), [
      "access_token",
      "refresh_token",
      "token_type",
      "expires_in",
      "user",
    ]);
    assert.deepEqual([json.token_type, json.expires_in], ["bearer", 3600]);
    assert.deepEqual(Object.keys(json.user), ["id", "email", "username", "confirmed", "created_at"]);
    assert.deepEqual([json.user.email, json.user.username, json.user.confirmed], [EMAIL, "ada", true]);
    assert.match(json.user.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.notEqual(json.access_token, first.access_token);
    const [before, now] = [read(first.refresh_token).claims, read(json.refresh_token).claims];
    assert.equal(now.sid, before.sid);
    assert.notEqual(now.jti, before.jti);
    assert.equal(now.exp - now.iat, 30 * 86_400);
    for (const pair of [first, json]) assert.equal((await scene.me(pair.access_token)).status, 200);
  });

  test("gives the same pair again for a moment, letter by letter, twenty times at once", async () => {
    const { refresh_token } = await scene.login();
    const answers = await Promise.all(Array.from({ length: 20 }, () => scene.refresh(refresh_token)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const pairs = new Set(answers.map(({ json }) => `${json.access_token} ${json.refresh_token}`));
    assert.equal(pairs.size, 1);
    const next = await scene.refresh(keep(scene, answers[0].json).refresh_token);
    assert.equal(next.status, 200);
    // A tab that is two behind, and quick.
    const late = await scene.refresh(refresh_token);
    assert.equal(late.json.refresh_token, answers[0].json.refresh_token);
    assert.equal((await scene.refresh(keep(scene, next.json).refresh_token)).status, 200);
  });

  test("of a token used before ends the session once the moment is over", async () => {
    const first = await scene.login();
    const second = keep(scene, (await scene.refresh(first.refresh_token)).json);
    await pause(800);
    assertFailure(await scene.refresh(first.refresh_token), 401, "token_revoked");
    assertFailure(await scene.refresh(second.refresh_token), 401, "token_revoked");
    for (const pair of [first, second])
      assertFailure(await scene.me(pair.access_token), 401, "token_revoked");
  });

  test("of an old token leaves the user's other sessions alone", async () => {
    const [one, other] = [await scene.login(), await scene.login()];
    await scene.refresh(one.refresh_token);
    await pause(800);
    assertFailure(await scene.refresh(one.refresh_token), 401, "token_revoked");
    assert.equal((await scene.me(other.access_token)).status, 200);
    assert.equal((await scene.refresh(other.refresh_token)).status, 200);
  });

  test("takes nothing but a refresh token of ours", async () => {
    const { access_token, refresh_token } = await scene.login();
    const secret = scene.settings.JWT_SECRET;
    for (const [token, code] of [
      [access_token, "unauthorized"],
      [`${refresh_token}x`, "unauthorized"],
      ["garbage", "unauthorized"],
      ["", "unauthorized"],
      [changed(refresh_token, {}, "somebody else's secret, long enough"), "unauthorized"],
      [changed(refresh_token, { exp: 1_700_000_000 }, secret), "token_expired"],
      [changed(refresh_token, { sid: "nosuchsession" }, secret), "token_revoked"],
      [changed(refresh_token, { sub: "user_AAAAAAAAAAAAAAAAAAAAAA" }, secret), "token_revoked"],
    ]) {
      assertFailure(await scene.refresh(token), 401, code);
    }
    // A pair that has not been made yet says that somebody has the secret: the session ends.
    assertFailure(await scene.refresh(changed(refresh_token, { gen: 7 }, secret)), 401, "token_revoked");
    assertFailure(await scene.refresh(refresh_token), 401, "token_revoked");
    assertFailure(await scene.anonymous.post("/v1/auth/refresh", {}), 400, "bad_request");
  });

  test("is refused while the account is suspended, and works again after", async () => {
    const operator = scene.anonymous.as(SERVICE_TOKEN);
    const password = scene.secret("password");
    const email = `${randomBytes(6).toString("hex")}@example.com`;
    const { json: user } = await operator.post("/v1/auth/admin/users", { email, password });
    const pair = keep(scene, (await scene.anonymous.post("/v1/auth/login", { email, password })).json);
    const suspend = (suspended) =>
      operator.request("PATCH", `/v1/auth/admin/users/${user.id}`, { body: { suspended } });
    assert.equal((await suspend(true)).status, 200);
    assertFailure(await scene.refresh(pair.refresh_token), 403, "account_suspended");
    assertFailure(await scene.me(pair.access_token), 403, "account_suspended");
    assert.equal((await suspend(false)).status, 200);
    assert.equal((await scene.refresh(pair.refresh_token)).status, 200);
  });
});

describe("the grace of a refresh token", () => {
  test("is over with its last millisecond", async () => {
    const scene = await openSessions({ REFRESH_GRACE_MS: "0" });
    const { refresh_token } = await scene.login();
    assert.equal((await scene.refresh(refresh_token)).status, 200);
    assertFailure(await scene.refresh(refresh_token), 401, "token_revoked");
    await scene.close();
  });
});

describe("the life of tokens", () => {
  test("is what the settings say, and a session lives as long as it is refreshed", async () => {
    const scene = await openSessions({ ACCESS_TOKEN_SECS: "1", REFRESH_TOKEN_SECS: "4" });
    let pair = await scene.login();
    assert.equal(pair.expires_in, 1);
    await pause(2100);
    assertFailure(await scene.me(pair.access_token), 401, "token_expired");
    pair = keep(scene, (await scene.refresh(pair.refresh_token)).json);
    await pause(2100);
    pair = keep(scene, (await scene.refresh(pair.refresh_token)).json);
    assert.equal((await scene.me(pair.access_token)).status, 200);
    const old = pair.refresh_token;
    await pause(5000);
    assertFailure(await scene.refresh(old), 401, "token_expired");
    await scene.close();
  });

  test("outlasts a power failure and a rotation of the secret", async () => {
    const scene = await openSessions();
    const pair = await scene.login();
    const { json: next } = await scene.refresh(pair.refresh_token);
    await scene.stop({ abruptly: true });
    await scene.start({
      JWT_SECRET: scene.secret("another-jwt-secret-of-this-suite"),
      JWT_SECRET_PREVIOUS: scene.settings.JWT_SECRET,
    });
    assert.equal((await scene.me(keep(scene, next).access_token)).status, 200);
    const { status, json } = await scene.refresh(next.refresh_token);
    assert.equal(status, 200);
    assert.notEqual(read(keep(scene, json).access_token).header.kid, read(next.access_token).header.kid);
    await scene.stop();
    await scene.start({ JWT_SECRET_PREVIOUS: undefined });
    assert.equal((await scene.me(json.access_token)).status, 200);
    assertFailure(await scene.me(next.access_token), 401, "unauthorized");
    await scene.close();
  });
});

describe("signing out", () => {
  let scene;
  before(async () => (scene = await openSessions()));
  after(() => scene?.close());

  for (const [what, bodyOf] of [
    ["the access token", ({ access_token }) => ({ access_token })],
    ["the refresh token", ({ refresh_token }) => ({ refresh_token })],
    ["both", ({ access_token, refresh_token }) => ({ access_token, refresh_token })],
    [
      "an access token past its time",
      ({ access_token }) => ({
        access_token: changed(access_token, { exp: 1_700_000_000 }, scene.settings.JWT_SECRET),
        refresh_token: null,
      }),
    ],
  ]) {
    test(`with ${what} ends the session at once, and again is no error`, async () => {
      const [pair, other] = [await scene.login(), await scene.login()];
      assert.equal((await scene.me(pair.access_token)).status, 200);
      for (let times = 0; times < 2; times += 1) {
        const answer = await scene.logout(bodyOf(pair));
        assert.deepEqual([answer.status, answer.text], [204, ""]);
      }
      assertFailure(await scene.me(pair.access_token), 401, "token_revoked");
      assertFailure(await scene.refresh(pair.refresh_token), 401, "token_revoked");
      assert.equal((await scene.me(other.access_token)).status, 200, "another session of the user");
    });
  }

  test("with what is no token of ours ends nothing", async () => {
    const pair = await scene.login();
    const forged = changed(pair.access_token, {}, "somebody else's secret, long enough");
    for (const body of [
      {},
      { access_token: "garbage" },
      { access_token: forged },
      { refresh_token: "" },
      undefined,
    ]) {
      assert.equal((await scene.logout(body)).status, 204);
    }
    assert.equal((await scene.me(pair.access_token)).status, 200);
    assertFailure(await scene.logout({ access_token: 7 }), 400, "bad_request");
  });
});

describe("who am I", () => {
  test("is answered to a session and to any token", async () => {
    const scene = await openSessions();
    const caller = scene.anonymous.as((await scene.login()).access_token);
    const mine = await caller.get("/v1/auth/me");
    const members = [
      "id",
      "email",
      "username",
      "confirmed",
      "created_at",
      "privileges",
      "groupMemberships",
      "userVersion",
    ];
    assert.deepEqual(Object.keys(mine.json), members);
    assert.deepEqual(
      [
        mine.json.email,
        mine.json.confirmed,
        mine.json.privileges,
        mine.json.groupMemberships,
        mine.json.userVersion,
      ],
      [EMAIL, true, ["admin"], ["main"], 1],
    );
    const token = await scene.makeToken(caller, ["files:read"]);
    assert.deepEqual((await token.get("/v1/auth/me")).json, mine.json);
    await scene.close();
  });
});

describe("MAX_SESSIONS=3", () => {
  test("keeps three, and ends the oldest for one more", async () => {
    const scene = await openSessions({ MAX_SESSIONS: "3" });
    const sessions = [];
    for (let at = 0; at < 3; at += 1) {
      sessions.push(await scene.login());
      await pause(1050);
    }
    for (const { access_token } of sessions) assert.equal((await scene.me(access_token)).status, 200);
    await scene.login();
    await pause(1100);
    assertFailure(await scene.me(sessions[0].access_token), 401, "token_revoked");
    for (const { access_token } of sessions.slice(1))
      assert.equal((await scene.me(access_token)).status, 200);
    await scene.close();
  });
});
