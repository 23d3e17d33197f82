// Every way in which one side can fail, in every phase of a request: what the caller gets, what the backend
// sees, and what is charged. One row a cell.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertFailure, openScene } from "./scene.mjs";
import { completion, DONE, event, startUpstream } from "./upstream.mjs";
import { eventually, within } from "./within.mjs";

const SERVICE = "service-token-of-this-suite-1234567890";
const PASSWORD = "a password of twelve";
const TOKENS = 60_000;
/** What the length of a request reserves, about; what comes back by itself in the second that a cell takes is less. */
const RESERVED = 30_000;
const USED = 9000;
const usage = { prompt_tokens: USED - 10, completion_tokens: 10, total_tokens: USED };
const JSON_HEAD = { "content-type": "application/json" };
const usageEvent = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;
const whole = JSON.stringify(completion("Paris", { usage }));

/** What has been sent when the failure comes, by phase. */
const SENT = {
  stream: {
    "before the head": null,
    "after the head": "",
    "in the middle": event({ content: "Pa" }),
    "inside an event": event({ content: "Pa" }) + event({ content: "ris" }).slice(0, 40),
    "at the end": event({ content: "Paris" }, "stop") + usageEvent,
  },
  plain: {
    "before the head": null,
    "after the head": "",
    "in the middle": whole.slice(0, 40),
    "at the end": whole.slice(0, -1),
  },
};

/** What the backend does, or the caller. */
const FAILURES = {
  "the backend closes": (exchange) => exchange.fin(),
  "the backend resets": (exchange) => exchange.drop(),
  "the backend is silent": () => {},
  "the backend reports an error": (exchange, { stream, sent }) => {
    const error = { error: { message: "secret path /srv", code: 500 } };
    if (sent === null) exchange.reply(error, 500);
    else exchange.end(stream ? `data: ${JSON.stringify(error)}\n\n` : "");
  },
  "the caller closes": (_, { connection }) => connection.leave(),
  "the caller resets": (_, { connection }) => connection.reset(),
};

// status, code of the failure (`whole`: the answer is whole; `-`: nobody is there to get one), and the charge:
// nothing, the usage the backend told, or the estimate (the length of the request, and the events).
const TABLE = `
stream | before connect  | nobody listens               | 503 no_backend_available | nothing
stream | before the head | the backend closes           | 502 upstream_error       | nothing
stream | before the head | the backend resets           | 502 upstream_error       | nothing
stream | before the head | the backend is silent        | 200 upstream_timeout     | nothing
stream | before the head | the backend reports an error | 502 upstream_error       | nothing
stream | before the head | the caller closes            | -                        | nothing
stream | before the head | the caller resets            | -                        | nothing
stream | after the head  | the backend closes           | 502 upstream_error       | nothing
stream | after the head  | the backend resets           | 502 upstream_error       | nothing
stream | after the head  | the backend is silent        | 200 upstream_timeout     | nothing
stream | after the head  | the backend reports an error | 200 upstream_error       | nothing 
stream | after the head  | the caller closes            | -                        | nothing
stream | after the head  | the caller resets            | -                        | nothing
stream | in the middle   | the backend closes           | 200 upstream_error       | estimate
stream | in the middle   | the backend resets           | 200 upstream_error       | estimate
stream | in the middle   | the backend is silent        | 200 upstream_timeout     | estimate
stream | in the middle   | the backend reports an error | 200 upstream_error       | estimate
stream | in the middle   | the caller closes            | -                        | estimate
stream | in the middle   | the caller resets            | -                        | estimate
stream | inside an event | the backend closes           | 200 upstream_error       | estimate
stream | inside an event | the backend resets           | 200 upstream_error       | estimate
stream | inside an event | the backend is silent        | 200 upstream_timeout     | estimate
stream | inside an event | the caller closes            | -                        | estimate
stream | inside an event | the caller resets            | -                        | estimate
stream | at the end      | the backend closes           | 200 whole                | usage
stream | at the end      | the backend resets           | 200 whole                | usage
stream | at the end      | the backend is silent        | 200 whole                | usage
stream | at the end      | the backend reports an error | 200 upstream_error       | usage
stream | at the end      | the caller closes            | -                        | usage
stream | at the end      | the caller resets            | -                        | usage
plain  | before connect  | nobody listens               | 503 no_backend_available | nothing
plain  | before the head | the backend closes           | 502 upstream_error       | nothing
plain  | before the head | the backend resets           | 502 upstream_error       | nothing
plain  | before the head | the backend is silent        | 504 upstream_timeout     | nothing
plain  | before the head | the backend reports an error | 502 upstream_error       | nothing
plain  | before the head | the caller resets            | -                        | nothing
plain  | after the head  | the backend closes           | 502 upstream_error       | nothing
plain  | after the head  | the backend resets           | 502 upstream_error       | nothing
plain  | after the head  | the backend is silent        | 504 upstream_timeout     | nothing
plain  | after the head  | the caller resets            | -                        | nothing
plain  | in the middle   | the backend closes           | 502 upstream_error       | nothing
plain  | in the middle   | the backend resets           | 502 upstream_error       | nothing
plain  | in the middle   | the backend is silent        | 504 upstream_timeout     | nothing
plain  | in the middle   | the caller resets            | -                        | nothing
plain  | at the end      | the backend closes           | 502 upstream_error       | nothing
plain  | at the end      | the backend resets           | 502 upstream_error       | nothing
plain  | at the end      | the backend is silent        | 504 upstream_timeout     | nothing
plain  | at the end      | the caller resets            | -                        | nothing
`;

const CELLS = TABLE.trim()
  .split("\n")
  .map((line) => line.split("|").map((text) => text.trim()))
  .map(([mode, phase, failure, answer, charge]) => {
    const [status, code] = answer === "-" ? [] : answer.split(" ");
    return { mode, phase, failure, status: Number(status), code, charge };
  });

let scene, upstream, gone, operator;
const expected = new Map();
before(async () => {
  [upstream, gone] = await Promise.all([
    startUpstream({ models: ["m"] }),
    startUpstream({ models: ["gone"] }),
  ]);
  upstream.always((exchange) => expected.get(exchange.json.user)?.(exchange));
  const models = (name) => ({ [name]: { capabilities: { chat: true, streaming: true } } });
  scene = await openScene({
    settings: {
      SERVICE_TOKEN: SERVICE,
      RATE_LIMIT_TPM: String(TOKENS),
      ADMISSION_LEASE_MS: "0",
      BREAKER_FAILURES: "0",
      BACKEND_ATTEMPTS: "1",
      // What fails at once must be told long before the first heartbeat, on a busy machine too.
      HEARTBEAT_MS: "700",
      CONNECT_TIMEOUT_MS: "700",
      FIRST_BYTE_TIMEOUT_MS: "1500",
      STALL_TIMEOUT_MS: "1500",
      CATALOG_TTL_MS: "600000",
      PUBLIC_RATE_LIMIT_RPM: "0",
    },
    backends: [
      { id: "b", provider: "openai", url: upstream.url, models: models("m") },
      { id: "gone", provider: "openai", url: gone.url, models: models("gone") },
    ],
  });
  operator = scene.anonymous.as(SERVICE);
  // The edge has seen both.
  const caller = await scene.signIn();
  assert.equal((await caller.get("/v1/models")).json.data.length, 2);
  await gone.close();
});
after(async () => {
  await scene?.close();
  await upstream?.close();
});

async function newCaller(name) {
  const email = `${name}@example.com`;
  const made = await operator.post("/v1/auth/admin/users", { email, password: PASSWORD });
  assert.equal(made.status, 201, made.text);
  const { json } = await scene.anonymous.post("/v1/auth/login", { email, password: PASSWORD });
  return scene.anonymous.as(json.access_token);
}

async function check({ mode, phase, failure, status, code, charge }, name) {
  const stream = mode === "stream";
  const caller = await newCaller(name);
  const spent = async () => {
    const left = (await caller.get("/v1/models")).headers.get("x-ratelimit-remaining-tokens");
    return TOKENS - Number(left);
  };
  const model = phase === "before connect" ? "gone" : "m";
  const content = "a".repeat(RESERVED * 4);
  const arrival = new Promise((resolve) => expected.set(name, resolve));
  const connection = await caller.connect("/v1/chat/completions", {
    model,
    user: name,
    messages: [{ role: "user", content }],
    stream,
  });
  let exchange;
  if (model === "m") {
    exchange = await within(10_000, arrival, "the backend has it");
    const sent = SENT[mode][phase];
    if (sent !== null) {
      const length = { "content-length": String(Buffer.byteLength(whole)) };
      exchange.sendHead(200, stream ? undefined : { ...JSON_HEAD, ...length });
      if (sent) await exchange.send(sent);
    }
    // So that it is in this phase for both sides when it happens.
    if (stream && sent) await connection.until("data:");
    else await new Promise((resolve) => setTimeout(resolve, 50));
    FAILURES[failure](exchange, { stream, sent, connection });
  }

  if (code === undefined) {
    await within(1500, exchange.closed, "the backend's connection is closed");
    // Three heartbeats later the next inference request, anybody's, settles it.
    await new Promise((resolve) => setTimeout(resolve, 3200));
    await caller.chat({ model: "gone" });
  } else {
    const head = await connection.head();
    assert.equal(head.status, status);
    const text = (await connection.whole()).toString();
    assert.ok(!text.includes("secret"), "nothing of the backend's inside");
    if (status === 200) {
      if (code === "whole") assert.ok(text.endsWith(DONE) && text.includes("Paris"), text);
      else {
        assert.ok(!text.includes("[DONE]"), "a cut answer must not look whole");
        const last = /\ndata: ([^\n]*)\n\n$/.exec(`\n${text}`)[1];
        assert.equal(JSON.parse(last).error.code, code);
        assert.equal(text.match(/"error":/g).length, 1);
        for (const block of text.split("\n\n").filter(Boolean)) assert.match(block, /^(data: \{.*\}|: .*)$/);
      }
    } else {
      const answer = { status, headers: head.headers, text, json: JSON.parse(text) };
      assertFailure(answer, status, code);
    }
    if (exchange) await within(4000, exchange.closed, "the backend's connection is closed");
  }

  const [low, high] = {
    nothing: [0, 0],
    usage: [USED - 6000, USED],
    estimate: [USED + 1000, RESERVED + 200],
  }[charge];
  // What the minute gives back meanwhile makes it less, never more.
  await eventually(
    4000,
    async () => {
      const tokens = await spent();
      return tokens >= low && tokens <= high;
    },
    `${charge} is charged`,
  );
}

describe("each failure in each phase", { concurrency: 6 }, () => {
  for (const [at, cell] of CELLS.entries())
    test(`${cell.mode}, ${cell.phase}, ${cell.failure}: ${cell.status || "nobody to tell"} ${cell.code ?? ""}, ${cell.charge}`, () =>
      check(cell, `cell${at}`));
});

test("the table has every cell", () => {
  assert.equal(CELLS.length, 48);
  for (const mode of Object.keys(SENT)) {
    for (const phase of Object.keys(SENT[mode])) {
      for (const failure of Object.keys(FAILURES)) {
        const isThere = CELLS.some((it) => it.mode === mode && it.phase === phase && it.failure === failure);
        const reason =
          // The runtime does not tell of an orderly close before a plain answer is there.
          (mode === "plain" && failure === "the caller closes") ||
          // Nothing can be reported inside an event, or an answer that is no stream.
          (failure === "the backend reports an error" &&
            (phase === "inside an event" || (mode === "plain" && phase !== "before the head")));
        assert.ok(isThere !== reason, `${mode}, ${phase}, ${failure}`);
      }
    }
  }
});
