// Sessions of the installed package: renewed ahead of their end and after a refusal, once for everybody who waits.
import assert from "node:assert/strict";
import test from "node:test";

import { DONE, chunk, event, startEdge } from "./edge.mjs";
import { importPackage } from "./tarball.mjs";

const CREDENTIALS = { email: "ada@example.com", password: "secret" };
const USER = { id: "user_1", email: "ada@example.com", privileges: [], groupMemberships: [], userVersion: 1 };

/** The answer of a sign-in or a renewal: pair number `generation`. */
const pair = (generation, expires_in = 3600) => ({
  access_token: `access-${generation}`,
  refresh_token: `refresh-${generation}`,
  token_type: "bearer",
  expires_in,
  user: USER,
});
const bearer = ({ headers }) => headers.authorization;
const expired = (exchange) => exchange.fail(401, { message: "It is over.", code: "token_expired" });

async function failure(promise) {
  return promise.then(
    () => assert.fail("It succeeded."),
    (error) => error,
  );
}

test("a session", async (t) => {
  const { CoMind, CoMindError, memoryStorage, webStorage, tabStorage } = await importPackage(t);
  const edge = await startEdge();
  t.after(() => edge.close());

  /** A client that is signed in. */
  async function signedIn(options = {}, expiresIn = 3600) {
    const client = new CoMind({ baseURL: edge.url, maxRetries: 0, ...options });
    const login = client.auth.login(CREDENTIALS);
    (await edge.next()).reply(pair(0, expiresIn));
    await login;
    return client;
  }
  /** Answers the next request if it is a renewal with this refresh token. */
  async function renew(from, answer) {
    const refresh = await edge.next();
    assert.equal(refresh.path, "/v1/auth/refresh");
    assert.equal(bearer(refresh), undefined);
    assert.deepEqual(JSON.parse(refresh.body), { refresh_token: from });
    refresh.reply(answer);
  }

  await t.test("is renewed once for a hundred calls that meet its end", async () => {
    const client = await signedIn();
    const calls = Array.from({ length: 100 }, () => client.models.list());
    for (let count = 0; count < 100; count++) {
      const asked = await edge.next();
      assert.equal(bearer(asked), "Bearer access-0");
      expired(asked);
    }
    await renew("refresh-0", pair(1));
    for (let count = 0; count < 100; count++) {
      const asked = await edge.next();
      assert.equal(bearer(asked), "Bearer access-1");
      asked.reply({ count });
    }
    await Promise.all(calls);
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("is renewed ahead of its end, and nobody waits for that", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000_000_000 });
    const client = await signedIn();
    // A minute before the end of an hour: one millisecond early, and then on time.
    t.mock.timers.setTime(1_000_000_000_000 + 3_540_000 - 1);
    const early = client.models.list();
    (await edge.next()).reply({});
    await early;
    assert.deepEqual(edge.unclaimed, []);

    t.mock.timers.setTime(1_000_000_000_000 + 3_540_000);
    const ahead = client.models.list();
    const asked = [await edge.next(), await edge.next()];
    const listing = asked.find(({ path }) => path === "/v1/models");
    const refresh = asked.find(({ path }) => path === "/v1/auth/refresh");
    assert.equal(bearer(listing), "Bearer access-0", "the old token still counts");
    listing.reply({});
    await ahead;
    refresh.reply(pair(1));
    await client.auth.refresh().catch(() => {}); // joins the one that is under way
    const after = client.models.list();
    const renewed = await edge.next();
    assert.equal(bearer(renewed), "Bearer access-1");
    renewed.reply({});
    await after;
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("that has ended is renewed before a call is sent", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000_000_000 });
    const client = await signedIn();
    t.mock.timers.setTime(1_000_000_000_000 + 3_600_000);
    const listing = client.models.list();
    await renew("refresh-0", pair(1));
    const asked = await edge.next();
    assert.equal(bearer(asked), "Bearer access-1");
    asked.reply({});
    await listing;
  });

  await t.test("whose renewal fails for a while outlives it", async () => {
    const client = await signedIn();
    const listing = failure(client.models.list());
    expired(await edge.next());
    (await edge.next()).fail(503, { message: "later", code: "no_backend_available" });
    assert.equal((await listing).code, "no_backend_available");
    const again = client.models.list();
    expired(await edge.next());
    await renew("refresh-0", pair(1));
    (await edge.next()).reply({});
    await again;
  });

  await t.test("that the edge has ended is over here too, and says so", async () => {
    const changes = [];
    const client = await signedIn();
    client.auth.onChange((session) => changes.push(session));
    const listing = failure(client.models.list());
    (await edge.next()).fail(401, { message: "It was revoked.", code: "token_revoked" });
    (await edge.next()).fail(401, { message: "It was revoked.", code: "token_revoked" });
    const error = await listing;
    assert.deepEqual(
      [error.name, error.code, error.message],
      ["APIError", "token_revoked", "It was revoked."],
    );
    assert.deepEqual(changes, [null]);
    assert.equal(await client.auth.session(), null);
    const anonymous = client.models.list();
    const asked = await edge.next();
    assert.equal(bearer(asked), undefined);
    asked.reply({});
    await anonymous;
  });

  await t.test("a refusal of the new token is not tried for ever", async () => {
    const client = await signedIn();
    const listing = failure(client.models.list({ maxRetries: 5 }));
    expired(await edge.next());
    await renew("refresh-0", pair(1));
    expired(await edge.next());
    assert.equal((await listing).code, "token_expired");
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("a stream is asked for again after a refusal, and never once it has begun", async () => {
    const client = await signedIn();
    const stream = client.chat.completions.stream({ model: "m", messages: [] });
    const text = stream.finalText();
    expired(await edge.next());
    await renew("refresh-0", pair(1));
    (await edge.next()).stream().end(event(chunk({ content: "Hi" }, "stop")) + DONE);
    assert.equal(await text, "Hi");

    const refused = client.chat.completions.stream({ model: "m", messages: [] });
    const body = JSON.stringify({ error: { message: "It is over.", code: "token_expired" } });
    const reading = failure(refused.finalText());
    (await edge.next()).stream().end(event(chunk({ content: "Hi" })) + event(body));
    assert.deepEqual([(await reading).name, (await reading).code], ["StreamTruncatedError", "token_expired"]);
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("aborting a call that waits for a renewal ends the call and not the renewal", async () => {
    const client = await signedIn();
    const abort = new AbortController();
    const impatient = failure(client.models.list({ signal: abort.signal }));
    const patient = client.models.list();
    expired(await edge.next());
    expired(await edge.next());
    const refresh = await edge.next();
    abort.abort();
    assert.equal((await impatient).code, "aborted");
    refresh.reply(pair(1));
    (await edge.next()).reply({ data: [] });
    assert.deepEqual(await patient, { data: [] });
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("signing out ends it here at once, and there", async () => {
    const client = await signedIn();
    const leaving = client.auth.logout();
    const logout = await edge.next();
    assert.equal(logout.path, "/v1/auth/logout");
    assert.deepEqual(JSON.parse(logout.body), { access_token: "access-0", refresh_token: "refresh-0" });
    assert.equal(await client.auth.session(), null);
    logout.reply("", 204);
    assert.equal(await leaving, undefined);
    assert.equal(await client.auth.logout(), undefined, "there is nothing to end");
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("its tokens are in no property, no error and no event", async () => {
    const client = await signedIn();
    let told;
    client.auth.onChange((session) => (told = session));
    const renewing = client.auth.refresh();
    await renew("refresh-0", pair(1));
    const session = await renewing;
    const { inspect } = await import("node:util");
    for (const shown of [inspect(client, { depth: 9, showHidden: true }), JSON.stringify([session, told])])
      assert.doesNotMatch(shown, /access-|refresh-\d/);
    assert.deepEqual(told, { user: USER });
  });

  await t.test("an answer without tokens is malformed", async () => {
    for (const answer of [{}, { ...pair(0), access_token: "" }, { ...pair(0), expires_in: 0 }]) {
      const client = new CoMind({ baseURL: edge.url });
      const login = failure(client.auth.login(CREDENTIALS));
      (await edge.next()).reply(answer);
      assert.equal((await login).code, "response_malformed");
      assert.equal(await client.auth.session(), null);
    }
  });

  await t.test("survives in a storage, and a page that reads it sees renewals of another", async () => {
    const area = new Map();
    const storage = webStorage({
      getItem: (key) => area.get(key) ?? null,
      setItem: (key, text) => area.set(key, text),
      removeItem: (key) => area.delete(key),
    });
    const first = await signedIn({ storage });
    const second = new CoMind({ baseURL: edge.url, storage });
    assert.deepEqual(await second.auth.session(), { user: USER });
    const renewing = first.auth.refresh();
    await renew("refresh-0", pair(1));
    await renewing;
    const listing = second.models.list();
    const asked = await edge.next();
    assert.equal(bearer(asked), "Bearer access-1");
    // It refuses the token, but another page has already bought the next one.
    const other = first.auth.refresh();
    await renew("refresh-1", pair(2));
    await other;
    expired(asked);
    const replayed = await edge.next();
    assert.equal(bearer(replayed), "Bearer access-2");
    replayed.reply({});
    await listing;
    area.set("co-mind", "not JSON");
    assert.equal(await second.auth.session(), null);
    assert.deepEqual(edge.unclaimed, []);
  });

  await t.test("a storage that fails is an error of ours, with its cause", async () => {
    const full = new Error("full");
    const fail = () => {
      throw full;
    };
    const client = new CoMind({ baseURL: edge.url, storage: { get: () => null, set: fail, remove: fail } });
    const login = failure(client.auth.login(CREDENTIALS));
    (await edge.next()).reply(pair(0));
    const error = await login;
    assert.ok(error instanceof CoMindError);
    assert.equal(error.cause, full);
  });

  await t.test("is handed from page to page by those that are open", async () => {
    const storages = [tabStorage("t"), tabStorage("t")];
    const first = await signedIn({ storage: storages[0] });
    const second = new CoMind({ baseURL: edge.url, storage: storages[1] });
    assert.deepEqual(await second.auth.session(), { user: USER });
    const late = new CoMind({ baseURL: edge.url, storage: tabStorage("t") });
    assert.deepEqual(await late.auth.session(), { user: USER });
    const gone = new Promise((resolve) => late.auth.onChange(resolve));
    const leaving = first.auth.logout();
    (await edge.next()).reply("", 204);
    await leaving;
    assert.equal(await gone, null);
    assert.equal(await late.auth.session(), null);
    const alone = new CoMind({ baseURL: edge.url, storage: tabStorage("alone") });
    assert.equal(await alone.auth.session(), null);
  });

  await t.test("memory is kept by each client for itself", async () => {
    const storage = memoryStorage();
    const first = await signedIn({ storage });
    assert.notEqual(await first.auth.session(), null);
    assert.equal(await new CoMind({ baseURL: edge.url }).auth.session(), null);
  });

  await t.test(
    "a function gives the token: once for many, again before its end and after a refusal",
    async (t) => {
      t.mock.timers.enable({ apis: ["Date"], now: 1_000_000_000_000 });
      const jwt = (name, exp) => `${name}.${btoa(JSON.stringify({ exp }))}.s`;
      const given = [
        jwt("one", 1_000_000_100),
        jwt("two", 1_000_000_200),
        "opaque",
        "opaque",
        Promise.reject(new Error("down")),
      ];
      given.at(-1).catch(() => {});
      let asked = 0;
      const client = new CoMind({ baseURL: edge.url, maxRetries: 0, token: async () => given[asked++] });
      const calls = [client.models.list(), client.models.list()];
      for (const _ of calls) {
        const exchange = await edge.next();
        assert.match(bearer(exchange), /^Bearer one\./);
        exchange.reply({});
      }
      await Promise.all(calls);
      assert.equal(asked, 1);
      t.mock.timers.setTime(1_000_000_090_000);
      const later = client.models.list();
      const exchange = await edge.next();
      assert.match(bearer(exchange), /^Bearer two\./);
      expired(exchange);
      const replayed = await edge.next();
      assert.equal(bearer(replayed), "Bearer opaque");
      replayed.reply({});
      await later;
      // The same token again is no reason to ask again.
      const refused = failure(client.models.list());
      expired(await edge.next());
      assert.equal((await refused).code, "token_expired");
      assert.equal(asked, 4);
      const down = failure(client.models.list());
      expired(await edge.next());
      const error = await down;
      assert.deepEqual([error.code, error.cause?.message], ["internal_error", "down"]);
      assert.deepEqual(edge.unclaimed, []);
      for (const bad of [undefined, "", 7]) {
        const client = new CoMind({ baseURL: edge.url, token: () => bad });
        assert.equal((await failure(client.models.list())).param, "token");
      }
    },
  );

  await t.test("a personal access token is refused in a page, unless a flag says otherwise", async (t) => {
    const options = { baseURL: edge.url, token: "cmnd_x.sk_y" };
    new CoMind(options);
    globalThis.document = {};
    t.after(() => delete globalThis.document);
    assert.throws(
      () => new CoMind(options),
      (error) => error instanceof CoMindError && error.param === "token" && !error.stack.includes("sk_y"),
    );
    new CoMind({ ...options, dangerouslyAllowBrowser: true });
    new CoMind({ ...options, token: "a.jwt.x" });
    const source = new CoMind({ ...options, token: async () => options.token });
    assert.equal((await failure(source.models.list())).param, "token");
  });

  assert.deepEqual(edge.unclaimed, []);
});
