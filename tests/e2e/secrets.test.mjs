// Canaries: what goes through the edge and must be found neither in its log nor on its disk.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { EMAIL, openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";

const canary = (name) => `canary-${name}-${randomBytes(12).toString("hex")}`;

let scene, caller;
const seen = {};
before(async () => {
  scene = await openScene({ settings: { FIRST_BYTE_TIMEOUT_MS: "300", STALL_TIMEOUT_MS: "300" } });
  caller = await scene.signIn();
});
after(() => scene?.close());

/** A canary that is looked for in the log (always) and on disk. */
function plant(name) {
  seen[name] = scene.conceal(canary(name));
  return seen[name];
}

async function files(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

test("everything that a caller can send is sent once", async () => {
  await scene.anonymous.post("/v1/auth/login", { email: EMAIL, password: plant("wrong password") });
  await scene.anonymous.post(
    "/v1/auth/login",
    `{"email":"a@example.com","password":"${plant("password in broken JSON")}"`,
  );
  await scene.anonymous.post("/v1/auth/login", {
    email: EMAIL,
    password: [plant("password of the wrong type")],
  });
  await caller.as(plant("token")).get("/v1/models");
  await caller.as(`cmnd_x.sk_${plant("personal token")}`).get("/v1/models");
  await caller.as(`${caller.token}${plant("forged token")}`).get("/v1/models");
  await caller.get(`/v1/models?token=${plant("query")}`);
  await caller.get(`/v1/nope?token=${plant("query of an unknown route")}`);
  await caller.chat({
    messages: [{ role: "user", content: plant("prompt of an unknown model") }],
    model: "nope",
  });
  await caller.post(
    "/v1/chat/completions",
    `{"model":"text-model","messages":[{"role":"user","content":"${plant("prompt in broken JSON")}"`,
  );
  await caller.chat({ messages: [{ role: plant("role"), content: 7 }] });
});

test("so is everything that a backend can get and give", async () => {
  const ask = async (name, stream, script) => {
    const answer = caller.chat({ stream, messages: [{ role: "user", content: plant(`prompt, ${name}`) }] });
    await script(await scene.upstream.next());
    await answer;
  };
  await ask("answered", false, (exchange) => exchange.reply(completion(plant("answer"))));
  await ask("streamed", true, (exchange) =>
    exchange.sendHead().end(event({ content: plant("delta") }) + DONE),
  );
  await ask("failed", false, (exchange) => exchange.reply({ error: { message: plant("failure") } }, 500));
  await ask("refused", false, (exchange) => exchange.reply({ error: { message: plant("refusal") } }, 400));
  await ask("answered with nonsense", false, (exchange) =>
    exchange.sendHead(200, { "content-type": "text/html" }).end(plant("nonsense")),
  );
  await ask("dropped", false, (exchange) => exchange.drop());
  await ask("not answered", false, () => {});
  await ask("cut", true, async (exchange) => {
    exchange.sendHead();
    await exchange.send(event({ content: plant("cut delta") }));
    exchange.fin();
  });
  await ask("stalled", true, async (exchange) => {
    exchange.sendHead();
    await exchange.send(event({ content: plant("stalled delta") }));
  });
});

test("the caller is told what a backend said when it refused, not when it failed", async () => {
  const said = async (status) => {
    const answer = caller.chat();
    (await scene.upstream.next()).reply({ error: { message: "at 10.0.0.7:8000" } }, status);
    return (await answer).text;
  };
  assert.match(await said(400), /10\.0\.0\.7/);
  assert.doesNotMatch(await said(500), /10\.0\.0\.7/);
});

test("no secret is on disk in clear", async () => {
  const { token } = await scene.makeToken(caller, ["models:read"]);
  const secrets = {
    ...seen,
    "the admin's password": scene.settings.ADMIN_PASSWORD,
    "the key of the tokens": scene.settings.JWT_SECRET,
    "the backend's key": scene.settings.MAIN_KEY,
    "an access token": scene.login.access_token,
    "a refresh token": scene.login.refresh_token,
    "a personal access token": token,
    "the secret half of it": token.split(".")[1],
  };
  await scene.stop();
  const found = await files(scene.dataDir);
  assert.ok(found.length > 0, "there is something to look at");
  for (const path of found) {
    const content = await readFile(path);
    for (const [name, secret] of Object.entries(secrets))
      assert.ok(!content.includes(secret), `${name} is in ${path}`);
  }
});
