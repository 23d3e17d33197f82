// Canaries: secrets planted in all that goes through the edge, and looked for wherever they must not be: in
// answers, in the log, at the backend, and in every file, after a crash and after an orderly stop.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { json } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";

import { Canaries, readFolder } from "./canaries.mjs";
import { sendJson, startProvider } from "./provider.mjs";
import { openScene } from "./scene.mjs";
import { completion, deadPort, DONE, event } from "./upstream.mjs";
import { eventually } from "./within.mjs";
import { bodies, credentials, places } from "./wrong.mjs";

const BODY_LIMIT = 65_536;

const canaries = new Canaries();
const records = []; // What was answered: { label, status, said, may }.
const received = []; // The headers that reached the backend.
const codes = new Set(); // One-time codes: too short to be told from other digits by their looks alone.
const living = new Set(); // Addresses and names of users there are: each is in its user's own file.
const AUDIENCE = "the client id of this edge";
let scene, post, provider, tenant, silent, routes, session, personal, service;

before(async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const table = readme.split("### Routes")[1].split("\n#")[0];
  const rows = table.matchAll(/^\| `([A-Z]+) (\/\S*)` \| ([^|]+) \|/gm);
  routes = [...rows].map(([, method, path, needs]) => ({ method, path, needs }));
  post = await startPost();
  provider = await startProvider();
  [tenant, silent] = [provider.makeTenant(), provider.makeTenant()];
  scene = await openScene({
    settings: {
      ADMIN_EMAIL: canaries.plantEmail("the admin's address"),
      ADMIN_PASSWORD: canaries.plant("the admin's password"),
      JWT_SECRET: canaries.plant("the secret of the tokens"),
      JWT_SECRET_PREVIOUS: canaries.plant("the secret before it"),
      MAIN_KEY: canaries.plant("the backend's key"),
      SERVICE_TOKEN: canaries.plant("the service token"),
      REGISTRATION: "open",
      BREAKER_FAILURES: "0",
      BACKEND_ATTEMPTS: "1",
      MAIL_URL: post.url,
      MAIL_FROM: "edge@example.com",
      MAIL_PASSWORD: canaries.plant("the token of the mail API"),
      SSO_TENANTS: `${tenant.tid},${silent.tid}`,
      SSO_CLIENT_ID: AUDIENCE,
      SSO_AUTHORITY: provider.url,
      PUBLIC_RATE_LIMIT_RPM: "0",
      PASSWORD_RATE_LIMIT_RPM: "100000",
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
  living.add(scene.settings.ADMIN_EMAIL.split("@")[0]);
  session = await signIn();
  personal = await makeToken(session, "personal");
  service = scene.anonymous.as(scene.settings.SERVICE_TOKEN);
});
after(async () => {
  await scene?.close();
  await provider?.close();
  post?.close();
});

/** A mail API: it keeps the mails and refuses those to whom `refused` names. */
async function startPost() {
  const mails = [];
  const server = http.createServer(async (request, response) => {
    const mail = await json(request);
    mails.push({ headers: request.headers, ...mail });
    response
      .writeHead(mail.to[0].includes("refused") ? 422 : 200)
      .end(canaries.plant("what the mail API says"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { mails, url: `http://127.0.0.1:${server.address().port}/mails`, close: () => server.close() };
}

const planter = (label) => (how) => canaries.plant(`${label} ${how}`);

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
  keep(scene.login);
  return caller;
}

/** From now on the tokens of this answer are looked for, by what makes them good; gives them, for who may be told. */
function keep({ access_token, refresh_token }) {
  for (const [name, token] of Object.entries({ access_token, refresh_token }))
    canaries.add(`the signature of ${name}`, scene.conceal(token).split(".")[2]);
  return [access_token, refresh_token];
}

function keepSecret(token) {
  canaries.add("the secret half of a personal access token", scene.conceal(token).split(".sk_")[1]);
  return token;
}

async function makeToken(caller, name, scopes = ["chat:write", "models:read"]) {
  const token = await scene.makeToken(caller, scopes, name);
  keepSecret(token.token);
  return token;
}

test("every way to be wrong, on every route of the README", async (t) => {
  assert.ok(routes.length >= 10, `${routes.length} routes`);
  for (const { method, path, needs } of routes) {
    const label = `${method} ${path}`;
    const callers = { nobody: scene.anonymous };
    if (needs === "the service token") callers.service = service;
    else if (needs !== "nothing") Object.assign(callers, { session, personal });
    const at = () => path.replace("{id}", () => encodeURIComponent(canaries.plant(`${label} id`)));
    for (const [who, caller] of Object.entries(callers)) {
      if (path.includes("{id}")) await ask(caller, method, at());
      for (const { path: where, ...options } of places(planter(`${who} ${label}`), at()))
        await ask(caller, method, where, options);
      await ask(caller, "PUT", at(), { body: canaries.plant(`${label} PUT`) });
      if (method === "GET") continue;
      for (const options of bodies(planter(`${who} ${label}`), BODY_LIMIT))
        await ask(caller, method, at(), options);
    }
    for (const authorization of credentials(planter(label), [session.token, personal.token]))
      await ask(scene.anonymous, method, at(), { headers: { authorization } });
  }
  await ask(scene.anonymous, "POST", `/${canaries.plant("unknown path")}`, {
    body: canaries.plant("unknown route"),
  });
  t.diagnostic(`${records.length} requests, ${canaries.count} secrets`);
});

/** What is no secret: of a model, that there is none of its name; of oneself and for the operator, an address. */
function echoes(path) {
  if (path.startsWith("/v1/models/")) return [decodeURIComponent(path)];
  if (path.startsWith("/v1/auth/me")) return [scene.settings.ADMIN_EMAIL];
  if (path.startsWith("/v1/auth/admin/users")) return [...living];
  const isInference = /^\/v1\/(chat\/completions|completions|embeddings)$/.test(path);
  return isInference ? [/ model( alone)?$/] : [];
}

describe("what goes well", () => {
  test("signs in, and says so to nobody else", async () => {
    const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = scene.settings;
    const answer = await scene.anonymous.post("/v1/auth/login", { email: email.toUpperCase(), password });
    assert.equal(answer.status, 200, answer.text);
    note("signing in", answer, [...keep(answer.json), email]);
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
    note("making a token", made, [keepSecret(token)]);
    for (const path of ["/v1/models", "/v1/capabilities"])
      assert.equal((await ask(session.as(token), "GET", path)).status, 200);
    assert.equal((await ask(session, "GET", "/v1/api-tokens")).status, 200);
    const gone = await makeToken(session, "gone");
    assert.equal((await ask(session, "DELETE", `/v1/api-tokens/${gone.id}`)).status, 204);
    assert.equal((await ask(gone, "GET", "/v1/models")).status, 401);
  });
});

/** The code that was mailed last to an address. */
async function mailed(address) {
  const find = () => post.mails.findLast(({ to }) => to.includes(address));
  const mail = await eventually(5_000, find, `a mail to ${address}`);
  const code = /(?<!\d)\d{6}(?!\d)/.exec(mail.text)[0];
  post.mails.splice(post.mails.indexOf(mail), 1);
  const { headers } = mail;
  assert.equal(headers.authorization, `Bearer ${scene.settings.MAIL_PASSWORD}`);
  assert.deepEqual(strangers(JSON.stringify(headers), [headers.authorization]), []);
  codes.add(code);
  return code;
}

describe("the life of users", () => {
  const send = (path, body, caller = scene.anonymous, may = []) => ask(caller, "POST", path, { body, may });

  /** Signs in or is given tokens in another way: notes the answer, which may hold them and the address. */
  async function enter(path, body, address) {
    const answer = await scene.anonymous.post(path, body);
    assert.equal(answer.status, 200, answer.text);
    note(path, answer, [...keep(answer.json), address, ...living]);
    return { ...answer.json, caller: scene.anonymous.as(answer.json.access_token) };
  }

  test("registers, confirms, refreshes, changes and resets a password, signs out", async () => {
    const email = canaries.plantEmail("address of one who registers");
    const username = canaries.plant("name of one who registers");
    const passwords = ["first", "second", "third"].map((which) => canaries.plant(`${which} password`));
    assert.equal((await send("/v1/auth/register", { email, password: passwords[0], username })).status, 201);
    assert.equal((await send("/v1/auth/confirm", { email, code: "000000" })).status, 400);
    living.add(email.split("@")[0]).add(username);
    const first = await enter("/v1/auth/confirm", { email, code: await mailed(email) }, email);
    const own = [email, username];
    const next = await scene.anonymous.post("/v1/auth/refresh", { refresh_token: first.refresh_token });
    assert.equal(next.status, 200, next.text);
    note("refresh", next, [...keep(next.json), ...own]);
    const { caller } = await enter("/v1/auth/login", { email, password: passwords[0] }, email);
    note("me", await caller.get("/v1/auth/me"), own);
    for (const body of [
      {
        currentPassword: canaries.plant("wrong current password"),
        newPassword: canaries.plant("new password in vain"),
      },
      { currentPassword: passwords[0], newPassword: "short" },
    ])
      assert.ok((await send("/v1/auth/change-password", body, caller)).status >= 400);
    const change = { currentPassword: passwords[0], newPassword: passwords[1] };
    assert.equal((await send("/v1/auth/change-password", change, caller)).status, 200);
    assert.equal((await send("/v1/auth/password-reset-request", { email })).status, 200);
    const reset = { email, newPassword: passwords[2] };
    assert.equal((await send("/v1/auth/password-reset", { ...reset, code: "000000" })).status, 400);
    assert.equal(
      (await send("/v1/auth/password-reset", { ...reset, code: await mailed(email) })).status,
      200,
    );
    const last = await enter("/v1/auth/login", { email, password: passwords[2] }, email);
    const { access_token, refresh_token } = last;
    assert.equal((await send("/v1/auth/logout", { access_token, refresh_token })).status, 204);
    assert.equal((await send("/v1/auth/refresh", { refresh_token })).status, 401);
  });

  test("registers and never confirms, asks about and resets what is not there", async () => {
    const body = {
      email: canaries.plantEmail("address that is never confirmed"),
      password: canaries.plant("password that is never confirmed"),
    };
    assert.equal((await send("/v1/auth/register", body)).status, 201);
    await mailed(body.email);
    const refused = { ...body, email: canaries.plantEmail("address that is refused") };
    assert.equal((await send("/v1/auth/register", refused)).status, 201);
    await mailed(refused.email);
    await eventually(5_000, () => scene.edge.log().includes("not sent"), "the log says that it was not sent");
    for (const email of [
      body.email,
      canaries.plantEmail("address without an account"),
      scene.settings.ADMIN_EMAIL,
    ]) {
      await ask(scene.anonymous, "GET", `/v1/auth/check-registration?email=${encodeURIComponent(email)}`);
      await send("/v1/auth/login", { email, password: body.password });
      await send("/v1/auth/password-reset-request", { email });
      await send("/v1/auth/confirm", { email, code: canaries.plant("code that is none") });
    }
  });

  test("is made, changed and deleted by the operator", async () => {
    const make = async (which) => {
      const body = {
        email: canaries.plantEmail(`address of one who ${which}`),
        password: canaries.plant(`password of one who ${which}`),
        username: canaries.plant(`name of one who ${which}`),
      };
      const made = await service.post("/v1/auth/admin/users", body);
      assert.equal(made.status, 201, made.text);
      note("making a user", made, [body.email, body.username]);
      return { ...body, id: made.json.id };
    };
    const stays = await make("stays");
    living.add(stays.email.split("@")[0]);
    const username = canaries.plant("another name");
    living.add(username);
    const users = "/v1/auth/admin/users";
    const changes = { body: { suspended: true, username } };
    assert.equal((await ask(service, "PATCH", `${users}/${stays.id}`, changes)).status, 200);
    const suspended = { email: stays.email, password: stays.password };
    assert.equal((await send("/v1/auth/login", suspended)).status, 403);
    const newPassword = canaries.plant("password set by the operator");
    assert.equal(
      (await send("/v1/auth/admin/set-password", { user_id: stays.id, newPassword }, service)).status,
      204,
    );
    assert.equal((await send(users, { email: stays.email }, service)).status, 409);
    const goes = await make("goes");
    const { caller } = await enter(
      "/v1/auth/login",
      { email: goes.email, password: goes.password },
      goes.email,
    );
    assert.equal((await ask(service, "DELETE", `/v1/auth/users/${goes.id}`)).status, 204);
    assert.equal((await ask(caller, "GET", "/v1/auth/me")).status, 401);
    assert.equal((await ask(service, "GET", `${users}/${goes.id}`)).status, 404);
    assert.equal((await ask(service, "GET", users)).status, 200);
  });

  test("comes with a token of a tenant, good or bad", async () => {
    const user = {
      oid: canaries.plant("id in the tenant"),
      upn: canaries.plantEmail("address of a tenant's user"),
    };
    const idToken = (claims) => {
      const token = tenant.token(user, AUDIENCE, { name: canaries.plant("claim of a tenant"), ...claims });
      canaries.add("the signature of an ID token", token.split(".")[2]);
      return token;
    };
    living.add(user.upn.split("@")[0]);
    const body = { ...user, tid: tenant.tid };
    await enter("/v1/auth/sso", { ...body, id_token: idToken() }, user.upn);
    for (const wrong of [
      { ...body, id_token: idToken({ aud: canaries.plant("another audience") }) },
      { ...body, id_token: idToken({ exp: 1 }) },
      { ...body, id_token: `${idToken()}x` },
      { ...body, id_token: idToken(), oid: canaries.plant("another id") },
      { ...body, id_token: idToken(), tid: canaries.plant("another tenant") },
      { ...body, id_token: canaries.plant("no ID token") },
    ])
      assert.equal((await send("/v1/auth/sso", wrong)).status, 401);
    // What a tenant says when it says nonsense is for nobody.
    silent.discovery = sendJson({
      issuer: canaries.plant("issuer"),
      jwks_uri: canaries.plant("place of keys"),
    });
    const lost = { ...user, tid: silent.tid, id_token: silent.token(user, AUDIENCE) };
    assert.equal((await send("/v1/auth/sso", lost)).status, 502);
  });

  test("puts a new personal access token in the place of one", async () => {
    const old = await makeToken(session, "to be rotated");
    const rotated = await session.post(`/v1/api-tokens/${old.id}/rotate`);
    assert.equal(rotated.status, 200, rotated.text);
    note("rotating a token", rotated, [keepSecret(rotated.json.token)]);
    assert.equal((await ask(old, "GET", "/v1/models")).status, 401);
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
    // A request goes by the name that its caller gave it.
    const requestIds = [/ request id$/];
    assert.deepEqual([...strangers(log, requestIds), ...codesIn(log)], [], "in the log");
    const files = await readFolder(scene.dataDir);
    const homes = new Map([...living].map((text) => [text, new Set()]));
    const astray = [];
    for (const { path, bytes } of files) {
      const codes = codesIn(bytes.toString("latin1")).map((code) => `${path}: the code ${code}`);
      astray.push(...codes);
      for (const { text, name, form } of canaries.find(bytes)) {
        const isAtHome = homes.has(text) && form === "as it is" && path.includes("comind-account");
        // Until the address is confirmed there is no account to keep the name.
        const isWaiting = name.startsWith("name of") && path.includes("comind-directory");
        // SQLite does not wipe what it has changed; it is overwritten in time. Who is deleted is gone at once.
        const isLeftOver = / of one who stays$/.test(name) && /comind-account.*-wal$/.test(path);
        if (isAtHome) homes.get(text).add(path.replace(/-(wal|shm)$/, ""));
        else if (path.includes("comind-audit") && requestIds[0].test(name)) continue;
        else if (!isWaiting && !isLeftOver) astray.push(`${path}: ${name}: ${form}`);
      }
    }
    assert.deepEqual(astray, []);
    const whole = Buffer.concat(files.map(({ bytes }) => bytes));
    // That the search sees what is there: names and addresses, the hash of a password, those of tokens.
    for (const [text, places] of homes) {
      const most = text.includes("one-who-stays") ? 2 : 1; // An account that was taken back: see above.
      assert.ok(places.size >= 1 && places.size <= most, `${text} is in ${[...places]}`);
    }
    assert.ok(whole.includes("$argon2id$"));
    assert.ok(whole.includes(createHash("sha256").update(personal.token).digest("hex")));
    const kinds = [...new Set(files.map(({ path }) => path.split(".").at(-1)))].sort().join(", ");
    t.diagnostic(`${files.length} files (${kinds}), ${whole.length} bytes, ${log.length} characters of log`);
    return files.map(({ path }) => path);
  }

  /** Six digits that stand alone; digests are full of digits. */
  const codesIn = (text) =>
    [...codes].filter((code) => new RegExp(`(?<![0-9a-f])${code}(?![0-9a-f])`).test(text));

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
