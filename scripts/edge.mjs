// Starts the built edge in workerd: for `make run` and for every test, so that both run the same thing.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { namedSecrets } from "./settings.mjs";
import { workerdConfig } from "./workerd-config.mjs";

const ROOT = realpathSync(join(dirname(fileURLToPath(import.meta.url)), ".."));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 2_000;
const LOG_LIMIT_CHARS = 8 * 1024 * 1024;

/**
 * Starts an edge and resolves once it answers `GET /health`.
 *
 * - `settings`: `{ BACKENDS: "[…]", JWT_SECRET: "…", RATE_LIMIT_RPM: 0, … }`, exactly what the edge sees;
 *   `undefined` leaves one out. Keys named by BACKENDS come from here too, else from this process's environment.
 * - `dataDir`: where the objects live; made if absent. One edge at a time.
 * - `port`: 0 for a free one. Always on 127.0.0.1.
 * - `console`: serve www/dist as the ASSETS binding; by default if it is built.
 * - `trustedCertificates`: PEM texts of authorities besides those that browsers trust.
 * - `isolates`: so many edges on one storage, each with an address of its own in `urls`.
 * - `entries`: modules that stand before the edge's own, each as `[name, path]` (`workerd-config.mjs`).
 * - `through`: a command that runs the one behind it in its place, with its arguments (`env A=b`).
 * - `verbose`: also print what the edge prints once it is up.
 *
 * Rejects if the edge stops before it answers: the message is the edge's own sentence (a bad setting is named
 * in it), `log` is everything it printed.
 *
 * Returns `{ url, urls, port, pid, log(), stop(), kill(), exited }`: `stop` is SIGTERM, then SIGKILL after 2 s (workerd waits for open streams); `kill`
 * is SIGKILL; both wait for the end. `exited` resolves to the exit code or signal. The edge dies with this process.
 */
export async function startEdge({
  settings,
  dataDir,
  port = 0,
  console = existsSync(join(ROOT, "www", "dist", "index.html")),
  trustedCertificates = [],
  isolates = 1,
  entries,
  through = [],
  verbose = false,
}) {
  for (const [path, target] of [
    ["worker/build/index.js", "edge"],
    ...(console ? [["www/dist/index.html", "www"]] : []),
  ]) {
    if (!existsSync(join(ROOT, path))) throw new Error(`${path} is not built: run \`make ${target}\`.`);
  }

  const objectsDir = join(dataDir, "objects");
  mkdirSync(objectsDir, { recursive: true, mode: 0o700 });
  const folder = realpathSync(dataDir);
  chmodSync(folder, 0o700);
  refuseSecondEdge(folder);

  const values = { ...settings, ...namedSecrets(settings.BACKENDS, settings, process.env) };
  const bindings = Object.keys(values).filter((name) => values[name] !== undefined);
  const configFile = join(folder, "workerd.capnp");
  writeFileSync(
    configFile,
    workerdConfig({
      folder,
      root: ROOT,
      objectsDir: join(folder, "objects"),
      consoleDir: console ? join(ROOT, "www", "dist") : undefined,
      port,
      bindings,
      trustedCertificates,
      isolates,
      entries,
    }),
    { mode: 0o600 },
  );

  const [command, ...args] = [...through, workerdBinary(), "serve", "--control-fd=3", configFile];
  const child = spawnTied(command, args, {
    env: Object.fromEntries(bindings.map((name) => [name, String(values[name])])),
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  writeFileSync(join(folder, "edge.pid"), String(child.pid));

  let log = "";
  let isUp = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      log += text;
      if (log.length > LOG_LIMIT_CHARS) log = log.slice(-LOG_LIMIT_CHARS / 2);
      // What stands around the reason for a start that failed is noise: the error says it in a sentence.
      if (verbose && isUp) process.stderr.write(text);
    });
  }
  const exited = new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
  let stopping;
  const stop = () => (stopping ??= end(child, exited));
  const kill = () => {
    child.kill("SIGKILL");
    return exited;
  };

  try {
    const ports = await firstOf(exited, listenEvents(child.stdio[3], isolates), START_LIMIT_MS);
    const urls = ports.map((listening) => `http://127.0.0.1:${listening}`);
    for (const url of urls) await firstOf(exited, healthy(url, child), START_LIMIT_MS);
    isUp = true;
    return { url: urls[0], urls, port: ports[0], pid: child.pid, log: () => log, stop, kill, exited };
  } catch (cause) {
    await kill();
    throw Object.assign(new Error(reason(log, port) ?? `The edge did not start: ${cause.message}.`), { log });
  }
}

/** The first child that outlives us would hold its port: the kernel ends it with this process. */
function spawnTied(command, args, options) {
  return existsSync("/usr/bin/setpriv")
    ? spawn("/usr/bin/setpriv", ["--pdeathsig", "KILL", "--", command, ...args], options)
    : spawn(command, args, options);
}

/** workerd's own binary: its npm launcher would stand between us and the server's process id. */
function workerdBinary() {
  const require = createRequire(join(ROOT, "tests", "package.json"));
  return require.resolve(
    `@cloudflare/workerd-linux-${process.arch === "arm64" ? "arm64" : "64"}/bin/workerd`,
  );
}

/** Two servers on one set of database files would each trust its own cache. */
function refuseSecondEdge(folder) {
  try {
    const pid = readFileSync(join(folder, "edge.pid"), "utf8");
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join(folder, "workerd.capnp"))) {
      throw new Error(`Another edge (process ${pid}) already runs on ${folder}.`);
    }
  } catch (error) {
    if (!["ENOENT", "ESRCH"].includes(error.code)) throw error;
  }
}

/** The ports that workerd says it listens on: that of `http`, `http-2`, …. */
async function listenEvents(control, count) {
  const ports = [];
  let text = "";
  for await (const chunk of control.setEncoding("utf8")) {
    text += chunk;
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      const socket = message.event === "listen" && /^http(?:-(\d+))?$/.exec(message.socket);
      if (socket) ports[Number(socket[1] ?? 1) - 1] = message.port;
      if (Object.keys(ports).length === count) {
        control.resume();
        return ports;
      }
    }
  }
  return new Promise(() => {}); // the process ends: `exited` tells
}

/** Resolves once the edge answers, or has ended. */
async function healthy(url, child) {
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      if (response.ok) return;
    } catch {
      // Not yet. If never, `exited` or the time limit says so.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** `work`'s result, unless the process ends or the time is up before. */
async function firstOf(exited, work, limitMs) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs / 1000} s`)), limitMs);
  });
  const ended = exited.then((how) => Promise.reject(new Error(`workerd ended (${how})`)));
  try {
    return await Promise.race([work, late, ended]);
  } finally {
    clearTimeout(timer);
  }
}

async function end(child, exited) {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  const how = await exited;
  clearTimeout(timer);
  return how;
}

/** The sentence in what workerd printed before it gave up. */
function reason(log, port) {
  if (/Address already in use/i.test(log)) return `Port ${port} is in use: choose another one with PORT=….`;
  const thrown = /Uncaught (?:\w*Error: )?([^\n]+)/.exec(log);
  return thrown?.[1] ?? (log.trim() ? `The edge did not start:\n${log.trim()}` : undefined);
}
