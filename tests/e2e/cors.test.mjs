// Pages of other origins: the ones on the list may read, by exact name; nobody else learns anything.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { openScene } from "./scene.mjs";
import { completion, DONE, event } from "./upstream.mjs";

const CONSOLE = "https://console.example.com";
const LOCAL = "http://localhost:5173";
const STAINLESS =
  "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version";
const OTHERS = [
  "https://console.example.com.evil.example",
  "http://console.example.com",
  "https://console.example.com:8443",
  "https://CONSOLE.example.com.",
  "https://sub.console.example.com",
  "null",
  "https://example.com",
];

const vary = (answer) => (answer.headers.get("vary") ?? "").toLowerCase().split(/\s*,\s*/);

function assertAllowed(answer, origin) {
  assert.equal(answer.headers.get("access-control-allow-origin"), origin);
  assert.equal(
    answer.headers.get("access-control-allow-credentials"),
    null,
    "tokens go in a header, cookies never",
  );
  assert.ok(vary(answer).includes("origin"), "vary: origin");
}

function assertNotAllowed(answer) {
  for (const [name] of answer.headers) assert.ok(!name.startsWith("access-control-allow"), name);
}

describe("with an allow-list", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { ALLOWED_ORIGINS: `${CONSOLE}, ${LOCAL}` } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  const preflight = (origin, path = "/v1/chat/completions", method = "POST", wanted = STAINLESS) =>
    scene.anonymous.request("OPTIONS", path, {
      headers: {
        origin,
        "access-control-request-method": method,
        ...(wanted ? { "access-control-request-headers": wanted } : {}),
      },
    });

  for (const origin of [CONSOLE, LOCAL]) {
    test(`a preflight from ${origin} is let through without a token`, async () => {
      const answer = await preflight(origin);
      assert.equal(answer.status, 204);
      assert.equal(answer.text, "");
      assertAllowed(answer, origin);
      const headers = answer.headers
        .get("access-control-allow-headers")
        .toLowerCase()
        .split(/\s*,\s*/);
      for (const name of STAINLESS.split(",")) assert.ok(headers.includes(name), name);
      assert.match(answer.headers.get("access-control-allow-methods"), /\bPOST\b/);
      assert.ok(Number(answer.headers.get("access-control-max-age")) >= 600);
    });
  }

  test("a preflight is let through for every route and its method", async () => {
    for (const [method, path] of [
      ["GET", "/health"],
      ["POST", "/v1/auth/login"],
      ["GET", "/v1/models"],
      ["GET", "/v1/models/a/b"],
      ["GET", "/v1/capabilities"],
      ["POST", "/v1/api-tokens"],
      ["DELETE", "/v1/api-tokens/x"],
    ]) {
      const answer = await preflight(CONSOLE, path, method);
      assert.equal(answer.status, 204, path);
      assertAllowed(answer, CONSOLE);
      assert.match(answer.headers.get("access-control-allow-methods"), new RegExp(`\\b${method}\\b`), path);
    }
  });

  for (const origin of OTHERS) {
    test(`a preflight from ${origin} gets no leave`, async () => {
      assertNotAllowed(await preflight(origin));
    });
    test(`an answer to ${origin} gets no leave`, async () => {
      assertNotAllowed(await caller.get("/v1/models", { headers: { origin } }));
    });
  }

  test("answers carry leave and show their limits and their id", async () => {
    const answer = await caller.get("/v1/models", { headers: { origin: CONSOLE } });
    assert.equal(answer.status, 200);
    assertAllowed(answer, CONSOLE);
    const exposed = answer.headers
      .get("access-control-expose-headers")
      .toLowerCase()
      .split(/\s*,\s*/);
    for (const kind of ["requests", "tokens"])
      for (const part of ["limit", "remaining", "reset"])
        assert.ok(exposed.includes(`x-ratelimit-${part}-${kind}`), `${part} ${kind}`);
    for (const name of ["x-request-id", "retry-after"]) assert.ok(exposed.includes(name), name);
  });

  test("streams carry leave", async () => {
    const stream = await caller.stream({}, { headers: { origin: LOCAL } });
    (await scene.upstream.next())
      .sendHead(200, { "content-type": "text/event-stream", "access-control-allow-origin": "*" })
      .end(event({ content: "a" }) + DONE);
    await stream.whole();
    assertAllowed(await stream.head(), LOCAL);
  });

  test("plain completions carry leave once, whatever the backend says", async () => {
    const answer = caller.chat({}, { headers: { origin: LOCAL } });
    (await scene.upstream.next()).reply(completion(), 200, {
      "access-control-allow-origin": "*",
      "access-control-allow-credentials": "true",
    });
    assertAllowed(await answer, LOCAL);
  });

  test("failures carry leave, so that a page can read them", async () => {
    const headers = { origin: CONSOLE };
    const failures = [
      [401, await scene.anonymous.get("/v1/models", { headers })],
      [
        401,
        await scene.anonymous.post("/v1/auth/login", { email: "x@example.com", password: "x" }, { headers }),
      ],
      [404, await caller.get("/v1/nope", { headers })],
      [405, await caller.delete("/v1/models", { headers })],
      [400, await caller.post("/v1/chat/completions", "{", { headers })],
      [
        415,
        await caller.post("/v1/chat/completions", "{}", {
          headers: { ...headers, "content-type": "text/plain" },
        }),
      ],
    ];
    for (const [status, answer] of failures) {
      assert.equal(answer.status, status, answer.text);
      assertAllowed(answer, CONSOLE);
    }
  });

  test("answers to callers without an origin differ by it all the same, for caches", async () => {
    const answer = await caller.get("/v1/models");
    assertNotAllowed(answer);
    assert.ok(vary(answer).includes("origin"));
  });
});

describe("without a list", () => {
  let scene;
  before(async () => {
    scene = await openScene();
  });
  after(() => scene?.close());

  test("no origin gets leave", async () => {
    for (const origin of [CONSOLE, LOCAL, "null", "*"]) {
      assertNotAllowed(await scene.anonymous.get("/health", { headers: { origin } }));
      assertNotAllowed(
        await scene.anonymous.request("OPTIONS", "/v1/models", {
          headers: { origin, "access-control-request-method": "GET" },
        }),
      );
    }
  });
});
