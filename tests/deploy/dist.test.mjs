// The archive that `make dist` makes, as an operator uses it: unpacked, on a machine without Node, started, upgraded,
// taken back, backed up while it runs and put back elsewhere.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { SETTINGS } from "../../scripts/settings.mjs";
import { Caller } from "../e2e/caller.mjs";
import { completion, startUpstream } from "../e2e/upstream.mjs";
import { eventually } from "../e2e/within.mjs";
import { freePort } from "../port.mjs";

const dist = fileURLToPath(new URL("../../target/dist", import.meta.url));
const run = promisify(execFile);
const PASSWORD = "a password of an operator";
const EMAIL = "admin@example.com";
/** No Node, no Rust, no Python: what Debian itself has. */
const PATH = "/usr/bin:/bin";

let folder, archive, upstream, port;
const started = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "dist-"));
  const archives = (await readdir(dist)).filter((name) => name.endsWith(".tar.gz"));
  assert.equal(archives.length, 1, "one archive: make dist");
  archive = join(dist, archives[0]);
  upstream = await startUpstream({ kind: "vllm", models: ["m"] });
  upstream.always((exchange) => exchange.reply(completion()));
  port = await freePort();
});
after(async () => {
  for (const child of started) child.kill("SIGKILL");
  await upstream?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Unpacks the archive into a folder of this name; gives its path. */
async function unpack(name) {
  const place = join(folder, name);
  await run("bash", ["-c", 'mkdir "$1" && tar -xzf "$2" -C "$1" --strip-components=1', "-", place, archive]);
  return place;
}

const environment = (data) => ({
  PATH,
  LISTEN: `127.0.0.1:${port}`,
  DATA_DIR: data,
  ADMIN_EMAIL: EMAIL,
  ADMIN_PASSWORD: PASSWORD,
  GPU_KEY: "sk-the-backends-key",
  BACKENDS: JSON.stringify([{ id: "gpu-a", provider: "vllm", url: upstream.url, api_key: "GPU_KEY" }]),
});

/** Runs the launcher; `stop()` waits for the end. */
async function serve(program, data, changes = {}) {
  const env = { ...environment(data), ...changes };
  const child = spawn(join(program, "comind-edge"), ["serve"], {
    env,
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (log += text));
  const exited = once(child, "close").then(([code, signal]) => signal ?? code);
  const isUp = () =>
    run(join(program, "comind-edge"), ["health"], { env }).then(
      () => true,
      () => child.exitCode !== null,
    );
  await eventually(15_000, isUp, `the edge is up: ${log}`);
  const stop = () => (child.kill("SIGTERM"), exited);
  return { child, exited, stop, log: () => log, caller: new Caller(`http://127.0.0.1:${port}`) };
}

const launcher = (program, data, ...args) =>
  run(join(program, "comind-edge"), args, { env: environment(data) }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
  );

async function signIn(caller) {
  const answer = await caller.post("/v1/auth/login", { email: EMAIL, password: PASSWORD });
  assert.equal(answer.status, 200, answer.text);
  return caller.as(answer.json.access_token);
}

const isGood = async (caller, token) => (await caller.as(token).get("/v1/models")).status === 200;

test("the archive's checksum is right, and it holds no secret and no path of where it was made", async () => {
  await run("sha256sum", ["--check", "--quiet", `${archive}.sha256`], { cwd: dist });
  const place = await unpack("looked-at");
  const config = await readFile(join(place, "workerd.capnp"), "utf8");
  for (const name of SETTINGS) assert.ok(config.includes(`"${name}"`), name);
  assert.ok(!config.includes(fileURLToPath(new URL("../..", import.meta.url))), "a path of this machine");
  const { components, bomFormat } = JSON.parse(await readFile(join(place, "sbom.cdx.json"), "utf8"));
  assert.equal(bomFormat, "CycloneDX");
  for (const name of ["argon2", "serde_json", "wasm-bindgen", "workerd"])
    assert.ok(
      components.some((it) => it.name === name && it.purl && it.version),
      name,
    );
  assert.ok(
    components.every(({ licenses }) => licenses?.length > 0),
    "each says its licence",
  );
});

describe("on a machine without Node", () => {
  let first, second, edge, data, token, session;
  before(async () => {
    data = join(folder, "data");
    first = await unpack("1");
    second = await unpack("2");
    edge = await serve(first, data);
  });
  after(() => edge?.stop());

  test("it starts, serves the console and the API, and reaches a backend with its key", async () => {
    session = await signIn(edge.caller);
    assert.match((await edge.caller.get("/")).headers.get("content-type"), /^text\/html/);
    const chat = await session.chat({ model: "m" });
    assert.equal(chat.status, 200, chat.text);
    token = (await session.post("/v1/api-tokens", { name: "kept", scopes: ["models:read"] })).json.token;
    assert.ok(await isGood(edge.caller, token));
    for (const name of ["jwt-secret", "service-token", "objects"]) {
      const { mode } = await stat(join(data, name));
      assert.equal(mode & 0o077, 0, `${name} is for its owner`);
    }
    assert.ok(!edge.log().includes("sk-the-backends-key") && !edge.log().includes(PASSWORD));
  });

  test("a second one on the same files is refused, in a sentence", async () => {
    const { code, output } = await launcher(first, data, "serve");
    assert.equal(code, 1);
    assert.equal(output, `comind-edge: Another edge already runs on ${data}.\n`);
  });

  test("a setting that is wrong stops it, and is named", async () => {
    const other = spawn(join(first, "comind-edge"), ["serve"], {
      env: { ...environment(join(folder, "wrong")), LISTEN: "127.0.0.1:0", RATE_LIMIT_RPM: "many" },
    });
    let output = "";
    other.stderr.setEncoding("utf8").on("data", (text) => (output += text));
    const [code] = await once(other, "close");
    assert.equal(code, 1);
    assert.match(output, /RATE_LIMIT_RPM must be a whole number/);
  });

  test("a backup of one moment is made while it works, and put back elsewhere", async () => {
    const backup = join(folder, "backup.tar.gz");
    let isOver = false;
    const made = [];
    const writes = (async () => {
      while (!isOver) {
        const answer = await session.post("/v1/api-tokens", {
          name: `t${made.length}`,
          scopes: ["models:read"],
        });
        if (answer.status !== 201) return answer;
        made.push(answer.json.token);
        await session.delete(`/v1/api-tokens/${answer.json.id}`);
      }
    })();
    await eventually(5000, () => made.length > 3, "tokens are made");
    const before = made.length;
    const { code, output } = await launcher(first, data, "backup", backup);
    isOver = true;
    assert.equal(await writes, undefined, "nobody who asked meanwhile was refused");
    assert.equal(code, 0, output);
    assert.match(output, /\d+ objects/);
    assert.ok(made.length >= before);
    assert.ok(await isGood(edge.caller, token), "it goes on");

    assert.match((await launcher(first, data, "restore", backup)).output, /runs on .*: stop it first/);
    const elsewhere = join(folder, "elsewhere");
    // As systemd leaves it: the folder of a user who is not root, which is who puts it back.
    const owner = process.getuid() === 0 ? 65532 : process.getuid();
    await mkdir(elsewhere);
    await chown(elsewhere, owner, owner === 65532 ? owner : process.getgid());
    assert.equal((await launcher(first, elsewhere, "restore", backup)).code, 0);
    assert.match((await launcher(first, elsewhere, "restore", backup)).output, /something in .* already/);
    for (const name of ["", "jwt-secret", "objects", "objects/comind-account"])
      assert.equal((await stat(join(elsewhere, name))).uid, owner, `whose ${name || "the folder"} is`);
    await edge.stop();
    edge = await serve(first, elsewhere);
    assert.ok(await isGood(edge.caller, token), "a token that was made before");
    assert.equal((await session.get("/v1/auth/me")).status, 200, "a session, by the same secret");
    await signIn(edge.caller);
    await edge.stop();
  });

  test("an upgrade and the way back keep what is stored", async () => {
    const current = join(folder, "current");
    for (const program of [first, second, first]) {
      await unlink(current).catch(() => {});
      await symlink(program, current);
      edge = await serve(current, data);
      assert.ok(await isGood(edge.caller, token));
      await signIn(edge.caller);
      assert.equal(await edge.stop(), 0);
    }
  });

  test("killed, it starts again on the same files", async () => {
    edge = await serve(second, data);
    edge.child.kill("SIGKILL");
    await edge.exited;
    edge = await serve(second, data);
    assert.ok(await isGood(edge.caller, token));
  });
});

test("the systemd unit is well-formed, and exposes little", async () => {
  const place = await unpack("unit");
  const unit = await readFile(join(place, "comind-edge.service"), "utf8");
  const { stdout } = await run("systemd-analyze", [
    "security",
    "--offline=yes",
    "--threshold=15",
    join(place, "comind-edge.service"),
  ]);
  const exposure = Number(/Overall exposure level.*: ([\d.]+)/.exec(stdout)?.[1]);
  assert.ok(exposure <= 1.5, stdout.split("\n").at(-2));
  // Where the program is, only an installation knows.
  const verified = await run("systemd-analyze", ["verify", join(place, "comind-edge.service")]).catch(
    (error) => error,
  );
  const complaints = verified.stderr.split("\n").filter((line) => line && !/is not executable/.test(line));
  assert.deepEqual(complaints, []);
  assert.match(unit, /^ExecStart=\/opt\/comind-edge\/comind-edge serve$/m);
  assert.match(unit, /^EnvironmentFile=/m);
});

test("the container file copies what is there, and runs as nobody", async () => {
  const place = await unpack("container");
  const lines = (await readFile(join(place, "Containerfile"), "utf8"))
    .split("\n")
    .filter((line) => /^[A-Z]/.test(line));
  const words = lines.map((line) => line.split(" ")[0]);
  assert.deepEqual(words, [
    "ARG",
    "FROM",
    "RUN",
    "COPY",
    "RUN",
    "USER",
    "VOLUME",
    "ENV",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
  ]);
  assert.ok(lines.includes("USER 65532:65532"));
});

test("every variable of the example is a setting, or the launcher's own", async () => {
  const text = await readFile(join(await unpack("example"), "edge.env"), "utf8");
  for (const [, name] of text.matchAll(/^(\w+)=/gm))
    assert.ok(name === "LISTEN" || SETTINGS.includes(name), name);
});
