// `wrangler dev` on worker/wrangler.toml: the same worker, as Cloudflare's own tools run it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Caller } from "../e2e/caller.mjs";
import { completion, startUpstream } from "../e2e/upstream.mjs";
import { eventually } from "../e2e/within.mjs";
import { freePort } from "../port.mjs";

const worker = fileURLToPath(new URL("../../worker", import.meta.url));
const PASSWORD = "a password of an operator";

test("wrangler dev: signs in, chats, serves the console", async () => {
  const upstream = await startUpstream({ kind: "vllm", models: ["m"] });
  upstream.always((exchange) => exchange.reply(completion()));
  const folder = await mkdtemp(join(tmpdir(), "dev-"));
  const port = await freePort();
  const settings = {
    JWT_SECRET: "a secret of at least thirty-two bytes",
    ADMIN_PASSWORD: PASSWORD,
    BACKENDS: JSON.stringify([{ id: "a", provider: "vllm", url: upstream.url }]),
  };
  const child = spawn(
    "wrangler",
    [
      ...["dev", "--ip", "127.0.0.1", "--port", `${port}`, "--inspector-port", `${await freePort()}`],
      ...["--persist-to", folder, "--show-interactive-dev-session=false"],
      ...Object.entries(settings).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
    ],
    { cwd: worker, detached: true, env: { ...process.env, CI: "true" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (log += text));
  try {
    const caller = new Caller(`http://127.0.0.1:${port}`);
    const isUp = async () =>
      child.exitCode !== null || (await caller.get("/health").catch(() => ({}))).status === 200;
    await eventually(90_000, isUp, "wrangler dev answers");
    assert.equal(child.exitCode, null, log);
    const login = await caller.post("/v1/auth/login", { email: "admin@example.com", password: PASSWORD });
    assert.equal(login.status, 200, login.text);
    const chat = await caller.as(login.json.access_token).chat({ model: "m" });
    assert.equal(chat.status, 200, chat.text);
    assert.match((await caller.get("/")).headers.get("content-type"), /^text\/html/);
    assert.ok(!log.includes(PASSWORD));
  } finally {
    process.kill(-child.pid, "SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  }
});
