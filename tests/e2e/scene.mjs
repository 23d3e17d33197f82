// One edge, its backends and somebody signed in: what every suite starts from.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startEdge } from "../../scripts/edge.mjs";
import { Caller } from "./caller.mjs";
import { startUpstream } from "./upstream.mjs";

export const EMAIL = "ada@example.com";

/** The models of the default backend: one that only reads, one that sees and uses tools. */
const STATED = {
  "text-model": { capabilities: { chat: true, streaming: true, vision: false, tool_calling: false } },
  "seeing-model": { capabilities: { chat: true, streaming: true, vision: true, tool_calling: true } },
  "Qwen/Qwen2.5-32B-Instruct": {
    capabilities: { chat: true, streaming: true, vision: false, tool_calling: false },
  },
};

const secret = (name) => `${name}-${randomBytes(18).toString("base64url")}`;

/**
 * Starts an edge in a folder of its own.
 *
 * `settings` are added to, and win over, the ones every suite has. `backends` replaces the one scripted backend;
 * each is an entry of `BACKENDS`. Other options are `startEdge`'s own. `discovery` is how that backend answers questions about itself.
 */
export async function openScene({
  settings = {},
  backends,
  kind = "openai",
  capabilities = [],
  console = false,
  ...options
} = {}) {
  const scene = new Scene(await startUpstream({ kind, models: Object.keys(STATED), capabilities }));
  scene.console = console;
  scene.options = options;
  scene.settings = {
    BACKENDS: JSON.stringify(
      backends ?? [
        { id: "main", provider: kind, url: scene.upstream.url, api_key: "MAIN_KEY", models: STATED },
      ],
    ),
    MAIN_KEY: scene.secret("sk-backend"),
    JWT_SECRET: scene.secret("jwt-secret-of-this-suite"),
    ADMIN_EMAIL: EMAIL,
    ADMIN_PASSWORD: scene.secret("correct horse"),
    RATE_LIMIT_RPM: "0",
    RATE_LIMIT_TPM: "0",
    ...settings,
  };
  scene.dataDir = await mkdtemp(join(tmpdir(), "edge-"));
  try {
    await scene.start();
  } catch (failure) {
    await scene.abandon();
    throw failure;
  }
  return scene;
}

class Scene {
  #logs = [];
  #secrets = [];

  constructor(upstream) {
    this.upstream = upstream;
  }

  /** A fresh secret that must never show up in the edge's log. */
  secret(name) {
    return this.conceal(secret(name));
  }

  /** From now on this must never show up in the edge's log. */
  conceal(text) {
    this.#secrets.push(text);
    return text;
  }

  /** Starts the edge, with some settings changed. */
  async start(changes = {}) {
    this.settings = { ...this.settings, ...changes };
    const { settings, dataDir, console, options } = this;
    this.edge = await startEdge({ settings, dataDir, console, ...options });
    this.url = this.edge.url;
    this.anonymous = new Caller(this.url);
  }

  /** Stops the edge in an orderly way, or as a power failure would. */
  async stop({ abruptly = false } = {}) {
    this.#logs.push(this.edge.log());
    const { edge } = this;
    this.edge = null;
    await (abruptly ? edge.kill() : edge.stop());
    this.#logs.push(edge.log());
  }

  /** Signs in and gives a caller with the access token; the whole answer is in `login`. */
  async signIn(password = this.settings.ADMIN_PASSWORD) {
    const answer = await this.anonymous.post("/v1/auth/login", {
      email: this.settings.ADMIN_EMAIL,
      password,
    });
    assert.equal(answer.status, 200, answer.text);
    this.login = answer.json;
    this.conceal(this.login.access_token);
    this.conceal(this.login.refresh_token);
    return new Caller(this.url, this.login.access_token);
  }

  /** Makes a personal access token and gives a caller with it; its id is in `id`. */
  async makeToken(caller, scopes, name = secret("token")) {
    const answer = await caller.post("/v1/api-tokens", { name, scopes });
    assert.equal(answer.status, 201, answer.text);
    this.conceal(answer.json.token);
    return Object.assign(caller.as(answer.json.token), { id: answer.json.id });
  }

  /** Stops everything, and checks what holds for every suite. */
  async close() {
    if (this.edge) await this.stop();
    const { unmatched, unclaimed } = this.upstream;
    await this.abandon();
    assert.deepEqual(unmatched, [], "requests that no backend of this kind knows");
    assert.deepEqual(unclaimed, [], "requests that no test expected");
    const log = this.#logs.join("\n");
    for (const hidden of this.#secrets) assert.ok(!log.includes(hidden), `the log shows ${hidden}`);
  }

  /** Stops everything, without looking. */
  async abandon() {
    if (this.edge) await this.edge.kill();
    await this.upstream.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** That an answer is a failure in the one documented form; gives the inside of it. */
export function assertFailure(answer, status, code, type) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json\b/);
  assert.ok(answer.headers.get("x-request-id"), "x-request-id");
  assert.deepEqual(Object.keys(answer.json), ["error"]);
  const wait = answer.headers.get("retry-after");
  const retry = answer.headers.get("x-should-retry");
  assert.ok(
    (wait === null) === (retry === "false"),
    `when to try again, or that it is no use: ${wait}, ${retry}`,
  );
  const { error } = answer.json;
  for (const member of ["message", "type", "code", "param"])
    assert.ok(member in error, `${member} in ${answer.text}`);
  assert.equal(typeof error.message, "string");
  assert.ok(error.message.length > 0, "a message");
  assert.equal(error.code, code, answer.text);
  assert.equal(error.type, type ?? TYPES[status] ?? "invalid_request_error");
  assert.doesNotMatch(
    answer.text,
    /panicked|wasm-function|\.rs:\d|\.js:\d|\n\s+at /,
    "no trace of the inside",
  );
  return error;
}

const TYPES = {
  401: "permission_error",
  403: "permission_error",
  429: "rate_limit_error",
  500: "server_error",
  502: "server_error",
  503: "server_error",
  504: "server_error",
};
