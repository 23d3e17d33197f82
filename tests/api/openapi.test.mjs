// openapi.json: what the edge serves is what is in the repository, valid, and true: schemathesis makes requests of it,
// right ones and wrong ones, and no answer may be a server error, of an undocumented status or shape.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openScene } from "../e2e/scene.mjs";
import { completion, DONE, event, startUpstream } from "../e2e/upstream.mjs";

const EXAMPLES = Number(process.env.EXAMPLES || 8);
const SERVICE_TOKEN = "service-token-of-the-openapi-suite-0123456789";
const file = fileURLToPath(new URL("../../worker/openapi.json", import.meta.url));
const schemathesis = process.env.COMIND_SCHEMATHESIS;
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "unsupported_method",
  "allow_header_conformance",
  "ignored_auth",
];

let scene, upstream, folder, session, personal;
before(async () => {
  assert.ok(schemathesis, "COMIND_SCHEMATHESIS is set by scripts/env.sh: run this by `make api-test`");
  folder = await mkdtemp(join(tmpdir(), "openapi-"));
  upstream = await startUpstream({ kind: "openai", models: ["m"] });
  const capabilities = {
    chat: true,
    completions: true,
    embeddings: true,
    streaming: true,
    tool_calling: true,
    vision: true,
  };
  scene = await openScene({
    backends: [{ id: "b", provider: "openai", url: upstream.url, models: { m: { capabilities } } }],
    settings: {
      SERVICE_TOKEN,
      REGISTRATION: "open",
      MAIL_URL: "log:",
      PUBLIC_RATE_LIMIT_RPM: "0",
      PASSWORD_RATE_LIMIT_RPM: "1000000",
      LOGIN_FREE_FAILURES: "1000",
      MAX_API_TOKENS: "1000",
      REQUEST_LOG: "errors",
      RATE_LIMIT_RPM: "0",
    },
  });
  upstream.always((exchange) => {
    if (exchange.path === "/v1/embeddings") {
      const data = [{ object: "embedding", index: 0, embedding: [0.5] }];
      return exchange.reply({
        object: "list",
        model: "m",
        data,
        usage: { prompt_tokens: 1, total_tokens: 1 },
      });
    }
    if (exchange.json?.stream) {
      exchange.sendHead();
      return exchange.end(event({ content: "a" }) + event({}, "stop") + DONE);
    }
    if (exchange.path === "/v1/completions") {
      const choices = [{ index: 0, text: "a", finish_reason: "stop", logprobs: null }];
      return exchange.reply({ id: "c", object: "text_completion", created: 1, model: "m", choices });
    }
    return exchange.reply(completion());
  });
  const operator = scene.anonymous.as(scene.conceal(SERVICE_TOKEN));
  const admin = { email: "auditor@example.com", password: scene.secret("a password") };
  await operator.post("/v1/auth/admin/users", { ...admin, privileges: ["admin", "auditView"] });
  const { json } = await scene.anonymous.post("/v1/auth/login", admin);
  session = scene.conceal(json.access_token);
  scene.conceal(json.refresh_token);
  const { scopes } = (await scene.anonymous.as(session).get("/v1/api-tokens/scopes")).json;
  personal = (await scene.makeToken(scene.anonymous.as(session), scopes)).token;
});
after(async () => {
  await scene?.close();
  await upstream?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

test("the edge serves the document that is in the repository", async () => {
  const { status, headers, text } = await scene.anonymous.get("/openapi.json");
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^application\/json/);
  assert.equal(text, await readFile(file, "utf8"));
});

test("which is valid OpenAPI 3.1", async () => {
  const { code, output } = await run(join(dirname(schemathesis), "openapi-spec-validator"), [file]);
  assert.equal(code, 0, output);
  assert.match(output, /OK/);
});

for (const [name, token, operations] of [
  // Who may change everything must not change what the others sign in with.
  ["nobody", undefined, ["--exclude-path", "/v1/auth/logout"]],
  ["a session", () => session, ["--exclude-tag", "operator", "--exclude-path", "/v1/auth/logout"]],
  [
    "a personal access token",
    () => personal,
    ["--exclude-tag", "operator", "--exclude-path", "/v1/auth/logout"],
  ],
  ["the operator", () => SERVICE_TOKEN, ["--include-tag", "operator"]],
])
  test(`and true, as ${name} sees it`, { timeout: 300_000 }, async (t) => {
    const { code, output } = await run(
      schemathesis,
      [
        "run",
        `${scene.url}/openapi.json`,
        ...[
          "--checks",
          CHECKS.join(),
          "--phases",
          "examples,coverage,fuzzing",
          "--max-examples",
          `${EXAMPLES}`,
        ],
        ...[
          "--seed",
          "1",
          "--generation-database",
          "none",
          "--no-color",
          "--continue-on-failure",
          "--warnings",
          "off",
        ],
        ...(token ? ["--header", `Authorization: Bearer ${token()}`] : []),
        ...operations,
      ],
      { cwd: folder },
    );
    const cases = /(\d+) generated/.exec(output)?.[1];
    t.diagnostic(`${cases} requests`);
    assert.equal(code, 0, output.replaceAll(session, "…").slice(-12_000));
    assert.ok(Number(cases) > 50, output.slice(-2000));
  });

function run(command, args, options) {
  return new Promise((resolve) => {
    execFile(command, args, { maxBuffer: 64 << 20, ...options }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, output: stdout + stderr }),
    );
  });
}
