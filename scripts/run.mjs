// Starts the edge, the console and, unless BACKENDS is given, the embedded model; runs until told to stop.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startEdge } from "./edge.mjs";
import { SETTINGS } from "./settings.mjs";

const MODEL_START_LIMIT_MS = 60_000;
const scripts = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(scripts, "..");

const port = Number(process.env.PORT || 8787);
const dataDir = resolve(root, process.env.DATA_DIR || ".data");

/** What was started, newest last: `{ name, exited, stop() }`. */
const parts = [];
let stopping = false;

process.on("SIGINT", () => stopAll(0));
process.on("SIGTERM", () => stopAll(0));

try {
  await run();
} catch (error) {
  if (!stopping) {
    console.error(error.message);
    await stopAll(1);
  }
}

async function run() {
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`PORT must be a number from 1 to 65535, not ${JSON.stringify(process.env.PORT)}.`);
  }
  await refusePortInUse();
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });

  const given = Object.fromEntries(SETTINGS.map((name) => [name, process.env[name] || undefined]));
  const settings = {
    ...given,
    JWT_SECRET: given.JWT_SECRET ?? keptSecret("jwt-secret", 48),
    SERVICE_TOKEN: given.SERVICE_TOKEN ?? keptSecret("service-token", 36),
    // On somebody's own machine the log is as good a mailbox as any.
    MAIL_URL: given.MAIL_URL ?? "log:",
    ADMIN_EMAIL: given.ADMIN_EMAIL ?? "admin@example.com",
    ADMIN_PASSWORD: given.ADMIN_PASSWORD ?? keptSecret("admin-password", 15),
    ALLOWED_ORIGINS: given.ALLOWED_ORIGINS ?? `http://localhost:${port},http://127.0.0.1:${port}`,
    BACKENDS: given.BACKENDS ?? JSON.stringify([await startModel()]),
  };
  watch("edge", await startEdge({ settings, dataDir, port, console: true, verbose: true }));
  console.log(
    `ready http://127.0.0.1:${port}\nuser  ${settings.ADMIN_EMAIL}\npassword ${settings.ADMIN_PASSWORD}`,
  );
}

/** Before the model is loaded in vain. That nobody takes it in between, the edge's own start says. */
async function refusePortInUse() {
  const server = createServer();
  await new Promise((free, reject) => {
    server.once("error", () => reject(new Error(`Port ${port} is in use: choose another one with PORT=….`)));
    server.listen(port, "127.0.0.1", () => server.close(free));
  });
}

/** A secret of this data folder: made once, read ever after, for its owner's eyes. */
function keptSecret(name, bytes) {
  const file = join(dataDir, name);
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    const secret = randomBytes(bytes).toString("base64url");
    writeFileSync(file, `${secret}\n`, { mode: 0o600, flag: "wx" });
    return secret;
  }
}

/** Starts llama.cpp's server with the small model; gives its entry of BACKENDS. */
async function startModel() {
  const child = spawn(
    process.env.COMIND_PYTHON,
    [
      join(scripts, "serve-llama.py"),
      process.env.COMIND_MODEL,
      "0",
      "--template",
      join(scripts, "chatml.jinja"),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-4096)));
  const exited = new Promise((ended) => {
    child.once("error", (error) => ended(error.message));
    child.once("close", (code, signal) => ended(signal ?? code));
  });
  watch("model", {
    exited,
    stop() {
      child.kill("SIGTERM");
      return exited;
    },
  });
  const url = await new Promise((ready, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      const match = /^READY (\S+)$/m.exec(text);
      if (match) ready(match[1]);
    });
    exited.then(() => reject(new Error(`The embedded model did not start:\n${log.trim()}`)));
    setTimeout(
      () => reject(new Error("The embedded model did not start in time.")),
      MODEL_START_LIMIT_MS,
    ).unref();
  });
  return { id: "embedded", provider: "llamacpp", url };
}

/** Remembers a part that runs, and ends the rest if it ends by itself. */
function watch(name, part) {
  parts.push(part);
  part.exited.then((how) => {
    if (stopping) return;
    console.error(`The ${name} ended by itself (${how}): stopping the rest.`);
    stopAll(1);
  });
}

async function stopAll(code) {
  if (stopping) return;
  stopping = true;
  for (const part of parts.reverse()) await part.stop();
  process.exit(code);
}
