// Signing in: what strangers learn, how guessing is slowed, what a restart keeps.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { EMAIL, assertFailure, openScene } from "./scene.mjs";

describe("a stranger", () => {
  let scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene?.close());

  test("cannot tell a wrong address from a wrong password", async () => {
    const attempts = [
      { email: EMAIL, password: "not the password" },
      { email: "nobody@example.com", password: scene.settings.ADMIN_PASSWORD },
    ];
    const answers = [];
    for (const attempt of attempts) answers.push(await scene.anonymous.post("/v1/auth/login", attempt));
    for (const answer of answers) assertFailure(answer, 401, "invalid_credentials");
    assert.equal(answers[0].text, answers[1].text);
    const names = answers.map(({ headers }) => [...headers.keys()].sort());
    assert.deepEqual(names[0], names[1]);
  });

  test("cannot tell by the time it takes, within a factor of three", async () => {
    const took = async (body) => {
      const start = performance.now();
      await scene.anonymous.post("/v1/auth/login", body);
      return performance.now() - start;
    };
    const known = await took({ email: EMAIL, password: "not the password" });
    const unknown = await took({ email: "somebody@example.com", password: "not the password" });
    assert.ok(
      unknown > known / 3 && known > unknown / 3,
      `${known.toFixed(1)} ms and ${unknown.toFixed(1)} ms`,
    );
  });
});

describe("guessing", () => {
  let scene;
  before(async () => {
    scene = await openScene({ settings: { LOGIN_FREE_FAILURES: "3", CLIENT_IP_HEADER: "x-test-address" } });
  });
  after(() => scene?.close());
  const attempt = (email, password, address) =>
    scene.anonymous.post("/v1/auth/login", { email, password }, { headers: { "x-test-address": address } });

  test("at one address is free three times, then has to wait, right or wrong, from anywhere", async () => {
    for (let index = 0; index < 3; index += 1)
      assertFailure(await attempt(EMAIL, "wrong", `192.0.2.${index}`), 401, "invalid_credentials");
    for (const password of ["wrong", scene.settings.ADMIN_PASSWORD]) {
      const answer = await attempt(EMAIL, password, "192.0.2.9");
      assertFailure(answer, 429, "rate_limited");
      assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
    }
  });

  test("at an address that nobody has is slowed alike", async () => {
    for (let index = 0; index < 3; index += 1)
      assertFailure(
        await attempt("nobody@example.com", "wrong", `198.51.100.${index}`),
        401,
        "invalid_credentials",
      );
    assertFailure(await attempt("nobody@example.com", "wrong", "198.51.100.9"), 429, "rate_limited");
  });

  test("at many addresses from one place is slowed, and nobody elsewhere suffers", async () => {
    const seen = [];
    for (let index = 0; index < 60 && seen.at(-1) !== 429; index += 1)
      seen.push((await attempt(`guess${index}@example.com`, "wrong", "203.0.113.7")).status);
    assert.equal(seen.at(-1), 429, `after ${seen.length} attempts`);
    assert.ok(seen.length > 3, "the first failures are free");
    assertFailure(await attempt("other@example.com", "wrong", "203.0.113.8"), 401, "invalid_credentials");
  });

  test("waits longer after each failure, and not only until the next power failure", async () => {
    const email = "patient@example.com";
    const wait = async () => {
      const answer = await attempt(email, "wrong", "192.0.2.50");
      return answer.status === 429
        ? Number(answer.headers.get("retry-after"))
        : assertFailure(answer, 401, "invalid_credentials") && 0;
    };
    for (let index = 0; index < 3; index += 1) assert.equal(await wait(), 0);
    const first = await wait();
    assert.ok(first >= 1);
    await new Promise((resolve) => setTimeout(resolve, first * 1000));
    await scene.stop({ abruptly: true });
    await scene.start();
    assert.equal(await wait(), 0, "the time is up");
    const second = await wait();
    assert.ok(second > first, `${first} s, then ${second} s`);
  });
});

describe("a restart", () => {
  let scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene?.close());

  test("keeps accounts, sessions and tokens, even when the edge was killed", async () => {
    const caller = await scene.signIn();
    const { id } = scene.login.user;
    const token = await scene.makeToken(caller, ["models:read"]);
    await scene.stop({ abruptly: true });
    await scene.start();
    const again = scene.anonymous;
    assert.equal((await again.as(caller.token).get("/v1/models")).status, 200, "the session lives on");
    assert.equal((await again.as(token.token).get("/v1/models")).status, 200, "the token lives on");
    await scene.signIn();
    assert.equal(scene.login.user.id, id, "the same user");
  });

  test("keeps a revocation, even when the edge was killed right after", async () => {
    const caller = await scene.signIn();
    const token = await scene.makeToken(caller, ["models:read"]);
    assert.equal((await caller.delete(`/v1/api-tokens/${token.id}`)).status, 204);
    await scene.stop({ abruptly: true });
    await scene.start();
    assertFailure(await scene.anonymous.as(token.token).get("/v1/models"), 401, "token_revoked");
  });

  test("with another ADMIN_PASSWORD makes that the password, and the old one wrong", async () => {
    const before = scene.settings.ADMIN_PASSWORD;
    await scene.stop();
    await scene.start({ ADMIN_PASSWORD: scene.secret("another password") });
    assertFailure(
      await scene.anonymous.post("/v1/auth/login", { email: EMAIL, password: before }),
      401,
      "invalid_credentials",
    );
    await scene.signIn();
  });

  test("with another ADMIN_EMAIL makes that address the admin's, and the old one nobody's", async () => {
    const { token } = await scene.signIn();
    await scene.stop();
    await scene.start({ ADMIN_EMAIL: "grace@example.com" });
    const answer = await scene.anonymous.post("/v1/auth/login", {
      email: "grace@example.com",
      password: scene.settings.ADMIN_PASSWORD,
    });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json.user.privileges, ["admin"]);
    const old = { email: EMAIL, password: scene.settings.ADMIN_PASSWORD };
    assertFailure(await scene.anonymous.post("/v1/auth/login", old), 401, "invalid_credentials");
    assertFailure(await scene.anonymous.as(token).get("/v1/models"), 401, "token_revoked");
    await scene.stop();
    await scene.start({ ADMIN_EMAIL: EMAIL });
  });

  test("with JWT_SECRET moved to JWT_SECRET_PREVIOUS keeps everybody signed in", async () => {
    const { token } = await scene.signIn();
    await scene.stop();
    await scene.start({
      JWT_SECRET: scene.secret("jwt-secret-of-the-next-month"),
      JWT_SECRET_PREVIOUS: scene.settings.JWT_SECRET,
    });
    assert.equal((await scene.anonymous.as(token).get("/v1/models")).status, 200);
    await scene.stop();
    await scene.start({ JWT_SECRET_PREVIOUS: undefined });
    assertFailure(await scene.anonymous.as(token).get("/v1/models"), 401, "unauthorized");
  });
});
