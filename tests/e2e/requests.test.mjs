// Requests that are wrong: each gets its row of the error table, in the one form.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Connection } from "./caller.mjs";
import { assertFailure, openScene } from "./scene.mjs";
import { completion } from "./upstream.mjs";

const LIMIT = 2000;
const CHAT = "/v1/chat/completions";
const hello = [{ role: "user", content: "Hello" }];

let scene, caller;
before(async () => {
  scene = await openScene({ settings: { BODY_LIMIT_BYTES: String(LIMIT) } });
  caller = await scene.signIn();
});
after(() => scene?.close());

describe("a chat completion is refused with 400", () => {
  const bodies = {
    "that is empty": "",
    "that is not JSON": "{not json",
    "that ends too early": `{"model":"text-model","messages":[`,
    "with something after the object": `{"model":"text-model","messages":[]} x`,
    "that is not UTF-8": Buffer.concat([
      Buffer.from(`{"model":"text-model","messages":[{"role":"user","content":"`),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(`"}]}`),
    ]),
    "that is an array": "[]",
    "that is a string": `"hello"`,
    "that is null": "null",
  };
  for (const [title, body] of Object.entries(bodies)) {
    test(`for a body ${title}`, async () => {
      assertFailure(await caller.post(CHAT, body), 400, "bad_request");
    });
  }

  const fields = [
    ["model", { messages: hello }, "is missing"],
    ["model", { model: 7, messages: hello }, "is a number"],
    ["model", { model: null, messages: hello }, "is null"],
    ["model", { model: "", messages: hello }, "is empty"],
    ["messages", { model: "text-model" }, "is missing"],
    ["messages", { model: "text-model", messages: "hello" }, "is a string"],
    ["messages", { model: "text-model", messages: {} }, "is an object"],
    ["messages", { model: "text-model", messages: [] }, "is empty"],
    ["stream", { model: "text-model", messages: hello, stream: "yes" }, "is a string"],
    ["temperature", { model: "text-model", messages: hello, temperature: "warm" }, "is a string"],
    ["temperature", { model: "text-model", messages: hello, temperature: -0.01 }, "is just below 0"],
    ["temperature", { model: "text-model", messages: hello, temperature: 2.01 }, "is just above 2"],
    ["top_p", { model: "text-model", messages: hello, top_p: -0.01 }, "is just below 0"],
    ["top_p", { model: "text-model", messages: hello, top_p: 1.01 }, "is just above 1"],
    ["max_tokens", { model: "text-model", messages: hello, max_tokens: 0 }, "is 0"],
    ["max_tokens", { model: "text-model", messages: hello, max_tokens: 1.5 }, "is not whole"],
    ["max_tokens", { model: "text-model", messages: hello, max_tokens: "many" }, "is a string"],
    ["max_completion_tokens", { model: "text-model", messages: hello, max_completion_tokens: 0 }, "is 0"],
    ["model", `{"model":"text-model","model":"seeing-model","messages":[]}`, "is there twice"],
    ["tools", { model: "seeing-model", messages: hello, tools: "hammer" }, "is a string"],
  ];
  for (const [param, body, how] of fields) {
    test(`that names ${param} when it ${how}`, async () => {
      assert.equal(assertFailure(await caller.post(CHAT, body), 400, "bad_request").param, param);
    });
  }

  test("that points into messages when one of them is not an object or has no role", async () => {
    for (const message of ["hello", 7, null, {}, { content: "Hello" }, { role: 7, content: "Hello" }]) {
      const { param } = assertFailure(
        await caller.post(CHAT, { model: "text-model", messages: [...hello, message] }),
        400,
        "bad_request",
      );
      assert.match(param, /^messages(\.1|\[1\])/, JSON.stringify(message));
    }
  });
});

describe("a chat completion passes", () => {
  const edges = [
    { temperature: 0 },
    { temperature: 2 },
    { top_p: 0 },
    { top_p: 1 },
    { max_tokens: 1 },
    { temperature: null },
    { stream: false },
    { stream: null },
  ];
  for (const extra of edges) {
    test(`with ${JSON.stringify(extra)}`, async () => {
      const answer = caller.chat(extra);
      (await scene.upstream.next()).reply(completion());
      assert.equal((await answer).status, 200);
    });
  }
});

describe("a sign-in is refused with 400", () => {
  const bodies = [
    [null, "", "is empty"],
    [null, "{", "is not JSON"],
    [null, "[]", "is an array"],
    ["email", { password: "a password" }, "has no email"],
    ["password", { email: "ada@example.com" }, "has no password"],
    ["email", { email: 7, password: "a password" }, "has a number for an email"],
    ["password", { email: "ada@example.com", password: ["a"] }, "has a list for a password"],
  ];
  for (const [param, body, how] of bodies) {
    test(`when the body ${how}`, async () => {
      const failure = assertFailure(await scene.anonymous.post("/v1/auth/login", body), 400, "bad_request");
      if (param) assert.equal(failure.param, param);
    });
  }
});

describe("the model must be able to do what is asked", () => {
  const image = [
    {
      role: "user",
      content: [
        { type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
      ],
    },
  ];
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];
  for (const [title, extra] of [
    ["an image", { messages: image }],
    ["tools", { tools }],
    ["both", { messages: image, tools }],
  ]) {
    test(`${title}: 409 from a model that only reads`, async () => {
      const { message } = assertFailure(await caller.chat(extra), 409, "capability_not_supported");
      assert.match(message, /\/v1\/capabilities/);
    });
    test(`${title}: passed to a model that can`, async () => {
      const answer = caller.chat({ ...extra, model: "seeing-model" });
      (await scene.upstream.next()).reply(completion());
      assert.equal((await answer).status, 200);
    });
  }
  test("a list of text parts and an empty list of tools ask for nothing special", async () => {
    const answer = caller.chat({
      messages: [{ role: "user", content: [{ type: "text", text: "image_url, tools" }] }],
      tools: [],
    });
    (await scene.upstream.next()).reply(completion());
    assert.equal((await answer).status, 200);
  });
});

describe("what is not there is 404", () => {
  test("a model that no backend serves, listed or asked", async () => {
    assertFailure(await caller.get("/v1/models/nope"), 404, "model_not_found");
    assertFailure(await caller.get("/v1/models/no%2Fpe"), 404, "model_not_found");
    assertFailure(await caller.chat({ model: "nope" }), 404, "model_not_found");
  });
  for (const path of [
    "/",
    "/models",
    "/chat/completions",
    "/v2/models",
    "/v1",
    "/v1/",
    "/v1/nope",
    "/v1/chat",
    "/v1/chat/completions/x",
    "/health/x",
    "/../etc/passwd",
    "/%00",
    "/v1/api-tokens/x/y",
  ]) {
    test(`${path}, with a message that says how all routes start`, async () => {
      const { message } = assertFailure(await caller.get(path), 404, "not_found");
      assert.match(message, /\/v1\//);
    });
  }
});

test("a known path with another method is 405 and says which go", async () => {
  const rows = [
    ["GET", CHAT, ["POST"]],
    ["PUT", CHAT, ["POST"]],
    ["DELETE", "/v1/models", ["GET"]],
    ["POST", "/v1/models/text-model", ["GET"]],
    ["POST", "/health", ["GET", "HEAD"]],
    ["GET", "/v1/auth/login", ["POST"]],
    ["PATCH", "/v1/capabilities", ["GET"]],
    ["PUT", "/v1/api-tokens", ["GET", "POST"]],
    ["DELETE", "/v1/api-tokens/scopes", ["GET"]],
  ];
  for (const [method, path, allowed] of rows) {
    const answer = await caller.request(method, path);
    assertFailure(answer, 405, "method_not_allowed");
    const listed = answer.headers.get("allow").split(/\s*,\s*/);
    for (const one of allowed) assert.ok(listed.includes(one), `${path}: ${listed}`);
    assert.ok(!listed.includes(method), `${path}: ${listed}`);
  }
});

describe("the body limit", () => {
  const sized = (bytes) => {
    const frame = JSON.stringify({ model: "text-model", messages: [{ role: "user", content: "" }] });
    return frame.replace(`""`, `"${"x".repeat(bytes - frame.length)}"`);
  };
  const chunked = (text) =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });

  for (const [title, form] of [
    ["of declared length", (text) => text],
    ["of undeclared length", chunked],
  ]) {
    test(`lets a body ${title} of exactly the limit through`, async () => {
      const answer = caller.post(CHAT, form(sized(LIMIT)));
      const exchange = await scene.upstream.next();
      assert.equal(exchange.body.length, LIMIT);
      exchange.reply(completion());
      assert.equal((await answer).status, 200);
    });
    test(`refuses a body ${title} of one byte more`, async () => {
      assertFailure(await caller.post(CHAT, form(sized(LIMIT + 1))), 413, "request_too_large");
    });
  }
  test("holds for a sign-in too", async () => {
    assertFailure(
      await scene.anonymous.post("/v1/auth/login", { email: "ada@example.com", password: "x".repeat(LIMIT) }),
      413,
      "request_too_large",
    );
  });
  test("answers before the body has come when its length is declared", async () => {
    const connection = await Connection.open(scene.url, {
      method: "POST",
      path: CHAT,
      headers: {
        authorization: `Bearer ${caller.token}`,
        "content-type": "application/json",
        "content-length": String(10 * LIMIT),
      },
    });
    assert.equal((await connection.head()).status, 413);
    connection.leave();
  });
});

describe("where JSON is due", () => {
  const body = JSON.stringify({ model: "text-model", messages: hello });
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "text/json-not",
  ]) {
    test(`${type} is 415`, async () => {
      assertFailure(
        await caller.post(CHAT, body, { headers: { "content-type": type } }),
        415,
        "unsupported_media_type",
      );
    });
  }
  test("no type at all is taken for JSON", async () => {
    const headers = { authorization: `Bearer ${caller.token}` };
    const connection = await Connection.open(scene.url, { method: "POST", path: CHAT, headers, body });
    (await scene.upstream.next()).reply(completion());
    assert.equal((await connection.head()).status, 200);
    connection.leave();
  });
  test("a compressed body is 415", async () => {
    const answer = await caller.post(CHAT, gzipSync(body), { headers: { "content-encoding": "gzip" } });
    assertFailure(answer, 415, "unsupported_media_type");
  });
  for (const type of [
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/json;charset=UTF-8",
  ]) {
    test(`${type} is JSON`, async () => {
      const answer = caller.post(CHAT, body, { headers: { "content-type": type } });
      (await scene.upstream.next()).reply(completion());
      assert.equal((await answer).status, 200);
    });
  }
});

test("no path and no method gives anything but JSON, and never a server error", async () => {
  const paths = [
    "/",
    "/health",
    "/v1/auth/login",
    "/v1/models",
    "/v1/models/text-model",
    CHAT,
    "/v1/capabilities",
    "/v1/api-tokens",
    "/v1/api-tokens/scopes",
    "/v1/api-tokens/nope",
    "/v1/nope",
    "/nope",
    "/index.html",
    "/v1/models/%",
    "/v1/models/%ff",
    "/v1//models",
    `/v1/models/${"x".repeat(3000)}`,
  ];
  for (const path of paths) {
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      for (const who of [caller, scene.anonymous]) {
        const what = `${method} ${path.slice(0, 60)}${who === caller ? "" : " without a token"}`;
        const answer = await who.request(
          method,
          path,
          ["GET", "DELETE", "OPTIONS"].includes(method) ? {} : { body: {} },
        );
        assert.ok(answer.status < 500, `${what}: ${answer.status} ${answer.text}`);
        assert.ok(answer.headers.get("x-request-id"), `${what}: x-request-id`);
        if (answer.text.length > 0)
          assert.match(answer.headers.get("content-type") ?? "", /^application\/json/, what);
        if (answer.status >= 400) assertFailure(answer, answer.status, answer.json?.error?.code);
      }
    }
    const head = await caller.request("HEAD", path);
    assert.ok(head.status < 500, `HEAD ${path}: ${head.status}`);
    assert.match(head.headers.get("content-type") ?? "", /^application\/json/, `HEAD ${path}`);
  }
});

describe("HEADER_LIMIT_BYTES=2048", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { HEADER_LIMIT_BYTES: "2048" } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  /** A request whose headers have so many bytes, names and values together. */
  const sized = async (bytes) => {
    const headers = { authorization: `Bearer ${caller.token}`, "x-padding": "" };
    const own = { host: new URL(scene.url).host, ...headers };
    const used = Object.entries(own).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    headers["x-padding"] = "p".repeat(bytes - used);
    const connection = await Connection.open(scene.url, { path: "/v1/auth/me", headers });
    const { status, headers: answered } = await connection.head();
    const text = (await connection.whole()).toString();
    return { status, headers: answered, text, json: JSON.parse(text) };
  };

  test("lets headers of exactly the limit through", async () => {
    assert.equal((await sized(2048)).status, 200);
  });
  test("refuses headers of one byte more, without looking at the rest", async () => {
    assertFailure(await sized(2049), 431, "headers_too_large");
  });
});

describe("NESTING_LIMIT=10", () => {
  let scene, caller;
  before(async () => {
    scene = await openScene({ settings: { NESTING_LIMIT: "10" } });
    caller = await scene.signIn();
  });
  after(() => scene?.close());

  /** A body of so many levels: itself, and a schema in it. */
  const nested = (levels) => {
    let schema = {};
    for (let level = 2; level < levels; level += 1) schema = { a: schema };
    return { model: "text-model", messages: [{ role: "user", content: "{[{[" }], schema };
  };

  test("lets a body of exactly so many levels through", async () => {
    const answer = caller.post(CHAT, nested(10));
    (await scene.upstream.next()).reply(completion());
    assert.equal((await answer).status, 200);
  });
  test("refuses one of one level more before any backend is asked", async () => {
    assertFailure(await caller.post(CHAT, nested(11)), 400, "bad_request");
  });
});

test("a body nested a hundred thousand levels deep is refused, and the next request is served", async () => {
  const scene = await openScene();
  const caller = await scene.signIn();
  const deep = `{"model":"text-model","messages":[{"role":"user","content":"a"}],"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  assertFailure(await caller.post(CHAT, deep), 400, "bad_request");
  assert.equal((await caller.get("/v1/models")).status, 200);
  await scene.close();
});
