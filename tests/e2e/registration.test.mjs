// Accounts that people make themselves, and the codes for it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, EMAIL, openScene } from "./scene.mjs";
import { eventually } from "./within.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const PASSWORD = "a password to be";
let people = 0;
const somebody = () => `somebody-${(people += 1)}@example.com`;

async function openRegistration(settings = {}) {
  const scene = await openScene({
    settings: {
      REGISTRATION: "open",
      MAIL_URL: "log:",
      MAIL_LIMIT_PER_HOUR: "100",
      LOGIN_FREE_FAILURES: "1000",
      PASSWORD_RATE_LIMIT_RPM: "100000",
      ...settings,
    },
  });
  const post = (path, body) => scene.anonymous.post(`/v1/auth/${path}`, body);
  scene.register = (email, password = PASSWORD, more = {}) => post("register", { email, password, ...more });
  scene.confirm = (email, code) => post("confirm", { email, code });
  scene.loginAs = (email, password = PASSWORD) => post("login", { email, password });
  scene.requestReset = (email) => post("password-reset-request", { email });
  scene.reset = (email, code, newPassword = PASSWORD) => post("password-reset", { email, code, newPassword });
  /** The mails to an address so far, oldest first. */
  scene.mails = (email) =>
    scene.edge
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
      .filter(({ place }) => place === email)
      .map(({ message }) => message);
  /** The code in the nth mail to an address. */
  scene.code = async (email, nth = 1) => {
    await eventually(5000, () => scene.mails(email).length >= nth, `mail ${nth} to ${email}`);
    return /^(\d{6})$/m.exec(scene.mails(email)[nth - 1])?.[1];
  };
  return scene;
}

const other = (code) => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

describe("REGISTRATION=closed", () => {
  test("knows no registration", async () => {
    const scene = await openRegistration({ REGISTRATION: undefined });
    assertFailure(await scene.register(somebody()), 404, "not_found");
    assertFailure(await scene.anonymous.get(`/v1/auth/check-registration?email=${EMAIL}`), 404, "not_found");
    await scene.close();
  });

  test("does not start open without a mailer", async () => {
    await assert.rejects(openRegistration({ MAIL_URL: undefined }), /REGISTRATION/);
  });
});

describe("REGISTRATION=open", () => {
  let scene;
  before(async () => (scene = await openRegistration()));
  after(() => scene?.close());

  test("makes an account with the mailed code, and signs its owner in", async () => {
    const email = somebody();
    const asked = await scene.register(email.toUpperCase(), PASSWORD, { username: "Some Body" });
    assert.deepEqual([asked.status, Object.keys(asked.json)], [201, ["message"]]);
    const code = await scene.code(email);
    const { status, json } = await scene.confirm(email, ` ${code.slice(0, 3)} ${code.slice(3)}`);
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(json), [
      "access_token",
      "refresh_token",
      "token_type",
      "expires_in",
      "user",
    ]);
    assert.deepEqual(
      [json.user.email, json.user.privileges, json.user.groupMemberships],
      [email, [], ["main"]],
    );
    const me = await scene.anonymous.as(json.access_token).get("/v1/auth/me");
    assert.deepEqual([me.json.username, me.json.confirmed], ["Some Body", true]);
    assert.equal((await scene.loginAs(email)).status, 200);
    assertFailure(await scene.confirm(email, code), 400, "invalid_code");
  });

  test("says before the code only that it is missing, and only after the right password", async () => {
    const email = somebody();
    await scene.register(email);
    assertFailure(await scene.loginAs(email, "another password"), 401, "invalid_credentials");
    assertFailure(await scene.loginAs(email), 403, "email_not_confirmed");
    await scene.confirm(email, await scene.code(email));
    assert.equal((await scene.loginAs(email)).status, 200);
  });

  test("answers a taken address as a free one, and mails its owner something else", async () => {
    const [taken, free] = [await scene.register(EMAIL), await scene.register(somebody())];
    const shown = ({ status, text, headers }) => {
      const kept = [...headers].filter(([name]) => !["x-request-id", "date"].includes(name));
      return { status, text, headers: kept };
    };
    assert.deepEqual(shown(taken), shown(free));
    await eventually(5000, () => scene.mails(EMAIL).length === 1, "the owner is told");
    assert.match(scene.mails(EMAIL)[0], /has one already/);
    assert.doesNotMatch(scene.mails(EMAIL)[0], /^\d{6}$/m);
    assertFailure(await scene.loginAs(EMAIL), 401, "invalid_credentials");
    assert.equal((await scene.signIn()).token.length > 0, true);
  });

  test("each code makes the password that came with it right", async () => {
    const email = somebody();
    await scene.register(email, "the first password");
    await scene.register(email, "the second password");
    const [first, second] = [await scene.code(email, 1), await scene.code(email, 2)];
    assert.equal((await scene.confirm(email, first)).status, 200);
    assert.equal((await scene.loginAs(email, "the first password")).status, 200);
    assertFailure(await scene.loginAs(email, "the second password"), 401, "invalid_credentials");
    assertFailure(await scene.confirm(email, second), 400, "invalid_code");
  });

  test("a code is for its address and its purpose", async () => {
    const [email, another] = [somebody(), somebody()];
    await scene.register(email);
    await scene.register(another);
    const code = await scene.code(email);
    if (code !== (await scene.code(another))) {
      assertFailure(await scene.confirm(another, code), 400, "invalid_code");
    }
    assertFailure(await scene.reset(email, code), 400, "invalid_code");
    assert.equal((await scene.confirm(email, code)).status, 200);
  });

  test("takes no bad password, name or address, and names the field", async () => {
    const email = somebody();
    for (const [body, param] of [
      [{ email, password: "elevenchars" }, "password"],
      [{ email, password: "é".repeat(129) }, "password"],
      [{ email, password: "password1234" }, "password"],
      [{ email, password: "PASSWORD1234" }, "password"],
      [{ email, password: 7 }, "password"],
      [{ email }, "password"],
      [{ email: "nobody", password: PASSWORD }, "email"],
      [{ password: PASSWORD }, "email"],
      [{ email, password: PASSWORD, username: "" }, "username"],
      [{ email, password: PASSWORD, username: "x".repeat(101) }, "username"],
    ]) {
      const answer = await scene.anonymous.post("/v1/auth/register", body);
      assertFailure(answer, 400, "bad_request");
      assert.equal(answer.json.error.param, param, JSON.stringify(body));
    }
    for (const password of ["twelve chars", "é".repeat(127) + "!"]) {
      assert.equal((await scene.register(somebody(), password)).status, 201);
    }
    assertFailure(await scene.confirm(email, "12345"), 400, "invalid_code");
    assertFailure(await scene.confirm(email, "abcdef"), 400, "invalid_code");
  });

  test("tells whether an address has an account, where people may register", async () => {
    const check = (query) => scene.anonymous.get(`/v1/auth/check-registration${query}`);
    assert.deepEqual((await check(`?email=${encodeURIComponent(EMAIL.toUpperCase())}`)).json, {
      registered: true,
    });
    assert.deepEqual((await check(`?email=${somebody()}`)).json, { registered: false });
    for (const query of ["", "?email=", "?email=nobody", "?email=%ff"]) {
      assert.equal((await check(query)).json.error.param, "email");
    }
  });
});

describe("codes", () => {
  test("are dead after CODE_TRIES=3 wrong ones, the third still counting as a try", async () => {
    const scene = await openRegistration({ CODE_TRIES: "3" });
    const [lucky, unlucky] = [somebody(), somebody()];
    for (const [email, wrongs, status] of [
      [lucky, 2, 200],
      [unlucky, 3, 400],
    ]) {
      await scene.register(email);
      const code = await scene.code(email);
      for (let wrong = 0; wrong < wrongs; wrong += 1) {
        assertFailure(await scene.confirm(email, other(code)), 400, "invalid_code");
      }
      assert.equal((await scene.confirm(email, code)).status, status);
    }
    await scene.register(unlucky);
    assert.equal(
      (await scene.confirm(unlucky, await scene.code(unlucky, 2))).status,
      200,
      "a new code works",
    );
    await scene.close();
  });

  test("are tried one after the other, however many come at once", async () => {
    const scene = await openRegistration({ CODE_TRIES: "3" });
    const email = somebody();
    await scene.register(email);
    const code = await scene.code(email);
    await Promise.all(Array.from({ length: 20 }, () => scene.confirm(email, other(code))));
    assertFailure(await scene.confirm(email, code), 400, "invalid_code");
    await scene.close();
  });

  test("live for CODE_LIFETIME_SECS", async () => {
    const scene = await openRegistration({ CODE_LIFETIME_SECS: "2" });
    const [quick, slow] = [somebody(), somebody()];
    await scene.register(quick);
    assert.equal((await scene.confirm(quick, await scene.code(quick))).status, 200);
    await scene.register(slow);
    const code = await scene.code(slow);
    await pause(3100);
    assertFailure(await scene.confirm(slow, code), 400, "invalid_code");
    assertFailure(await scene.loginAs(slow), 401, "invalid_credentials");
    await scene.close();
  });

  test("go out MAIL_LIMIT_PER_HOUR=2 times to an address, known or not", async () => {
    const scene = await openRegistration({ MAIL_LIMIT_PER_HOUR: "2" });
    for (const email of [EMAIL, somebody()]) {
      assert.equal((await scene.requestReset(email)).status, 200);
      assert.equal((await scene.register(email)).status, 201);
      for (const answer of [await scene.requestReset(email), await scene.register(email)]) {
        assertFailure(answer, 429, "rate_limited");
        const wait = Number(answer.headers.get("retry-after"));
        assert.ok(wait > 1700 && wait <= 1801, `${wait} s: half an hour for one of two`);
      }
    }
    assert.equal((await scene.requestReset(somebody())).status, 200);
    await scene.close();
  });

  test("outlast a power failure", async () => {
    const scene = await openRegistration();
    const email = somebody();
    await scene.register(email);
    const code = await scene.code(email);
    await scene.stop({ abruptly: true });
    await scene.start();
    assert.equal((await scene.confirm(email, code)).status, 200);
    await scene.stop({ abruptly: true });
    await scene.start();
    assert.equal((await scene.loginAs(email)).status, 200);
    await scene.close();
  });
});
