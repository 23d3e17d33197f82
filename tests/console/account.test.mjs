// Accounts and API tokens on the page: made, used, changed, given up.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

import { Caller } from "../e2e/caller.mjs";
import { EMAIL, openScene } from "../e2e/scene.mjs";
import { eventually } from "../e2e/within.mjs";
import { chat } from "./backend.mjs";
import { openBrowser } from "./browser.mjs";
import { enter, says, signIn, visit } from "./visitor.mjs";

const run = promisify(execFile);
const NEW_PASSWORD = "another good password";

let scene, browser, page;
before(async () => {
  scene = await openScene({
    console: true,
    settings: {
      REGISTRATION: "open",
      MAIL_URL: "log:",
      MAIL_LIMIT_PER_HOUR: "100",
      LOGIN_FREE_FAILURES: "1000",
      PUBLIC_RATE_LIMIT_RPM: "0",
    },
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});
beforeEach(async () => (page = await browser.open(scene.url)));
afterEach(() => browser.leave(page));

/** The code in the nth mail to an address. */
async function code(email, nth = 1) {
  const mails = () =>
    scene.edge
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
      .filter(({ place }) => place === email);
  await eventually(5000, () => mails().length >= nth, `mail ${nth} to ${email}`);
  return /^(\d{6})$/m.exec(mails()[nth - 1].message)[1];
}

const field = (name) => page.getByLabel(name, { exact: true });
const press = (name) => page.getByRole("button", { name, exact: true }).click();

describe("API tokens", () => {
  beforeEach(async () => {
    await signIn(page, scene.settings);
    await visit(page, "API tokens");
    await page.locator(".scopes label").first().waitFor();
  });

  /** Makes one and gives its secret. */
  async function make(name) {
    await field("Name").fill(name);
    await press("Make a token");
    await says(page.locator(".made h3"), new RegExp(name));
    return scene.conceal(await page.locator(".made output").innerText());
  }

  test("one is made for what is ticked, shown once, listed without its secret, rotated and revoked", async () => {
    await page.getByLabel("Expires in").selectOption("7");
    const secret = await make("build server");
    assert.match(secret, /^cmnd_/);
    const program = new Caller(scene.url, secret);
    assert.equal((await program.get("/v1/models")).status, 200);
    await page.keyboard.press("Escape");
    await page.locator(".made h3").waitFor({ state: "detached" });
    assert.equal((await page.content()).includes(secret), false, "the secret stays on the page");

    await visit(page, "API tokens");
    const row = page.getByRole("listitem").filter({ hasText: "build server" });
    await says(row, /chat:write, models:read|models:read, chat:write/);
    await says(row, /Last used just now|Never used/);
    const inAWeek = new Date(Date.now() + 7 * 86_400_000);
    await says(row, new RegExp(`expires .*${inAWeek.getDate()}`));

    await row.getByRole("button", { name: "Rotate build server" }).click();
    await says(row, /The old one dies: rotate/);
    await row.getByRole("button", { name: "Rotate build server" }).click();
    await says(page.locator(".made h3"), /build server/);
    const next = scene.conceal(await page.locator(".made output").innerText());
    assert.notEqual(next, secret);
    assert.equal((await program.get("/v1/models")).json.error.code, "token_revoked");
    assert.equal((await new Caller(scene.url, next).get("/v1/models")).status, 200);

    await row.getByRole("button", { name: "Revoke build server" }).click();
    await row.getByRole("button", { name: "Revoke build server" }).click();
    await row.waitFor({ state: "detached" });
    assert.equal((await new Caller(scene.url, next).get("/v1/models")).json.error.code, "token_revoked");
  });

  test("a missing name, no scope and a name that is taken are told; leaving a button takes the question back", async () => {
    await press("Make a token");
    await says(page.locator("#tokens .problem"), /needs a name/);
    await field("Name").fill("twice");
    for (const box of await page.locator("[name='scope']").all()) await box.uncheck();
    await press("Make a token");
    await says(page.locator("#tokens .problem"), /tick a scope/);
    await page.locator("[value='models:read']").check();
    await make("twice");
    await field("Name").fill("twice");
    await press("Make a token");
    await says(page.locator("#tokens .problem"), /^One of this name exists already\.$/);

    const revoke = page.getByRole("button", { name: "Revoke twice" });
    await revoke.click();
    await says(revoke, /^Revoke for good$/);
    await field("Name").focus();
    await says(revoke, /^Revoke$/);
  });

  test("the snippets work when pasted, with this server's address and a model of its own", async () => {
    await make("pasted");
    scene.upstream.always((exchange) =>
      exchange.reply({
        id: "1",
        object: "chat.completion",
        choices: [{ index: 0, message: { role: "assistant", content: "Paris." }, finish_reason: "stop" }],
      }),
    );
    const shell = await page.getByRole("tabpanel", { name: "curl" }).locator("pre").innerText();
    const { stdout } = await run("bash", ["-c", shell]);
    assert.match(stdout, /"content":"Paris\."/);

    await page.getByRole("tab", { name: "curl" }).press("ArrowRight");
    await page.getByRole("tab", { name: "JavaScript" }).press("ArrowRight");
    const python = await page.getByRole("tabpanel", { name: "Python" }).locator("pre").innerText();
    const interpreter = process.env.COMIND_OPENAI_PYTHON;
    assert.ok(interpreter, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make console-test`");
    assert.match((await run(interpreter, ["-c", python])).stdout, /^Paris\.$/m);
    scene.upstream.always(null);
  });
});

describe("an account", () => {
  test("is made by a mailed code, sees nothing of the last one's, and changes its password", async () => {
    await signIn(page, scene.settings);
    await chat(page, scene, "Of the first person", "Yes.");
    await visit(page, /^Account/);
    await says(page.locator("#account .who"), new RegExp(EMAIL));
    await press("Sign out");

    const email = "grace@example.com";
    await press("Create an account");
    await field("E-mail").fill(email);
    await field("New password").fill("short");
    await press("Create the account");
    await says(page.locator("#signin-problem"), /password/i);
    await field("New password").fill("a good password");
    await press("Create the account");
    await says(page.locator("#signin-reason"), /code is on its way/);
    await field("Code from the mail").fill("000000");
    await press("Confirm");
    await says(page.locator("#signin-problem"), /^That code is wrong, used up or too old\.$/);
    await field("Code from the mail").fill(await code(email));
    await press("Confirm");
    await page.locator("#model:enabled").waitFor();
    assert.equal(await page.locator("#conversations li").count(), 0);

    await visit(page, /^Account/);
    await field("As it is now").fill("not my password");
    await field("The new one").fill(NEW_PASSWORD);
    await press("Change the password");
    await says(page.locator("#account .problem"), /^That is not your password as it is now\.$/);
    await field("As it is now").fill("a good password");
    await press("Change the password");
    await says(page.locator("#account .success"), /is changed/);
    await press("Sign out");
    await enter(page, email, NEW_PASSWORD);
    await page.locator("#model:enabled").waitFor();
  });

  test("gets a new password by mail", async () => {
    const email = "joan@example.com";
    const { status } = await scene.anonymous.post("/v1/auth/register", {
      email,
      password: "the forgotten one",
    });
    assert.equal(status, 201);
    await scene.anonymous.post("/v1/auth/confirm", { email, code: await code(email) });

    await press("Forgot your password?");
    await field("E-mail").fill(email);
    await press("Mail me a code");
    await field("Code from the mail").fill(await code(email, 2));
    await field("New password").fill(NEW_PASSWORD);
    await press("Set the password");
    await says(page.locator("#signin-reason"), /^The password is set\.$/);
    assert.equal(await field("E-mail").inputValue(), email);
    await field("Password").fill(NEW_PASSWORD);
    await page.keyboard.press("Enter");
    await page.locator("#model:enabled").waitFor();
  });

  test("stays signed in over a reload where that was asked for, until it signs out", async () => {
    await page.getByLabel("Stay signed in on this device").check();
    await signIn(page, scene.settings);
    await page.reload();
    await page.locator("#model:enabled").waitFor();
    assert.equal(await page.getByRole("dialog").count(), 0);
    await visit(page, /^Account/);
    await press("Sign out");
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    assert.deepEqual(
      await page.evaluate(() => Object.keys(localStorage).filter((key) => key !== "comind.model")),
      [],
    );
  });

  test("forgets its conversations when it is told to", async () => {
    await signIn(page, scene.settings);
    await chat(page, scene, "A secret plan", "Indeed.");
    await visit(page, /^Account/);
    await press("Delete all conversations");
    await press("Delete them for good");
    await page.getByRole("button", { name: "Deleted" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#conversations li").count(), 0);
    const left = await page.evaluate(async () => {
      const database = await new Promise((resolve) => {
        const opening = indexedDB.open("comind");
        opening.onsuccess = () => resolve(opening.result);
      });
      const stores = Array.from(database.objectStoreNames);
      const all = stores.map(
        (name) =>
          new Promise((resolve) => {
            const asking = database.transaction(name).objectStore(name).getAll();
            asking.onsuccess = () => resolve(asking.result);
          }),
      );
      return (await Promise.all(all)).flat();
    });
    assert.deepEqual(left, []);
  });
});

test("a server without registration and mail says so", async () => {
  const closed = await openScene({ console: true });
  try {
    await page.goto("about:blank");
    const visitor = await browser.open(closed.url);
    await visitor.getByRole("button", { name: "Create an account" }).click();
    await visitor.getByLabel("E-mail", { exact: true }).fill("grace@example.com");
    await visitor.getByLabel("New password", { exact: true }).fill("a good password");
    await visitor.keyboard.press("Enter");
    await says(visitor.locator("#signin-problem"), /made by its administrator/);
    await visitor.getByRole("button", { name: "Back to signing in" }).click();
    await visitor.getByRole("button", { name: "Forgot your password?" }).click();
    await visitor.getByRole("button", { name: "Mail me a code" }).click();
    await says(visitor.locator("#signin-problem"), /cannot send mail/);
    await browser.leave(visitor);
  } finally {
    await closed.close();
  }
});
