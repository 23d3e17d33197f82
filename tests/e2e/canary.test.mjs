// Canaries: secrets planted in all that goes through the edge, and looked for wherever they must not be: in
// answers, in the log, at the backend, and in every file, after a crash and after an orderly stop.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Canaries, readFolder } from "./canaries.mjs";
import { openScene } from "./scene.mjs";
import { completion, deadPort, DONE, event } from "./upstream.mjs";

const BODY_LIMIT = 65_536;

/** Every member that some route reads, and some that one might think of. */
const MEMBERS = [
  ...["email", "password", "username", "code", "currentPassword", "newPassword", "id_token", "user_id"],
  ...["access_token", "refresh_token", "token", "authorization", "secret", "api_key"],
  ...["privileges", "groups", "groupMemberships", "is_suspended", "status"],
  ...["name", "scopes", "expires_in_days"],
  ...["model", "messages", "prompt", "input", "stream", "tools", "user", "metadata"],
];

const canaries = new Canaries();
const records = []; // What was answered: { label, status, said, may }.
const received = []; // The headers that reached the backend.
let scene, routes, session, personal;

before(async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const table = readme.split("### Routes")[1].split("\n#")[0];
  routes = [...table.matchAll(/^\| `([A-Z]+) (\/\S*)` \|/gm)].map(([, method, path]) => ({ method, path }));
  scene = await openScene({
    settings: {
      ADMIN_EMAIL: canaries.plantEmail("the admin's address"),
      ADMIN_PASSWORD: canaries.plant("the admin's password"),
      JWT_SECRET: canaries.plant("the secret of the tokens"),
      JWT_SECRET_PREVIOUS: canaries.plant("the secret before it"),
      MAIN_KEY: canaries.plant("the backend's key"),
      CLIENT_IP_HEADER: "x-client",
      LOGIN_FREE_FAILURES: "1000",
      BODY_LIMIT_BYTES: `${BODY_LIMIT}`,
      FIRST_BYTE_TIMEOUT_MS: "300",
      STALL_TIMEOUT_MS: "300",
    },
  });
  // One that is not there, so that the log has something to say.
  const dead = {
    id: "dead",
    provider: "vllm",
    url: `http://127.0.0.1:${await deadPort()}`,
    api_key: "DEAD_KEY",
  };
  await scene.stop();
  await scene.start({
    BACKENDS: JSON.stringify([...JSON.parse(scene.settings.BACKENDS), dead]),
    DEAD_KEY: canaries.plant("the key of a backend that is not there"),
  });
  session = await signIn();
  personal = await makeToken(session, "personal");
});
after(() => scene?.close());

/** A request that is noted with its answer; `may` are the planted texts that the answer may hold. */
async function ask(caller, method, path, { may = [], ...options } = {}) {
  const answer = await caller.request(method, path, options);
  note(`${method} ${path}`, answer, [...may, ...echoes(path)]);
  return answer;
}

function note(label, { status, headers, text }, may = []) {
  records.push({ label, status, said: `${text}\n${JSON.stringify([...headers])}`, may });
}

async function signIn() {
  const caller = await scene.signIn(); // Its answer is looked at in `signs in`.
  const { access_token, refresh_token } = scene.login;
  for (const [name, token] of Object.entries({ access_token, refresh_token })) {
    canaries.add(name, token);
    canaries.add(`the signature of ${name}`, token.split(".")[2]);
  }
  return caller;
}

async function makeToken(caller, name, scopes = ["chat:write", "models:read"]) {
  const token = await scene.makeToken(caller, scopes, name);
  canaries.add("a personal access token", token.token);
  canaries.add("its secret half", token.token.split(".sk_")[1]);
  return token;
}

/** Every way to hold a body wrong, each with a secret of its own in it. */
function* bodies(label) {
  const plant = (how) => canaries.plant(`${label} ${how}`);
  const all = (value) => JSON.stringify(Object.fromEntries(MEMBERS.map((member) => [member, value(member)])));
  const json = { "content-type": "application/json" };
  yield { body: all((member) => plant(member)) };
  yield { body: all((member) => [plant(`list of ${member}`)]) };
  yield { body: all((member) => ({ [plant(`name in ${member}`)]: plant(`value in ${member}`) })) };
  for (const member of MEMBERS) yield { body: JSON.stringify({ [member]: plant(`${member} alone`) }) };
  yield { body: JSON.stringify({ [plant("unknown member")]: 1 }) };
  yield { body: `{"password":"${plant("twice")}","password":"${plant("twice, again")}"}` };
  yield { body: `{"email":"a@example.com","password":"${plant("never closed")}` };
  yield { body: `{"email":${plant("not quoted")}}` };
  yield { body: `{"password":"${plant("bad escape")}\\x"}` };
  yield { body: JSON.stringify([plant("list")]) };
  yield { body: JSON.stringify(plant("text")) };
  yield { body: plant("not JSON"), headers: json };
  yield {
    body: Buffer.concat([Buffer.from(`{"password":"${plant("not UTF-8")}`), Buffer.from([0xff, 0x22, 0x7d])]),
  };
  yield { body: plant("plain text"), headers: { "content-type": "text/plain" } };
  yield {
    body: `password=${plant("form")}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  };
  yield { body: "{}", headers: { "content-type": `application/json; x=${plant("type")}` } };
  yield {
    body: gzipSync(JSON.stringify({ password: plant("compressed") })),
    headers: { ...json, "content-encoding": "gzip" },
  };
  yield { body: JSON.stringify({ password: plant("too large"), x: "x".repeat(BODY_LIMIT) }) };
}

/** Every place for a secret besides the body. */
function* places(label, path) {
  const plant = (where) => canaries.plant(`${label} ${where}`);
  const query = ["token", "access_token", "password", "code", "email"].map(
    (name) => `${name}=${plant(name)}`,
  );
  yield { path: `${path}?${query.join("&")}` };
  yield { path: `${path}?${plant("bare query")}` };
  yield { path: `${path}/${plant("path")}` };
  yield { path: `${path}%00${plant("path behind a NUL")}` };
  const id = plant("request id");
  yield { path, headers: { "x-request-id": id }, may: [id] }; // The caller's own, given back.
  yield { path, headers: { "x-request-id": `${plant("bad request id")} "` } };
  const names = [
    "user-agent",
    "referer",
    "origin",
    "cookie",
    "x-client",
    "x-api-key",
    "x-service-token",
    "accept",
  ];
  yield { path, headers: Object.fromEntries(names.map((name) => [name, plant(name)])) };
  yield { path, headers: { [plant("name of a header")]: "1" } };
}

/** Credentials that are none. */
function* credentials(label) {
  const plant = (how) => canaries.plant(`${label} ${how}`);
  yield `Bearer ${plant("token")}`;
  yield plant("no scheme");
  yield `${plant("scheme")} token`;
  yield `Basic ${Buffer.from(`ada:${plant("basic")}`).toString("base64")}`;
  yield `Bearer cmnd_${plant("personal id")}.sk_${plant("personal secret")}`;
  yield `Bearer ${session.token}${plant("something behind")}`;
  yield `Bearer ${personal.token}${plant("something behind")}`;
  yield `Bearer eyJhbGciOiJIUzI1NiJ9.${Buffer.from(`{"sub":"${plant("claim")}"}`).toString("base64url")}.c2ln`;
}

test("every way to be wrong, on every route of the README", async (t) => {
  assert.ok(routes.length >= 10, `${routes.length} routes`);
  for (const { method, path } of routes) {
    const label = `${method} ${path}`;
    const callers = { nobody: scene.anonymous, session: await signIn(), personal };
    const at = () => path.replace("{id}", () => encodeURIComponent(canaries.plant(`${label} id`)));
    for (const [who, caller] of Object.entries(callers)) {
      if (path.includes("{id}")) await ask(caller, method, at());
      for (const { path: where, ...options } of places(`${who} ${label}`, at()))
        await ask(caller, method, where, options);
      await ask(caller, "PUT", at(), { body: canaries.plant(`${label} PUT`) });
      if (method === "GET") continue;
      for (const options of bodies(`${who} ${label}`)) await ask(caller, method, at(), options);
    }
    for (const authorization of credentials(label))
      await ask(scene.anonymous, method, at(), { headers: { authorization } });
  }
  await ask(scene.anonymous, "POST", `/${canaries.plant("unknown path")}`, {
    body: canaries.plant("unknown route"),
  });
  t.diagnostic(`${records.length} requests, ${canaries.count} secrets`);
});

/** The name of a model is not a secret: who asked for it is told that there is none. */
function echoes(path) {
  if (path.startsWith("/v1/models/")) return [decodeURIComponent(path)];
  return path === "/v1/chat/completions" ? [/ model( alone)?$/] : [];
}

describe("what goes well", () => {
  test("signs in, and says so to nobody else", async () => {
    const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = scene.settings;
    const answer = await scene.anonymous.post("/v1/auth/login", { email: email.toUpperCase(), password });
    assert.equal(answer.status, 200, answer.text);
    const { access_token, refresh_token } = answer.json;
    scene.conceal(canaries.add("a second access token", access_token));
    scene.conceal(canaries.add("a second refresh token", refresh_token));
    note("signing in", answer, [access_token, refresh_token, email]);
    const client = { "x-client": canaries.plant("address of a client") };
    for (const [who, what] of [
      [email, canaries.plant("wrong password")],
      [canaries.plantEmail("unknown address"), canaries.plant("password of nobody")],
    ]) {
      const body = { email: who, password: what };
      assert.equal(
        (await ask(scene.anonymous, "POST", "/v1/auth/login", { body, headers: client })).status,
        401,
      );
    }
  });

  test("makes, uses, lists and revokes personal access tokens", async () => {
    const body = { name: "kept", scopes: ["chat:write", "models:read"], expires_in_days: 7 };
    const made = await session.post("/v1/api-tokens", body);
    assert.equal(made.status, 201, made.text);
    const { token } = made.json;
    canaries.add("a token that is kept", scene.conceal(token));
    note("making a token", made, [token]);
    for (const path of ["/v1/models", "/v1/capabilities"])
      assert.equal((await ask(session.as(token), "GET", path)).status, 200);
    assert.equal((await ask(session, "GET", "/v1/api-tokens")).status, 200);
    const gone = await makeToken(session, "gone");
    assert.equal((await ask(session, "DELETE", `/v1/api-tokens/${gone.id}`)).status, 204);
    assert.equal((await ask(gone, "GET", "/v1/models")).status, 401);
  });
});

describe("what a backend gets and gives", () => {
  /** One chat: its prompt may reach the backend, and `said` the caller. */
  async function chat(name, stream, script, said = []) {
    const prompt = canaries.plant(`prompt, ${name}`);
    const headers = {
      cookie: canaries.plant("cookie"),
      "x-secret": canaries.plant("header"),
      "x-request-id": "r-1",
    };
    const body = {
      model: "text-model",
      stream,
      messages: [{ role: "user", content: prompt }],
      user: canaries.plant("user member"),
      metadata: { secret: canaries.plant("metadata") },
    };
    const answer = personal.request("POST", "/v1/chat/completions", { body, headers });
    const exchange = await scene.upstream.next();
    received.push(exchange.headers);
    await script(exchange);
    note(`chat, ${name}`, await answer, said);
    return (await answer).text;
  }

  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "plain";
    test(`${how}: answered, refused, failed, cut, stalled`, async () => {
      const said = canaries.plant(`${how} answer`);
      await chat(
        `${how}, answered`,
        stream,
        (exchange) =>
          stream
            ? exchange.sendHead().end(event({ content: said }) + DONE)
            : exchange.reply(completion(said)),
        [said],
      );
      // What a backend says when it refuses is for the caller; what it says when it fails is not.
      const refusal = canaries.plant(`${how} refusal`);
      const refused = { error: { message: refusal } };
      const told = await chat(`${how}, refused`, stream, (exchange) => exchange.reply(refused, 400), [
        refusal,
      ]);
      assert.ok(told.includes(refusal));
      for (const status of [401, 403, 500, 503])
        await chat(`${how}, ${status}`, stream, (exchange) =>
          exchange.reply({ error: { message: canaries.plant(`${how} failure ${status}`) } }, status, {
            "x-internal": canaries.plant("header of the backend"),
            "set-cookie": `a=${canaries.plant("cookie of the backend")}`,
          }),
        );
      await chat(`${how}, nonsense`, stream, (exchange) =>
        exchange.sendHead(200, { "content-type": "text/html" }).end(canaries.plant(`${how} nonsense`)),
      );
      await chat(`${how}, dropped`, stream, (exchange) => exchange.drop());
      await chat(`${how}, silent`, stream, () => {});
      const part = canaries.plant(`${how}, before the cut`);
      const begin = (exchange) =>
        stream
          ? exchange.sendHead().send(event({ content: part }))
          : exchange.sendHead(200, { "content-type": "application/json" }).send(`{"x":"${part}`);
      const may = stream ? [part] : [];
      await chat(`${how}, cut`, stream, async (exchange) => (await begin(exchange), exchange.fin()), may);
      await chat(`${how}, stalled`, stream, begin, may);
    });
  }

  test("a backend gets its own key, and nothing else of ours", () => {
    const key = scene.settings.MAIN_KEY;
    received.push(...scene.upstream.questions.map(({ headers }) => headers));
    for (const headers of received) {
      assert.equal(headers.authorization, `Bearer ${key}`);
      assert.deepEqual(strangers(JSON.stringify(headers), [key]), []);
    }
    assert.ok(received.length > 20);
  });
});

/** What was found but for what may be there: in these texts, or by such names. */
function strangers(content, may = []) {
  const isKnown = ({ text, name }) =>
    may.some((one) => (one instanceof RegExp ? one.test(name) : one.includes(text)));
  return canaries
    .find(content)
    .filter((one) => !isKnown(one))
    .map(({ name, form }) => `${name}: ${form}`);
}

test("no answer says a secret that was not its to say", (t) => {
  const said = records.flatMap(({ label, status, said, may }) =>
    strangers(said, may).map((what) => `${label} (${status}): ${what}`),
  );
  assert.deepEqual([...new Set(said)], []);
  const failures = records.filter(({ status }) => status >= 400).length;
  t.diagnostic(`${records.length} answers, ${failures} of them failures`);
});

describe("what is kept", () => {
  /** Looks through the log and all files; what an account may keep is in its own file and nowhere else. */
  async function look(edge, t) {
    const log = edge.log();
    assert.match(log, /"place":"dead"/);
    assert.deepEqual(strangers(log), [], "in the log");
    const files = await readFolder(scene.dataDir);
    const address = scene.settings.ADMIN_EMAIL.split("@")[0];
    const homes = new Set();
    for (const { path, bytes } of files) {
      const found = canaries.find(bytes).filter(({ text, form }) => {
        const isAddress = text === address && form === "as it is" && path.includes("comind-account");
        if (isAddress) homes.add(path.replace(/-(wal|shm)$/, ""));
        return !isAddress;
      });
      assert.deepEqual(found, [], `in ${path}`);
    }
    const whole = Buffer.concat(files.map(({ bytes }) => bytes));
    // That the search sees what is there: the address, the hash of the password, those of the tokens.
    assert.equal(homes.size, 1, "the address is in the account of its owner alone");
    assert.ok(whole.includes("$argon2id$"));
    assert.ok(whole.includes(createHash("sha256").update(personal.token).digest("hex")));
    const kinds = [...new Set(files.map(({ path }) => path.split(".").at(-1)))].sort().join(", ");
    t.diagnostic(`${files.length} files (${kinds}), ${whole.length} bytes, ${log.length} characters of log`);
    return files.map(({ path }) => path);
  }

  test("nothing on the command line", async () => {
    assert.deepEqual(strangers(await readFile(`/proc/${scene.edge.pid}/cmdline`)), []);
  });

  test("after a crash, the write-ahead log included", async (t) => {
    const { edge } = scene;
    await scene.stop({ abruptly: true });
    const paths = await look(edge, t);
    assert.ok(paths.some((path) => path.endsWith(".sqlite-wal")));
  });

  test("after an orderly stop", async (t) => {
    await scene.start();
    const late = await makeToken(await signIn(), "made after the crash");
    assert.equal((await late.get("/v1/models")).status, 200);
    const { edge } = scene;
    await scene.stop();
    await look(edge, t);
  });
});
