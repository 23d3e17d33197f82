// A second opinion: PyJWT reads our tokens, and makes the ones that the edge must refuse.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Connection } from "./caller.mjs";
import { assertFailure, openScene } from "./scene.mjs";
import { completion } from "./upstream.mjs";

/** Requests that a token might open; each is asked with every token. */
const ROUTES = [
  ["GET", "/v1/models"],
  ["POST", "/v1/chat/completions", { model: "text-model", messages: [{ role: "user", content: "Hello" }] }],
  ["GET", "/v1/api-tokens"],
  ["POST", "/v1/api-tokens", { name: "made with a forged token", scopes: ["models:read"] }],
];

let scene, caller, opinion;
let reached = 0;
before(async () => {
  scene = await openScene({ settings: { HEADER_LIMIT_BYTES: "65536" } });
  scene.upstream.always((exchange) => {
    reached += 1;
    exchange.reply(completion());
  });
  caller = await scene.signIn();
  await scene.makeToken(caller, ["models:read"]);
  opinion = await askPython();
});
after(() => scene?.close());

async function askPython() {
  const python = process.env.COMIND_OPENAI_PYTHON;
  assert.ok(python, "COMIND_OPENAI_PYTHON is set by scripts/env.sh: run this by `make edge-test`");
  const script = fileURLToPath(new URL("pyjwt_tokens.py", import.meta.url));
  const { access_token: access, refresh_token: refresh } = scene.login;
  return new Promise((resolve, reject) => {
    const options = { timeout: 60_000, maxBuffer: 64 << 20 };
    const child = execFile(python, [script], options, (failure, stdout, stderr) => {
      if (failure) reject(new Error(stderr || failure.message));
      else resolve(JSON.parse(stdout));
    });
    child.stdin.end(JSON.stringify({ secret: scene.settings.JWT_SECRET, access, refresh }));
  });
}

/** Header values are bytes: what is not ASCII goes as UTF-8. */
const bytes = (text) => Buffer.from(text).toString("latin1");

async function ask([method, path, body], authorization) {
  return caller.request(method, path, { body, headers: { authorization: bytes(authorization) } });
}

/** What a refused request must leave as it was. */
async function state() {
  const files = await readdir(scene.dataDir, { recursive: true });
  const tokens = (await caller.get("/v1/api-tokens")).text;
  return { reached, tokens, files: files.filter((file) => file.endsWith(".sqlite")).sort() };
}

describe("our tokens, read by PyJWT", () => {
  for (const [use, life] of [
    ["access", 3600],
    ["refresh", 30 * 86_400],
  ]) {
    test(`the ${use} token is HS256 with the documented claims`, () => {
      const { header, payload } = opinion.accepted[use];
      assert.deepEqual(Object.keys(header).sort(), ["alg", "kid", "typ"]);
      assert.equal(header.alg, "HS256");
      assert.equal(header.typ, "JWT");
      for (const claim of ["iss", "sub", "iat", "exp", "jti", "sid", "ver", "use"])
        assert.ok(claim in payload, claim);
      assert.equal(payload.iss, "co-mind-edge");
      assert.equal(payload.sub, scene.login.user.id);
      assert.equal(payload.use, use);
      assert.equal(payload.exp - payload.iat, life);
      assert.ok(Math.abs(payload.iat - Date.now() / 1000) < 120, "made just now");
    });
    test(`the ${use} token is refused with another secret`, () => {
      assert.equal(opinion.refused[use], "InvalidSignatureError");
    });
  }
  test("no two tokens have one id", () => {
    const { access, refresh } = opinion.accepted;
    assert.notEqual(access.payload.jti, refresh.payload.jti);
    assert.equal(access.payload.sid, refresh.payload.sid);
  });
});

describe("tokens that PyJWT made", () => {
  /** Only who has the secret can name a user at will. */
  const namesAnother = ({ name }) => name.startsWith("sub ");

  const refuses = async (expected, cases) => {
    assert.ok(cases.length > 0);
    const failures = [];
    for (const { name, token } of cases) {
      for (const route of ROUTES) {
        const answer = await ask(route, `Bearer ${token}`);
        try {
          assertFailure(answer, 401, expected);
        } catch (failure) {
          failures.push(`${name}: ${route[0]} ${route[1]}: ${failure.message.slice(0, 200)}`);
        }
      }
    }
    assert.deepEqual(failures, []);
    return `${cases.length} tokens, each on ${ROUTES.length} routes`;
  };

  for (const expected of ["unauthorized", "token_expired", "token_revoked"]) {
    test(`those that are ${expected} open nothing and change nothing`, async (t) => {
      const cases = opinion.cases.filter((one) => one.expected === expected && !namesAnother(one));
      const before = await state();
      t.diagnostic(await refuses(expected, cases));
      assert.deepEqual(await state(), before);
    });
  }

  test("those that name somebody else with a good signature open nothing", async (t) => {
    const { tokens } = await state();
    t.diagnostic(await refuses("unauthorized", opinion.cases.filter(namesAnother)));
    assert.deepEqual({ tokens, reached: 0 }, { tokens: (await state()).tokens, reached });
  });

  test("those that differ in what we do not look at pass", async (t) => {
    const cases = opinion.cases.filter(({ expected }) => expected === "ok");
    for (const { name, token } of cases) {
      const answer = await ask(ROUTES[0], `Bearer ${token}`);
      assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    }
    t.diagnostic(`${cases.length} tokens`);
  });

  test("what the edge takes for good, PyJWT does too, but for the marked ones; and far less", (t) => {
    const unlike = opinion.cases.filter(({ expected, pyjwt }) => (expected === "ok") !== (pyjwt === "ok"));
    const laxer = unlike.filter(({ expected }) => expected === "ok").map(({ name }) => name);
    assert.deepEqual(laxer, ["iat tomorrow"]);
    t.diagnostic(
      `${opinion.cases.length} tokens; ${unlike.length - laxer.length} refused by the edge, not by PyJWT`,
    );
  });
});

describe("a good token in a bad place", () => {
  const good = () => scene.login.access_token;
  const headers = {
    "no scheme": () => good(),
    "the scheme twice": () => `Bearer Bearer ${good()}`,
    "a colon after the scheme": () => `Bearer: ${good()}`,
    "an equals sign after the scheme": () => `Bearer=${good()}`,
    "no space": () => `Bearer${good()}`,
    "a tab for a space": () => `Bearer\t${good()}`,
    "another scheme": () => `Token ${good()}`,
    "the scheme JWT": () => `JWT ${good()}`,
    "the scheme DPoP": () => `DPoP ${good()}`,
    "the scheme Basic": () => `Basic ${Buffer.from(`:${good()}`).toString("base64")}`,
    "a scheme with a look-alike letter": () => `B\u0435arer ${good()}`,
    "a full-width scheme": () => `\uff22earer ${good()}`,
    "two tokens": () => `Bearer ${good()} ${good()}`,
    "two tokens and a comma": () => `Bearer ${good()},${good()}`,
    "two credentials and a comma": () => `Bearer ${good()}, Bearer ${good()}`,
    "another credential in front": () => `Basic YWRhOnB3, Bearer ${good()}`,
    "another credential behind": () => `Bearer ${good()}, Basic YWRhOnB3`,
    "a no-break space behind": () => `Bearer ${good()}\u00a0`,
    "a no-break space in Latin-1 behind": () => Buffer.from(`Bearer ${good()}\u00a0`, "latin1"),
    "a comma behind": () => `Bearer ${good()},`,
    "a semicolon behind": () => `Bearer ${good()};`,
    "a parameter": () => `Bearer token="${good()}"`,
    "a name in front": () => `Bearer access_token=${good()}`,
    "angle brackets": () => `Bearer <${good()}>`,
    "the kind of a personal access token": () => `Bearer cmnd_${good()}`,
  };
  for (const [title, make] of Object.entries(headers)) {
    test(`is unauthorized: ${title}`, async () => {
      for (const route of ROUTES) assertFailure(await ask(route, make()), 401, "unauthorized");
    });
  }

  test("is unauthorized anywhere but in its header", async () => {
    const token = encodeURIComponent(good());
    for (const options of [
      { headers: { cookie: `access_token=${token}; token=${token}; session=${token}` } },
      { headers: { "x-api-key": good(), "api-key": good(), "x-access-token": good() } },
      { headers: { "proxy-authorization": `Bearer ${good()}`, "x-authorization": `Bearer ${good()}` } },
    ])
      assertFailure(await scene.anonymous.get("/v1/models", options), 401, "unauthorized");
    const query = `?access_token=${token}&token=${token}&authorization=Bearer%20${token}`;
    assertFailure(await scene.anonymous.get(`/v1/models${query}`), 401, "unauthorized");
    assertFailure(
      await scene.anonymous.chat({ access_token: good(), authorization: `Bearer ${good()}` }),
      401,
      "unauthorized",
    );
  });

  test("passes in any letter case of the scheme, with spaces around the token", async () => {
    for (const header of [
      `bearer ${good()}`,
      `BEARER ${good()}`,
      `bEaReR ${good()}`,
      `Bearer   ${good()}`,
      `Bearer ${good()}  `,
    ])
      assert.equal((await ask(ROUTES[0], header)).status, 200, header.slice(0, 12));
  });
});

describe("bytes that no HTTP library would send", () => {
  /** The status of the answer to a request with these header lines, and its body as far as it came. */
  async function raw(lines) {
    const connection = await Connection.open(scene.url, { path: "/v1/models", headers: lines });
    try {
      const { status, headers } = await connection.head();
      const text = (await connection.whole()).toString();
      return { status, headers, text };
    } finally {
      connection.leave();
    }
  }
  const failure = (answer) =>
    assertFailure({ ...answer, json: JSON.parse(answer.text) }, 401, "unauthorized");

  test("the header twice is unauthorized, good as each may be", async () => {
    const good = `Bearer ${scene.login.access_token}`;
    for (const [first, second] of [
      [good, good],
      [good, "Bearer x"],
      ["Bearer x", good],
    ])
      failure(await raw({ authorization: first, Authorization: second }));
  });

  test("a line end in the token ends the header, not the check", async () => {
    const { access_token: good } = scene.login;
    const [header, payload, signature] = good.split(".");
    // A folded line is an error of HTTP; a new line is a header of its own.
    for (const value of [
      `Bearer ${header}.\r\n ${payload}.${signature}`,
      `Bearer ${header}.\r\nx: ${payload}.${signature}`,
      `Bearer ${good}\0`,
      `Bearer ${header}\0.${payload}.${signature}`,
    ]) {
      const answer = await raw({ authorization: value });
      if (answer.status !== 400) failure(answer);
    }
  });

  test("100 kB of token are refused", async () => {
    const { status } = await raw({ authorization: `Bearer ${"e".repeat(100_000)}` });
    assert.ok([400, 401, 413, 431].includes(status), `${status}`);
    assert.equal((await caller.get("/v1/models")).status, 200, "and the edge goes on");
  });
});
