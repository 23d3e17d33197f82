// Who is measured: each a gateway of its own in front of the same upstream, `{ url, headers, pid, stop }`.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { startEdge } from "../../scripts/edge.mjs";
import { versions } from "../../scripts/versions.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const START_LIMIT_MS = 120_000;
// Each contender has one, for the end of this process.
process.setMaxListeners(0);
const PATH = "/v1/chat/completions";

const EMAIL = "bench@example.com";

/**
 * Ours with everything on: accounts, admission, limits, validation, routing, usage, heartbeats. Besides what every
 * contender has: `patHeaders`, `dataDir`, and `startAgain()` for one that was stopped.
 */
export async function startOurs({ folder, upstreams, settings = {} }) {
  const options = {
    console: false,
    dataDir: join(folder, "ours"),
    settings: {
      BACKENDS: JSON.stringify(
        upstreams.map((url, at) => ({ id: `gpu-${at}`, provider: "openai", url: `${url}/v1` })),
      ),
      JWT_SECRET: secret(),
      SERVICE_TOKEN: secret(),
      ADMIN_EMAIL: EMAIL,
      ADMIN_PASSWORD: secret(),
      // Counted and granted as ever, only more of it.
      RATE_LIMIT_RPM: "100000000",
      RATE_LIMIT_TPM: "100000000000",
      ...settings,
    },
  };
  const edge = await startEdge(options);
  const password = options.settings.ADMIN_PASSWORD;
  const { access_token: session } = await post(edge, "/v1/auth/login", { email: EMAIL, password });
  const scopes = ["chat:write", "models:read"];
  const { token: pat } = await post(edge, "/v1/api-tokens", { name: "bench", scopes }, session);
  const contender = (edge) => ({
    name: "ours",
    url: edge.url + PATH,
    headers: { authorization: `Bearer ${session}` },
    patHeaders: { authorization: `Bearer ${pat}` },
    pid: edge.pid,
    stop: edge.stop,
    dataDir: options.dataDir,
    edge,
    serviceToken: options.settings.SERVICE_TOKEN,
    startAgain: async () => contender(await startEdge(options)),
  });
  return contender(edge);
}

/** Ours, asked by so many users in turn. */
export async function startForUsers(count, { folder, upstreams }) {
  const ours = await startOurs({ folder, upstreams });
  const lines = [];
  for (let at = 0; at < count; at += 1) {
    const user = { email: `bench-${at}@example.com`, password: secret() };
    await post(ours.edge, "/v1/auth/admin/users", user, ours.serviceToken);
    const { access_token: session } = await post(ours.edge, "/v1/auth/login", user);
    lines.push(`Bearer ${session}`);
  }
  const file = join(folder, "tokens");
  writeFileSync(file, lines.join("\n"), { mode: 0o600 });
  return { ...ours, headers: { authorization: `@${file}` } };
}

const secret = () => randomBytes(32).toString("base64url");

async function post(edge, path, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(edge.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** A worker in the same workerd: `forward.js`, `floor.js` or `pump.js`. */
export async function startWorker(module, { folder, upstreams: [upstream] }) {
  const port = await freePort();
  const config = join(folder, `${module}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .main), (name = "internet", network = (allow = ["public", "private"])) ],
  sockets = [ (name = "http", address = "127.0.0.1:${port}", http = (), service = "main") ],
);
const main :Workerd.Worker = (
  compatibilityDate = "${versions.COMPATIBILITY_DATE}",
  modules = [ (name = "main.js", esModule = embed "${module}") ],
  bindings = [ (name = "UPSTREAM", text = "${upstream}") ],
);
`,
  );
  copyFileSync(here(module), join(folder, module));
  return server(process.env.WORKERD_BIN, ["serve", config], port, {});
}

/**
 * Portkey's gateway, on Node as its package starts it; with an older server of Hono's than npm would take, with which its streams
 * fail (`overrides` in package.json).
 */
export async function startPortkey({ upstreams: [upstream] }) {
  const port = await freePort();
  const script = here("../node_modules/@portkey-ai/gateway/build/start-server.js");
  return server(process.execPath, [script, `--port=${port}`, "--headless"], port, {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `${upstream}/v1`,
    authorization: "Bearer sk-bench",
  });
}

/** LiteLLM's proxy, one worker as it starts by itself, with a key to check. */
export async function startLitellm({ folder, upstreams: [upstream] }) {
  const program = process.env.COMIND_LITELLM;
  if (!program || !existsSync(program)) throw new Error("LiteLLM is not set up: `make bench` does that.");
  const port = await freePort();
  const config = join(folder, "litellm.yaml");
  writeFileSync(
    config,
    `model_list:
  - model_name: bench
    litellm_params: { model: openai/bench, api_base: "${upstream}/v1", api_key: sk-bench }
general_settings: { master_key: sk-master }
litellm_settings: { telemetry: false }
`,
  );
  return server(program, ["--config", config, "--port", String(port), "--host", "127.0.0.1"], port, {
    authorization: "Bearer sk-master",
  });
}

/** A process that listens on this port, once it answers anything. */
async function server(program, args, port, headers) {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      LITELLM_LOG: "ERROR",
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      NODE_ENV: "production",
    },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-4000)));
  process.once("exit", () => child.kill("SIGKILL"));
  const url = `http://127.0.0.1:${port}`;
  const start = Date.now();
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => null);
    await response?.body?.cancel();
    if (response) break;
    if (child.exitCode !== null || Date.now() - start > START_LIMIT_MS)
      throw new Error(`${program} did not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const stop = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 2000).unref();
    return exited;
  };
  return { url: url + PATH, headers, pid: child.pid, stop, log: () => log };
}

/** An upstream, `{ url, stop }`. */
export async function startUpstream(load, { models = 1 } = {}) {
  const child = spawn(load, ["upstream"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, MODELS: String(models) },
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const port = await new Promise((resolve, reject) => {
    child.stdout.once("data", (text) => resolve(Number(text)));
    child.once("exit", () => reject(new Error("the upstream ended")));
  });
  return { url: `http://127.0.0.1:${port}`, stop: () => child.kill("SIGKILL") };
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
