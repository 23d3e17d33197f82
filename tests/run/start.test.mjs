// `make run` without make: what it prints, what it keeps, how it ends. Backends are not needed for that.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "../port.mjs";

const script = fileURLToPath(new URL("../../scripts/run.mjs", import.meta.url));
const BACKENDS = '[{"id":"a","provider":"vllm","url":"http://127.0.0.1:9","api_key":"A_KEY"}]';

let dataDir, started;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "run-"));
  started = [];
});
afterEach(async () => {
  for (const run of started) {
    run.child.kill("SIGTERM");
    await run.exited;
  }
  await rm(dataDir, { recursive: true, force: true });
});

/** Starts it; `output()` is all it printed, `ready` resolves with the three lines, `exited` with the code. */
function start(env) {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, BACKENDS, A_KEY: "k", DATA_DIR: dataDir, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const exited = once(child, "close").then(([code]) => code);
  const ready = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        const match = /^ready (\S+)\nuser {2}(\S+)\npassword (\S+)\n$/m.exec(output);
        if (match) resolve({ url: match[1], user: match[2], password: match[3] });
      });
    }
    exited.then((code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
  ready.catch(() => {}); // Those who expect an end do not wait for it.
  const run = { child, exited, ready, output: () => output };
  started.push(run);
  return run;
}

/** Whether it ends with a failure that says this, and nothing of a stack. */
async function fails(run, sentence) {
  assert.equal(await run.exited, 1);
  assert.match(run.output(), sentence);
  assert.doesNotMatch(run.output(), /^ {4}at /m);
}

test("the secrets that it makes are kept, and are nobody else's to read", async () => {
  const PORT = await freePort();
  const first = start({ PORT });
  const { url, user, password } = await first.ready;
  assert.equal(url, `http://127.0.0.1:${PORT}`);
  assert.equal(user, "admin@example.com");
  const body = JSON.stringify({ email: user, password });
  const headers = { "content-type": "application/json" };
  assert.equal((await fetch(`${url}/v1/auth/login`, { method: "POST", headers, body })).status, 200);
  for (const name of await readdir(dataDir)) {
    if (!["jwt-secret", "admin-password", "workerd.capnp"].includes(name)) continue;
    assert.equal((await stat(join(dataDir, name))).mode & 0o777, 0o600, name);
  }
  assert.doesNotMatch(await readFile(join(dataDir, "workerd.capnp"), "utf8"), new RegExp(password));
  first.child.kill("SIGTERM");
  assert.equal(await first.exited, 0);

  assert.equal((await start({ PORT }).ready).password, password);
});

test("given values are used and printed", async () => {
  const given = {
    PORT: await freePort(),
    ADMIN_EMAIL: "ada@example.com",
    ADMIN_PASSWORD: "a password of her own",
  };
  const run = start({ ...given, ADMIN_PASSWORD: given.ADMIN_PASSWORD.replaceAll(" ", "-") });
  const { user, password } = await run.ready;
  assert.deepEqual([user, password], ["ada@example.com", "a-password-of-her-own"]);
});

test("a port in use is one sentence", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const PORT = String(server.address().port);
  await fails(start({ PORT }), new RegExp(`^Port ${PORT} is in use: choose another one with PORT=….\n$`));
  server.close();
});

test("a port that is none is one sentence", async () => {
  for (const PORT of ["0", "65536", "http"])
    await fails(start({ PORT }), /^PORT must be a number from 1 to 65535/);
});

test("a bad setting is one sentence that names it", async () => {
  await fails(start({ PORT: await freePort(), HEARTBEAT_MS: "soon" }), /^HEARTBEAT_MS must be .*$/m);
});

test("a second one on the same data is refused", async () => {
  const first = start({ PORT: await freePort() });
  await first.ready;
  await fails(start({ PORT: await freePort() }), /^Another edge \(process \d+\) already runs on /m);
});

test("when a part dies, the rest is stopped and it says so", async () => {
  const run = start({ PORT: await freePort() });
  await run.ready;
  process.kill(Number(await readFile(join(dataDir, "edge.pid"), "utf8")), "SIGKILL");
  await fails(run, /^The edge ended by itself \(SIGKILL\): stopping the rest\.$/m);
});

test("SIGTERM and SIGINT end the edge with it", async () => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    const run = start({ PORT: await freePort() });
    const { url } = await run.ready;
    run.child.kill(signal);
    assert.equal(await run.exited, 0);
    await assert.rejects(fetch(`${url}/health`));
  }
});
