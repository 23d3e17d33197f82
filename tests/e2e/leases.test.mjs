// Two isolates of the edge on one storage: what one revokes, what both may spend, and what that costs.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { Caller } from "./caller.mjs";
import { COUNTING } from "./counting.mjs";
import { openScene } from "./scene.mjs";
import { completion } from "./upstream.mjs";
import { eventually } from "./within.mjs";

const LEASE_MS = 1000;
const SERVICE_TOKEN = "service-token-of-the-leases-suite-0123456789";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const me = (caller) => caller.get("/v1/auth/me");

async function openPair(settings = {}, options = {}) {
  const scene = await openScene({
    settings: {
      SERVICE_TOKEN,
      LOGIN_FREE_FAILURES: "1000",
      REGISTRATION: "open",
      MAIL_URL: "log:",
      ADMISSION_LEASE_MS: String(LEASE_MS),
      ...settings,
    },
    isolates: 2,
    ...options,
  });
  scene.conceal(SERVICE_TOKEN);
  const [here, there] = scene.edge.urls;
  assert.notEqual(here, there);
  scene.here = (token) => new Caller(here, token);
  scene.there = (token) => new Caller(there, token);
  return scene;
}

/** A new user with a session and a token; gives what it takes to use and to end them. */
let users = 0;
async function makeUser(scene) {
  const email = `user-${(users += 1)}@example.com`;
  const password = scene.secret("password");
  const operator = scene.here(SERVICE_TOKEN);
  const { json } = await operator.post("/v1/auth/admin/users", { email, password });
  const login = async () => {
    const answer = await scene.here().post("/v1/auth/login", { email, password });
    assert.equal(answer.status, 200, answer.text);
    scene.conceal(answer.json.access_token);
    return answer.json;
  };
  const [session, other] = [await login(), await login()];
  const made = await scene
    .here(other.access_token)
    .post("/v1/api-tokens", { name: "pat", scopes: ["models:read"] });
  scene.conceal(made.json.token);
  return { id: json.id, email, password, session, other, pat: made.json, operator };
}

/** What ends which credential: `[what, end, credential]`. */
const ENDS = [
  [
    "a session, by signing out",
    (scene, user) => scene.here().post("/v1/auth/logout", { access_token: user.session.access_token }),
    (user) => user.session.access_token,
    401,
  ],
  [
    "a session, by another's change of the password",
    (scene, user) =>
      scene
        .here(user.other.access_token)
        .post("/v1/auth/change-password", { currentPassword: user.password, newPassword: "a new password" }),
    (user) => user.session.access_token,
    401,
  ],
  [
    "a session, by the operator's new password",
    (scene, user) =>
      user.operator.post("/v1/auth/admin/set-password", { user_id: user.id, newPassword: "a new password" }),
    (user) => user.session.access_token,
    401,
  ],
  [
    "a session, by a refresh token used again too late",
    async (scene, user) => {
      const refresh = () =>
        scene.here().post("/v1/auth/refresh", { refresh_token: user.session.refresh_token });
      assert.equal((await refresh()).status, 200);
      await pause(150);
      assert.equal((await refresh()).json.error.code, "token_revoked");
    },
    (user) => user.session.access_token,
    401,
  ],
  [
    "a token, by revoking it",
    (scene, user) => scene.here(user.session.access_token).delete(`/v1/api-tokens/${user.pat.id}`),
    (user) => user.pat.token,
    401,
  ],
  [
    "a token, by rotating it",
    (scene, user) => scene.here(user.session.access_token).post(`/v1/api-tokens/${user.pat.id}/rotate`),
    (user) => user.pat.token,
    401,
  ],
  [
    "everything, by suspension",
    (scene, user) =>
      user.operator.request("PATCH", `/v1/auth/admin/users/${user.id}`, { body: { suspended: true } }),
    (user) => user.pat.token,
    403,
  ],
  [
    "everything, by deletion",
    (scene, user) => user.operator.delete(`/v1/auth/users/${user.id}`),
    (user) => user.pat.token,
    401,
  ],
];

for (const leaseMs of [LEASE_MS, 0]) {
  describe(`ADMISSION_LEASE_MS=${leaseMs}: what one isolate ends`, () => {
    let scene;
    after(() => scene?.close());

    for (const [what, end, credential, status] of ENDS) {
      test(what, async () => {
        scene ??= await openPair({ ADMISSION_LEASE_MS: String(leaseMs), REFRESH_GRACE_MS: "100" });
        const user = await makeUser(scene);
        const token = credential(user);
        for (const side of [scene.here, scene.there]) assert.equal((await me(side(token))).status, 200);
        // The lease there is as fresh as can be.
        const asked = performance.now();
        assert.equal((await me(scene.there(token))).status, 200);
        await end(scene, user);
        assert.equal((await me(scene.here(token))).status, status, "here, at once");
        if (leaseMs > 0) {
          await eventually(
            leaseMs + 500,
            async () => (await me(scene.there(token))).status === status,
            `it ends there within a lease, after ${performance.now() - asked} ms`,
          );
        }
        assert.equal((await me(scene.there(token))).status, status, "there");
        if (what.includes("session, by another")) {
          assert.equal(
            (await me(scene.here(user.other.access_token))).status,
            200,
            "the session that did it",
          );
        }
      });
    }
  });
}

describe("200 calls at once on a budget of 10", () => {
  for (const leaseMs of [0, LEASE_MS]) {
    test(`ten pass in one isolate, ADMISSION_LEASE_MS=${leaseMs}`, async () => {
      const scene = await openPair({ RATE_LIMIT_RPM: "10", ADMISSION_LEASE_MS: String(leaseMs) });
      const { access_token } = (await scene.signIn(), scene.login);
      const calls = Array.from({ length: 200 }, () => me(scene.here(access_token)));
      const answers = await Promise.all(calls);
      assert.equal(answers.filter(({ status }) => status === 200).length, 10);
      assert.ok(answers.every(({ status }) => status === 200 || status === 429));
      for (const { headers, status } of answers) {
        assert.equal(headers.get("x-ratelimit-limit-requests"), "10");
        if (status === 429) assert.ok(Number(headers.get("retry-after")) >= 1);
      }
      await scene.close();
    });

    test(`no more than ten pass in two, ADMISSION_LEASE_MS=${leaseMs}`, async () => {
      const scene = await openPair({ RATE_LIMIT_RPM: "10", ADMISSION_LEASE_MS: String(leaseMs) });
      const { access_token } = (await scene.signIn(), scene.login);
      const sides = [scene.here(access_token), scene.there(access_token)];
      const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => me(sides[at % 2])));
      assert.equal(answers.filter(({ status }) => status === 200).length, 10);
      await scene.close();
    });
  }
});

describe("what a lease holds", () => {
  let scene;
  after(() => scene?.close());
  const left = ({ headers }) => Number(headers.get("x-ratelimit-remaining-requests"));

  test("counts as left, and goes back when it is over", async () => {
    scene = await openPair({ RATE_LIMIT_RPM: "1000" });
    const { access_token } = (await scene.signIn(), scene.login);
    const counts = [];
    for (let at = 0; at < 40; at += 1) counts.push(left(await me(scene.here(access_token))));
    for (const [at, count] of counts.entries()) {
      // The bucket fills by 17 a second.
      assert.ok(count >= 999 - at && count <= 999 - at + 20, `${count} left after ${at + 1}`);
    }
    assert.ok(left(await me(scene.there(access_token))) < 960, "what is held here is not there");
    await pause(LEASE_MS + 300);
    assert.ok(left(await me(scene.there(access_token))) >= 958, "it is back");
  });

  test("tokens are reserved, settled to what was used, and given back when nothing was", async () => {
    const tokens = ({ headers }) => Number(headers.get("x-ratelimit-remaining-tokens"));
    const limits = { RATE_LIMIT_RPM: "0", RATE_LIMIT_TPM: "600000" };
    const pair = await openPair(limits);
    const caller = await pair.signIn();
    const used = (total) => ({ usage: { prompt_tokens: total, completion_tokens: 0, total_tokens: total } });
    pair.upstream.always((exchange) => exchange.reply(completion("Paris", used(300_000))));
    assert.equal((await caller.chat()).status, 200);
    await eventually(
      LEASE_MS + 2000,
      async () => tokens(await me(pair.there(caller.token))) < 400_000,
      "the other isolate learns what was used",
    );
    pair.upstream.always((exchange) => exchange.reply({ error: { message: "no" } }, 500));
    const before = tokens(await me(pair.there(caller.token)));
    for (let at = 0; at < 5; at += 1) assert.ok((await caller.chat()).status >= 500);
    await pause(LEASE_MS + 300);
    assert.ok(tokens(await me(pair.there(caller.token))) >= before, "nothing was used");
    await pair.close();
  });
});

describe("calls of objects", () => {
  const calls = async (scene) => (await scene.here().get("/counts")).json.objectCalls;

  test("a leased session or token needs none", async () => {
    const scene = await openPair({ RATE_LIMIT_RPM: "1000000" }, COUNTING);
    const user = await makeUser(scene);
    for (const [kind, token] of [
      ["session", user.session.access_token],
      ["token", user.pat.token],
    ]) {
      const caller = scene.here(token);
      for (let at = 0; at < 20; at += 1) assert.equal((await me(caller)).status, 200);
      await calls(scene);
      const start = performance.now();
      for (let at = 0; at < 200; at += 1) assert.equal((await me(caller)).status, 200);
      const count = await calls(scene);
      const leases = Math.ceil((performance.now() - start) / LEASE_MS);
      // Two renewals a lease, what ran out in between, and what went back.
      assert.ok(count <= 10 * leases, `${count} calls for 200 requests of a ${kind}`);
    }
    await scene.close();
  });

  test("a strict one needs one each", async () => {
    const scene = await openPair({ ADMISSION_LEASE_MS: "0" }, COUNTING);
    const user = await makeUser(scene);
    await me(scene.here(user.pat.token));
    await calls(scene);
    for (let at = 0; at < 50; at += 1) assert.equal((await me(scene.here(user.pat.token))).status, 200);
    assert.equal(await calls(scene), 50);
    await scene.close();
  });

  test("what is mistyped, forged or has expired needs none", async () => {
    const scene = await openPair({}, COUNTING);
    const user = await makeUser(scene);
    await calls(scene);
    for (const token of [`${user.pat.token}x`, `${user.session.access_token}x`, user.session.refresh_token]) {
      assert.equal((await me(scene.here(token))).status, 401);
    }
    assert.equal(await calls(scene), 0);
    await scene.close();
  });
});

test("invented tokens and addresses bring no objects into being but the 256 of each kind", async () => {
  const scene = await openPair({ PASSWORD_RATE_LIMIT_RPM: "100000" });
  await scene.signIn();
  const accounts = async () => {
    const files = await readdir(join(scene.dataDir, "objects"), { recursive: true });
    return files.filter((file) => /comind-account.*\.sqlite$/.test(file)).length;
  };
  await scene.here().post("/v1/auth/login", { email: "a@example.com", password: "wrong" });
  const before = await accounts();
  const operator = scene.here(SERVICE_TOKEN);
  for (let at = 0; at < 20; at += 1) {
    const id = `user_${String(at).padStart(22, "A")}`;
    assert.equal((await operator.get(`/v1/auth/admin/users/${id}`)).status, 404);
    assert.equal((await operator.delete(`/v1/auth/users/${id}`)).status, 404);
    const email = `invented-${at}@example.com`;
    assert.equal(
      (await scene.here().post("/v1/auth/register", { email, password: "a password to be" })).status,
      201,
    );
    const reset = { email, code: "123456", newPassword: "a password to be" };
    assert.equal((await scene.here().post("/v1/auth/password-reset", reset)).status, 400);
  }
  assert.equal(await accounts(), before);
  await scene.close();
});
