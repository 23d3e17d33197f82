// `make user`: what an operator types, and what comes of it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openScene } from "./scene.mjs";

const SCRIPT = fileURLToPath(new URL("../../scripts/user.mjs", import.meta.url));
let scene;

before(async () => {
  scene = await openScene({});
  await scene.stop();
  await scene.start({ SERVICE_TOKEN: scene.secret("service-token-of-this-suite") });
});
after(() => scene?.close());

/** Resolves to `{ code, out, complaint }`. */
const user = (args, env = {}) =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [SCRIPT, ...args],
      {
        env: {
          PATH: process.env.PATH,
          BASE_URL: scene.url,
          SERVICE_TOKEN: scene.settings.SERVICE_TOKEN,
          ...env,
        },
      },
      (error, out, complaint) => resolve({ code: error?.code ?? 0, out, complaint: complaint.trim() }),
    );
  });

const login = (email, password) => scene.anonymous.post("/v1/auth/login", { email, password });

test("a user is made with a password that is printed once", async () => {
  const { code, out, complaint } = await user(["create", "ann@example.com", "--privileges", "auditView"]);
  assert.equal(code, 0, complaint);
  const [first, ...rest] = out.split("\n");
  const password = scene.conceal(/^password (\S{20})$/.exec(first)[1]);
  const made = JSON.parse(rest.join("\n"));
  assert.deepEqual(
    [made.email, made.username, made.privileges, made.groupMemberships, made.suspended, made.confirmed],
    ["ann@example.com", "ann", ["auditView"], ["main"], false, true],
  );
  assert.equal((await login("ann@example.com", password)).status, 200);
});

test("or with the one in NEW_PASSWORD, which is not printed", async () => {
  const password = scene.secret("a password of one's own");
  const { code, out } = await user(["create", "bob@example.com", "--name", "Bob"], {
    NEW_PASSWORD: password,
  });
  assert.equal(code, 0);
  assert.ok(!out.includes(password));
  assert.equal((await login("bob@example.com", password)).status, 200);
});

test("all users are listed, one a line", async () => {
  const { out } = await user(["list"]);
  const lines = out
    .trim()
    .split("\n")
    .map((line) => line.split("\t"));
  assert.deepEqual(
    lines.map(([id, email, privileges, state]) => [id.startsWith("user_"), email, privileges, state]).sort(),
    [
      [true, "ada@example.com", "admin", "active"],
      [true, "ann@example.com", "auditView", "active"],
      [true, "bob@example.com", "-", "active"],
    ].sort(),
  );
});

test("one is shown and changed, by address and by id", async () => {
  const shown = JSON.parse((await user(["show", "Ann@example.com"])).out);
  const changed = JSON.parse(
    (await user(["set", shown.id, "--privileges", "", "--groups", "main,research", "--name", "Ann Lee"])).out,
  );
  assert.deepEqual(
    [changed.privileges, changed.groupMemberships, changed.username],
    [[], ["main", "research"], "Ann Lee"],
  );
});

test("one is suspended, resumed, given a password, deleted", async () => {
  const password = scene.secret("the password to be");
  assert.equal((await user(["password", "ann@example.com"], { NEW_PASSWORD: password })).code, 0);
  assert.equal(JSON.parse((await user(["suspend", "ann@example.com"])).out).suspended, true);
  assert.equal((await login("ann@example.com", password)).json.error.code, "account_suspended");
  assert.equal(JSON.parse((await user(["resume", "ann@example.com"])).out).suspended, false);
  assert.equal((await login("ann@example.com", password)).status, 200);
  assert.equal((await user(["delete", "ann@example.com"])).code, 0);
  assert.equal((await login("ann@example.com", password)).status, 401);
  assert.match((await user(["show", "ann@example.com"])).complaint, /no such user/);
});

test("what is wrong is said in a sentence, with a code for scripts", async () => {
  for (const [args, env, expected] of [
    [[], {}, /make user DO=/],
    [["dance"], {}, /make user DO=/],
    [["create"], {}, /Which address/],
    [["show"], {}, /Which user/],
    [["create", "bob@example.com"], {}, /has an account already/],
    [["create", "carl@example.com"], { NEW_PASSWORD: "password1234" }, /many people use/],
    [["list", "--colour", "red"], {}, /--colour/],
    [["list"], { SERVICE_TOKEN: scene.secret("not-the-service-token-of-this-suite") }, /service token/],
    [["list"], { SERVICE_TOKEN: "", DATA_DIR: "/nonexistent" }, /Set SERVICE_TOKEN/],
    [["list"], { BASE_URL: "http://127.0.0.1:1" }, /does not answer/],
  ]) {
    const { code, complaint } = await user(args, env);
    assert.equal(code, 1, args.join(" "));
    assert.match(complaint, expected);
    assert.doesNotMatch(complaint, /\n\s+at /);
  }
});
