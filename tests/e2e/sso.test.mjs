// Signing in with an ID token: who is believed, what the tenant is asked and how often, whose account it becomes.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Connection } from "./caller.mjs";
import { makeKey, publicPem, sendJson, signHs256, signRs256, startProvider } from "./provider.mjs";
import { EMAIL, assertFailure, openScene } from "./scene.mjs";
import { within } from "./within.mjs";

const AUDIENCE = randomUUID();
const SERVICE_TOKEN = `service-${randomUUID()}`;
const nowSecs = () => Math.floor(Date.now() / 1000);
const newUser = (name = "user") => ({ oid: randomUUID(), upn: `${name}-${randomUUID()}@example.com` });

let provider, elsewhere, scene;
/** Tenants that the edge admits. What it knows of one is nothing to the others. */
const tenants = [];
const freshTenant = () => tenants.find((tenant) => !tenant.isTaken && (tenant.isTaken = true));

before(async () => {
  provider = await startProvider();
  elsewhere = await startProvider();
  for (let count = 0; count < 40; count += 1) tenants.push(provider.makeTenant());
  scene = await openScene({
    settings: {
      SSO_TENANTS: tenants.map(({ tid }) => tid).join(", "),
      SSO_CLIENT_ID: AUDIENCE,
      SSO_AUTHORITY: provider.url,
      SERVICE_TOKEN,
    },
  });
});
after(async () => {
  await scene?.close();
  await provider?.close();
  await elsewhere?.close();
});

function post(body) {
  const signature = typeof body.id_token === "string" ? body.id_token.split(".").at(-1) : "";
  if (signature.length > 20) scene.conceal(signature);
  return scene.anonymous.post("/v1/auth/sso", body);
}

/** Signs a user of a tenant in; `token` takes the place of the right one. */
function signIn(tenant, user, token = tenant.token(user, AUDIENCE)) {
  return post({ tid: tenant.tid, ...user, id_token: token });
}

async function signedIn(tenant, user, token) {
  const answer = await signIn(tenant, user, token);
  assert.equal(answer.status, 200, answer.text);
  scene.conceal(answer.json.access_token);
  scene.conceal(answer.json.refresh_token);
  return answer.json;
}

describe("an edge without SSO_TENANTS", () => {
  let plain;
  before(async () => {
    plain = await openScene();
  });
  after(() => plain?.close());

  test("has no such route", async () => {
    const tenant = freshTenant();
    const user = newUser();
    const body = { tid: tenant.tid, ...user, id_token: tenant.token(user, AUDIENCE) };
    assertFailure(await plain.anonymous.post("/v1/auth/sso", body), 404, "not_found");
    assert.deepEqual(tenant.requests, []);
  });
});

describe("whoever shows a good token", () => {
  test("is signed in as with a password, and is the same user each time", async () => {
    const tenant = freshTenant();
    const user = newUser();
    const login = await signedIn(tenant, user);
    assert.deepEqual(Object.keys(login).sort(), [
      "access_token",
      "expires_in",
      "refresh_token",
      "token_type",
      "user",
    ]);
    assert.equal(login.token_type, "bearer");
    assert.equal(login.user.email, user.upn);
    assert.deepEqual(login.user.privileges, []);
    assert.deepEqual(login.user.groupMemberships, ["main"]);
    const models = await scene.anonymous.as(login.access_token).get("/v1/models");
    assert.equal(models.status, 200, models.text);
    const again = await signedIn(tenant, { ...user, upn: user.upn.toUpperCase() });
    assert.equal(again.user.id, login.user.id);
    assert.equal(again.user.email, user.upn);
    assert.equal(tenant.fetches, 1, "the keys are asked for once");
  });

  test("may have it made in any way that OpenID Connect allows", async () => {
    const tenant = freshTenant();
    for (const changes of [
      { aud: [AUDIENCE] },
      { aud: ["another", AUDIENCE], azp: AUDIENCE },
      { nbf: undefined },
      { exp: nowSecs() - 30 },
      { iat: nowSecs() + 30, nbf: nowSecs() + 30 },
      { groups: Array.from({ length: 200 }, () => randomUUID()) },
    ]) {
      const user = newUser();
      await signedIn(tenant, user, tenant.token(user, AUDIENCE, changes));
    }
    const user = newUser();
    const changes = { upn: user.upn.toUpperCase(), preferred_username: "somebody else" };
    await signedIn(tenant, user, tenant.token(user, AUDIENCE, changes));
  });

  test("is told when it is past its time, and only then", async () => {
    const tenant = freshTenant();
    const user = newUser();
    const past = { iat: nowSecs() - 7200, nbf: nowSecs() - 7200, exp: nowSecs() - 3600 };
    const expired = tenant.token(user, AUDIENCE, past);
    assertFailure(await signIn(tenant, user, expired), 401, "token_expired");
    const header = { ...tenant.header };
    const forged = signRs256(header, tenant.claims(user, AUDIENCE, past), makeKey().privateKey);
    assertFailure(await signIn(tenant, user, forged), 401, "unauthorized");
    assertFailure(await signIn(tenant, newUser(), expired), 401, "unauthorized");
  });
});

describe("a body", () => {
  test("without a token proves nothing", async () => {
    const tenant = freshTenant();
    const claims = { tid: tenant.tid, ...newUser() };
    for (const body of [claims, { ...claims, id_token: null }, { ...claims, id_token: "" }])
      assertFailure(await post(body), 401, "unauthorized");
    assert.deepEqual(tenant.requests, []);
  });

  test("that is not of the form names the field", async () => {
    const whole = { tid: "t", oid: "o", upn: "u", id_token: "x" };
    for (const field of ["tid", "oid", "upn", "id_token"])
      assert.equal(assertFailure(await post({ ...whole, [field]: 7 }), 400, "bad_request").param, field);
    for (const field of ["tid", "oid", "upn"])
      assert.equal(
        assertFailure(await post({ ...whole, [field]: undefined }), 400, "bad_request").param,
        field,
      );
    assertFailure(await scene.anonymous.post("/v1/auth/sso", "[]"), 400, "bad_request");
    const giant = { ...whole, id_token: "x".repeat(1 << 20) };
    assertFailure(await scene.anonymous.post("/v1/auth/sso", giant), 413, "request_too_large");
    assertFailure(await scene.anonymous.get("/v1/auth/sso"), 405, "method_not_allowed");
  });
});

describe("a tenant that is not admitted", () => {
  test("is never asked for anything, however its name is spelled", async () => {
    const stranger = provider.makeTenant();
    const { tid } = tenants[0];
    const before = provider.requests.length;
    const port = new URL(elsewhere.url).port;
    for (const name of [
      stranger.tid,
      "",
      "common",
      tid.toUpperCase(),
      ` ${tid}`,
      `${tid} `,
      `${tid}/`,
      `/${tid}`,
      `${tid}/../${stranger.tid}`,
      `${tid}%2f..%2f${stranger.tid}`,
      `../${tid}`,
      `${tid}?`,
      `${tid}#`,
      `${tid}\u0000`,
      `${tid},${tenants[1].tid}`,
      elsewhere.url,
      `@127.0.0.1:${port}/${tid}`,
      "__proto__",
    ]) {
      const user = newUser();
      const issuer = `${provider.url}/${name}/v2.0`;
      for (const tenant of [stranger, tenants[0]]) {
        const token = tenant.token(user, AUDIENCE, { tid: name, iss: issuer });
        assertFailure(await post({ tid: name, ...user, id_token: token }), 401, "unauthorized");
      }
    }
    assert.equal(provider.requests.length, before);
    assert.deepEqual([provider.strays, elsewhere.strays], [[], []]);
  });
});

describe("a hostile token", () => {
  let tenant, user, other, attacker, weak;
  before(async () => {
    [tenant, user, other, attacker, weak] = [
      freshTenant(),
      newUser(),
      freshTenant(),
      makeKey(),
      makeKey("weak", 1024),
    ];
    tenant.keys.push(weak, { jwk: { ...makeKey("twin").jwk } }, { jwk: { ...makeKey("twin").jwk } });
    await signedIn(tenant, user);
    await signedIn(other, newUser());
  });

  const encode = (value) => Buffer.from(value).toString("base64url");
  const claims = (changes) => tenant.claims(user, AUDIENCE, changes);
  const withHeader = (changes, key = tenant.key) =>
    signRs256({ ...tenant.header, ...changes }, claims(), key.privateKey);
  const withClaims = (changes) => tenant.token(user, AUDIENCE, changes);
  const withText = (from, to) => {
    const text = JSON.stringify(claims({ exp: 4102444800 }));
    assert.ok(text.includes(from), from);
    return signRs256(tenant.header, text.replace(from, to), tenant.key.privateKey);
  };
  const parts = () => withClaims().split(".");
  const tampered = (index, change) => {
    const pieces = parts();
    pieces[index] = change(pieces[index]);
    return pieces.join(".");
  };

  const hostile = {
    "that says it needs no signature": () => `${encode('{"alg":"none"}')}.${parts()[1]}.`,
    "that says so and names a key": () =>
      `${encode(JSON.stringify({ ...tenant.header, alg: "none" }))}.${parts()[1]}.`,
    "that says so in capitals": () => withHeader({ alg: "NONE" }),
    "signed with the public key as a secret": () =>
      signHs256({ ...tenant.header, alg: "HS256" }, claims(), publicPem(tenant.key)),
    "signed with the public key as a secret, as its JWK": () =>
      signHs256({ ...tenant.header, alg: "HS256" }, claims(), JSON.stringify(tenant.key.jwk)),
    "signed so, and said to be RS256": () => signHs256(tenant.header, claims(), publicPem(tenant.key)),
    "of another algorithm with the same key": () => withHeader({ alg: "RS512" }),
    "without a key's name": () => withHeader({ kid: undefined }),
    "with a number for a key's name": () => withHeader({ kid: 0 }),
    "of a key that the tenant does not have": () => withHeader({ kid: "unknown" }),
    "of an attacker's key under the tenant's name": () => withHeader({}, attacker),
    "of an attacker's key, which it brings along": () => withHeader({ jwk: attacker.jwk }, attacker),
    "of an attacker's key, which it says where to find": () =>
      withHeader({ jku: `${elsewhere.url}/keys`, x5u: `${elsewhere.url}/cert` }, attacker),
    "of another tenant's key": () => withHeader({}, other.key),
    "of another tenant's key under its name": () => withHeader({ kid: other.key.kid }, other.key),
    "of another tenant": () => other.token(user, AUDIENCE),
    "of another tenant that says it is this one": () =>
      other.token(user, AUDIENCE, { iss: tenant.issuer, tid: tenant.tid }),
    "of a weak key that the tenant has": () => withHeader({ kid: "weak" }, weak),
    "of a name that two keys share": () => withHeader({ kid: "twin" }),
    "with an extension that must be understood": () => withHeader({ crit: ["exp"], exp: 1 }),
    "that is an access token": () => withHeader({ typ: "at+jwt" }),
    "of another issuer": () => withClaims({ iss: other.issuer }),
    "of an issuer with a slash more": () => withClaims({ iss: `${tenant.issuer}/` }),
    "of no issuer": () => withClaims({ iss: undefined }),
    "for another program": () => withClaims({ aud: randomUUID() }),
    "for nobody": () => withClaims({ aud: [] }),
    "for several, without saying who asked": () => withClaims({ aud: [AUDIENCE, "another"] }),
    "for several, asked for by another": () => withClaims({ aud: [AUDIENCE, "another"], azp: "another" }),
    "for us, asked for by another": () => withClaims({ azp: "another" }),
    "of another tid": () => withClaims({ tid: other.tid }),
    "of no tid": () => withClaims({ tid: undefined }),
    "of another oid": () => withClaims({ oid: randomUUID() }),
    "of an oid in a list": () => withClaims({ oid: [user.oid] }),
    "of another upn": () => withClaims({ preferred_username: EMAIL }),
    "of another upn beside the right preferred_username": () => withClaims({ upn: EMAIL }),
    "of the right address in the wrong claim": () =>
      withClaims({ preferred_username: undefined, email: user.upn }),
    "past its time by two minutes, and forged": () =>
      signRs256(tenant.header, claims({ exp: nowSecs() - 120 }), attacker.privateKey),
    "not yet valid": () => withClaims({ nbf: nowSecs() + 120 }),
    "made in the future": () => withClaims({ iat: nowSecs() + 120 }),
    "without an end": () => withClaims({ exp: undefined }),
    "whose end is text": () => withClaims({ exp: "4102444800" }),
    "whose end is a fraction": () => withClaims({ exp: 4102444800.5 }),
    "whose end is written with an exponent": () => withText("4102444800", "41024448e2"),
    "whose end is too large a number": () => withText("4102444800", "1e400"),
    "with two ends": () => withText('"exp":', '"exp":1,"exp":'),
    "with two users": () => withText('"oid":', `"oid":"${randomUUID()}","oid":`),
    "with two users, one in escapes": () => withText('"oid":', `"\\u006fid":"${randomUUID()}","oid":`),
    "that is a list of claims": () => signRs256(tenant.header, [claims()], tenant.key.privateKey),
    "that is no JSON": () => signRs256(tenant.header, "{", tenant.key.privateKey),
    "that is not UTF-8": () => tampered(1, () => Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")),
    "whose claims were changed": () => tampered(1, () => encode(JSON.stringify(claims({ exp: 4102444800 })))),
    "whose header was changed": () =>
      tampered(0, () => encode(JSON.stringify({ ...tenant.header, x5t: "another" }))),
    "whose signature was changed": () =>
      tampered(2, (signature) => `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`),
    "whose signature is another's": () => tampered(2, () => tenant.token(newUser(), AUDIENCE).split(".")[2]),
    "whose signature is spelled in another way": () =>
      tampered(2, (signature) => `${signature.slice(0, -1)}${signature.endsWith("A") ? "B" : "R"}`),
    "whose signature is padded": () => tampered(2, (signature) => `${signature}==`),
    "without a signature": () => tampered(2, () => ""),
    "without a third part": () => parts().slice(0, 2).join("."),
    "with two signatures": () => `${withClaims()}.${parts()[2]}`,
    "with a space before it": () => ` ${withClaims()}`,
    "with a line end behind it": () => `${withClaims()}\n`,
    "in the JSON form": () =>
      JSON.stringify({ payload: parts()[1], protected: parts()[0], signature: parts()[2] }),
    "of a size that nobody reads": () => withClaims({ groups: "x".repeat(17_000) }),
    "nested without an end": () =>
      signRs256(tenant.header, `{"a":${"[".repeat(10_000)}`, tenant.key.privateKey),
    "that is a word": () => "token",
    "that is one of ours": () => scene.login?.access_token ?? "x.y.z",
  };
  for (const [name, make] of Object.entries(hostile)) {
    test(`${name} is refused`, async () => {
      assertFailure(await signIn(tenant, user, make()), 401, "unauthorized");
    });
  }

  test("costs the tenant one question, all of them together", async () => {
    assert.equal(tenant.fetches, 2, "one for the keys, one for a key of a name that nobody knows");
    assert.equal(other.fetches, 1);
    assert.deepEqual(elsewhere.strays, []);
    await signedIn(tenant, user);
  });

  test("is refused for what the body says besides", async () => {
    for (const changes of [
      { oid: randomUUID() },
      { upn: EMAIL },
      { tid: other.tid },
      { oid: "" },
      { upn: "" },
    ]) {
      const body = { tid: tenant.tid, ...user, id_token: tenant.token(user, AUDIENCE), ...changes };
      assertFailure(await post(body), 401, "unauthorized");
    }
  });
});

describe("a tenant", () => {
  test("is asked once by many who come at once", async () => {
    const tenant = freshTenant();
    const users = Array.from({ length: 20 }, () => newUser());
    await Promise.all(users.map((user) => signedIn(tenant, user)));
    assert.equal(tenant.fetches, 1);
  });

  test("that changes its keys is asked once more, and its old keys are dead", async () => {
    const tenant = freshTenant();
    const user = newUser();
    await signedIn(tenant, user);
    const old = tenant.token(user, AUDIENCE);
    tenant.rotate();
    await Promise.all(Array.from({ length: 10 }, () => signedIn(tenant, user)));
    assert.equal(tenant.fetches, 2);
    assertFailure(await signIn(tenant, user, old), 401, "unauthorized");
  });

  test("is not flooded by invented names of keys", async () => {
    const tenant = freshTenant();
    const user = newUser();
    await signedIn(tenant, user);
    const invented = () => {
      const token = signRs256(
        { ...tenant.header, kid: randomUUID() },
        tenant.claims(user, AUDIENCE),
        tenant.key.privateKey,
      );
      return signIn(tenant, user, token);
    };
    for (const answer of await Promise.all(Array.from({ length: 25 }, invented)))
      assertFailure(answer, 401, "unauthorized");
    for (let count = 0; count < 25; count += 1) assertFailure(await invented(), 401, "unauthorized");
    assert.equal(tenant.fetches, 2);
    await signedIn(tenant, user);
    assert.equal(tenant.fetches, 2);
  });

  const large = JSON.stringify({ padding: "x".repeat(300 * 1024) });
  const broken = {
    "has no discovery document": (tenant) => (tenant.discovery = sendJson("{}", { status: 404 })),
    fails: (tenant) => (tenant.discovery = sendJson("{}", { status: 500 })),
    "sends us elsewhere": (tenant) =>
      (tenant.discovery = sendJson("{}", { status: 302, headers: { location: `${elsewhere.url}/` } })),
    "answers with a page": (tenant) => (tenant.discovery = sendJson("<html>", { type: "text/html" })),
    "answers with JSON that says it is a page": (tenant) =>
      (tenant.discovery = sendJson(tenant.discoveryDocument, { type: "text/html" })),
    "answers with no JSON": (tenant) => (tenant.discovery = sendJson("{")),
    "answers without end": (tenant) => (tenant.discovery = sendJson(large)),
    "is another issuer": (tenant) =>
      (tenant.discovery = sendJson({ ...tenant.discoveryDocument, issuer: `${tenant.issuer}/` })),
    "is any issuer": (tenant) =>
      (tenant.discovery = sendJson({
        ...tenant.discoveryDocument,
        issuer: tenant.issuer.replace(tenant.tid, "{tenantid}"),
      })),
    "has its keys elsewhere": (tenant) =>
      (tenant.discovery = sendJson({ ...tenant.discoveryDocument, jwks_uri: `${elsewhere.url}/keys` })),
    "has no keys' address": (tenant) =>
      (tenant.discovery = sendJson({ ...tenant.discoveryDocument, jwks_uri: undefined })),
    "has no keys": (tenant) => (tenant.jwks = sendJson("{}", { status: 404 })),
    "sends us elsewhere for its keys": (tenant) =>
      (tenant.jwks = sendJson("{}", { status: 307, headers: { location: `${elsewhere.url}/keys` } })),
    "has something else for keys": (tenant) => (tenant.jwks = sendJson({ keys: {} })),
    "has keys without end": (tenant) => (tenant.jwks = sendJson(large)),
    "hangs up": (tenant) => (tenant.discovery = (response) => response.destroy()),
    "hangs up in mid-answer": (tenant) =>
      (tenant.jwks = (response) => {
        response.writeHead(200, { "content-type": "application/json" }).write('{"keys":[');
        setTimeout(() => response.destroy(), 50);
      }),
  };
  for (const [name, breakIt] of Object.entries(broken)) {
    test(`that ${name} signs nobody in, and is left in peace for a while`, async () => {
      const tenant = freshTenant();
      const user = newUser();
      breakIt(tenant);
      const answer = await signIn(tenant, user);
      assertFailure(answer, 502, "upstream_error");
      assert.match(answer.headers.get("retry-after"), /^([1-9]|10)$/);
      const { length } = tenant.requests;
      assertFailure(await signIn(tenant, user), 502, "upstream_error");
      assert.equal(tenant.requests.length, length);
      assert.deepEqual(elsewhere.strays, []);
      assert.ok(scene.edge.log().includes(tenant.tid), "the log names the tenant");
    });
  }

  const silent = {
    "does not answer": (tenant) => (tenant.discovery = () => {}),
    "never ends its answer": (tenant) =>
      (tenant.jwks = (response) =>
        response.writeHead(200, { "content-type": "application/json" }).write('{"keys":[')),
  };
  test("that is silent is waited for five seconds, and asked again when it is better", async () => {
    await Promise.all(
      Object.entries(silent).map(async ([name, silence]) => {
        const tenant = freshTenant();
        const user = newUser();
        silence(tenant);
        const start = performance.now();
        const answer = await signIn(tenant, user);
        assertFailure(answer, 502, "upstream_error");
        const took = performance.now() - start;
        assert.ok(took > 3_000 && took < 8_000, `${name}: ${took} ms`);
        tenant.discovery = tenant.jwks = undefined;
        assertFailure(await signIn(tenant, user), 502, "upstream_error");
        const wait = Number(answer.headers.get("retry-after"));
        await new Promise((resolve) => setTimeout(resolve, wait * 1000));
        await signedIn(tenant, user);
      }),
    );
  });

  test("that somebody was asking who then left is asked by the next one", async () => {
    const tenant = freshTenant();
    const user = newUser();
    let asked;
    const isAsked = new Promise((resolve) => {
      asked = resolve;
    });
    tenant.discovery = () => asked();
    const leaver = await Connection.open(scene.url, {
      method: "POST",
      path: "/v1/auth/sso",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ tid: tenant.tid, ...user, id_token: tenant.token(user, AUDIENCE) }),
    });
    await within(5_000, isAsked, "the tenant is asked");
    leaver.reset();
    tenant.discovery = undefined;
    await Promise.all([signedIn(tenant, user), signedIn(tenant, newUser())]);
    assert.equal(tenant.fetches, 1);
  });

  test("whose keys are known is not missed while it is away", async () => {
    const tenant = freshTenant();
    const user = newUser();
    await signedIn(tenant, user);
    tenant.discovery = (response) => response.destroy();
    await signedIn(tenant, user);
    const unknown = signRs256(
      { ...tenant.header, kid: "unknown" },
      tenant.claims(user, AUDIENCE),
      tenant.key.privateKey,
    );
    assertFailure(await signIn(tenant, user, unknown), 502, "upstream_error");
    await signedIn(tenant, user);
  });
});

describe("an account", () => {
  let tenant;
  const operator = () => scene.anonymous.as(SERVICE_TOKEN);
  before(() => {
    tenant = freshTenant();
    scene.conceal(SERVICE_TOKEN);
  });

  test("is one, however many first sign-ins come at once", async () => {
    const user = newUser();
    const logins = await Promise.all(Array.from({ length: 8 }, () => signedIn(tenant, user)));
    assert.equal(new Set(logins.map((login) => login.user.id)).size, 1);
  });

  test("belongs to the tenant's user and not to the address", async () => {
    const user = newUser();
    const { id } = (await signedIn(tenant, user)).user;
    const renamed = { ...user, upn: newUser().upn };
    assert.equal((await signedIn(tenant, renamed)).user.id, id, "another address, the same user");
    const other = freshTenant();
    assertFailure(await signIn(other, user), 409, "duplicate");
    assertFailure(await signIn(tenant, { ...user, oid: randomUUID() }), 409, "duplicate");
    const namesake = { ...user, upn: newUser().upn };
    assert.notEqual((await signedIn(other, namesake)).user.id, id, "the same oid in another tenant");
  });

  test("with a password is not taken over by whoever has its address in a tenant", async () => {
    const user = { ...newUser(), upn: EMAIL };
    for (let count = 0; count < 2; count += 1) assertFailure(await signIn(tenant, user), 409, "duplicate");
    const caller = await scene.signIn();
    assert.equal((await caller.get("/v1/models")).status, 200);
  });

  test("has no password that anybody could guess", async () => {
    const user = newUser();
    await signedIn(tenant, user);
    for (const password of ["x", user.oid, user.upn])
      assertFailure(
        await scene.anonymous.post("/v1/auth/login", { email: user.upn, password }),
        401,
        "invalid_credentials",
      );
  });

  test("that is suspended stays out until it is not", async () => {
    const user = newUser();
    const login = await signedIn(tenant, user);
    const path = `/v1/auth/admin/users/${login.user.id}`;
    assert.equal((await operator().request("PATCH", path, { body: { suspended: true } })).status, 200);
    assertFailure(await signIn(tenant, user), 403, "account_suspended");
    assert.equal((await operator().request("PATCH", path, { body: { suspended: false } })).status, 200);
    assert.equal((await signedIn(tenant, user)).user.id, login.user.id);
  });

  test("that was deleted begins anew", async () => {
    const user = newUser();
    const login = await signedIn(tenant, user);
    const gone = await operator().delete(`/v1/auth/users/${login.user.id}`);
    assert.ok(gone.status === 200 || gone.status === 204, gone.text);
    const anew = await signedIn(tenant, user);
    assert.notEqual(anew.user.id, login.user.id);
    assertFailure(await scene.anonymous.as(login.access_token).get("/v1/models"), 401, "unauthorized");
  });

  test("outlives the edge", async () => {
    const user = newUser();
    const { id } = (await signedIn(tenant, user)).user;
    await scene.stop();
    await scene.start();
    assert.equal((await signedIn(tenant, user)).user.id, id);
    assert.equal(tenant.fetches, 2, "the keys are not kept on disk");
  });
});
