// Real inference servers, each a process of its own on a free port of 127.0.0.1, stopped by the pid that started it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { deadPort } from "../e2e/upstream.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { COMIND_PYTHON, COMIND_MODEL, COMIND_MINILM, COMIND_OLLAMA, COMIND_VLLM } = process.env;
const START_LIMIT_MS = 180_000;

/** llama.cpp with a template that makes a small model call tools. */
export function startLlama() {
  const model = "smollm2-135m-instruct";
  const options = [
    "--template",
    join(ROOT, "tests/backends/tools.jinja"),
    "--key",
    "sk-llama",
    "--alias",
    model,
  ];
  return start({
    provider: "llamacpp",
    model,
    key: "sk-llama",
    health: "/health",
    command: (port) => [COMIND_PYTHON, serveLlama, COMIND_MODEL, port, ...options],
  });
}

/** llama.cpp with a model that only embeds. */
export function startMinilm() {
  const model = "all-minilm-l6-v2";
  const options = ["--embedding", "--ctx", "512", "--parallel", "1", "--alias", model];
  return start({
    provider: "llamacpp",
    model,
    health: "/health",
    command: (port) => [COMIND_PYTHON, serveLlama, COMIND_MINILM, port, ...options],
  });
}

export function startOllama() {
  return start({
    provider: "ollama",
    model: "smollm2:135m",
    health: "/api/version",
    // Not the launcher beside it, which forks.
    command: () => [join(COMIND_OLLAMA, "libraries/ollama-lib"), "serve"],
    env: (port) => ({
      HOME: COMIND_OLLAMA,
      OLLAMA_HOST: `127.0.0.1:${port}`,
      OLLAMA_MODELS: join(COMIND_OLLAMA, "models"),
      OLLAMA_NUM_GPU: "0",
      LD_LIBRARY_PATH: `${COMIND_OLLAMA}/lib:${COMIND_OLLAMA}/libraries`,
    }),
  });
}

export function startVllm() {
  const model = "smollm2-135m-instruct";
  return start({
    provider: "vllm",
    model,
    key: "sk-vllm",
    health: "/health",
    command: (port) =>
      `${COMIND_VLLM}/bin/vllm serve ${COMIND_VLLM}/smollm2 --served-model-name ${model} --host 127.0.0.1
       --port ${port} --dtype bfloat16 --max-model-len 2048 --max-num-seqs 4 --enforce-eager
       --enable-auto-tool-choice --tool-call-parser hermes --api-key sk-vllm`.split(/\s+/),
    env: () => ({ VLLM_CPU_KVCACHE_SPACE: "1", VLLM_NO_USAGE_STATS: "1", HF_HUB_OFFLINE: "1" }),
  });
}

const serveLlama = join(ROOT, "scripts/serve-llama.py");

async function start({ provider, model, key, health, command, env }) {
  const port = String(await deadPort());
  const [program, ...args] = command(port);
  // A process group of its own: some of them are several processes.
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env?.(port) },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-20_000)));
  const server = new Server({ provider, model, key, child, url: `http://127.0.0.1:${port}` });
  process.once("exit", () => server.signal("SIGKILL"));
  const end = performance.now() + START_LIMIT_MS;
  while (!(await server.answers(health))) {
    if (child.exitCode !== null || performance.now() > end) {
      server.signal("SIGKILL");
      throw new Error(`${provider} did not start:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return server;
}

class Server {
  #child;

  constructor({ child, ...facts }) {
    Object.assign(this, facts);
    this.#child = child;
  }

  /** As an entry of `BACKENDS`; its key, if it has one, is the variable's value. */
  entry(id = this.provider) {
    return { id, provider: this.provider, url: this.url, ...(this.key && { api_key: "BACKEND_KEY" }) };
  }

  /** Asked without the edge: `{ status, type, text }`. */
  async ask(path, body) {
    // A kept connection may be closed by the server just when it is used again.
    const response = await this.#fetch(path, body).catch(() => this.#fetch(path, body));
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      text: await response.text(),
    };
  }

  #fetch(path, body) {
    return fetch(this.url + path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(this.key && { authorization: `Bearer ${this.key}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(120_000),
    });
  }

  async answers(path) {
    try {
      return (await this.ask(path)).status === 200;
    } catch {
      return false;
    }
  }

  /** Requests that it works on, by its own word; `undefined` where it has none. */
  async running() {
    if (this.provider === "vllm") {
      const { text } = await this.ask("/metrics");
      return Number(/^vllm:num_requests_running\{.*\} (\S+)$/m.exec(text)[1]);
    }
    if (this.provider === "llamacpp") {
      const { text } = await this.ask("/slots");
      return JSON.parse(text).filter((slot) => slot.is_processing).length;
    }
    return undefined;
  }

  /** To all of its processes. */
  signal(name) {
    try {
      process.kill(-this.#child.pid, name);
    } catch {
      // They have ended.
    }
  }

  async stop(name = "SIGTERM") {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.signal(name);
    const timer = setTimeout(() => this.signal("SIGKILL"), 15_000);
    await ended;
    clearTimeout(timer);
    this.signal("SIGKILL");
  }
}
