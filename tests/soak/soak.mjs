// Mixed load with faults, for as long as MINUTES says: the real edge in workerd, backends in processes of their own,
// callers who sign in, ask, stream, leave, make and revoke tokens; meanwhile things are killed, cut, hung and stopped.
//
// In the first half the edge itself is killed again and again, in mid-write, and started on the same files. In the
// second it runs through, so that its memory can be looked at. At the end it prints what was done and what was found:
// lost (acknowledged and gone, or never answered) and wrong (answered otherwise than it should be) are to be 0.
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { startEdge } from "../../scripts/edge.mjs";
import { Ledger, some } from "./ledger.mjs";

const MINUTES = Number(process.env.MINUTES || 60);
const CALLERS = Number(process.env.CALLERS || 12);
const BACKENDS = 3;
const PATIENCE_MS = 45_000;
const SERVICE_TOKEN = randomBytes(36).toString("base64url");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const chance = (share) => Math.random() < share;
const id = () => randomBytes(6).toString("hex");

const startedAt = Date.now();
const endsAt = startedAt + MINUTES * 60_000;
const halfAt = startedAt + MINUTES * 30_000;

const counts = {
  requests: 0,
  answered: 0,
  refused: 0,
  interrupted: 0,
  streams: 0,
  whole: 0,
  failed: 0,
  left: 0,
  writes: 0,
  verified: 0,
};
const faults = {};
const lost = [];
const wrong = [];
const ledger = new Ledger();
let isOver = false;
let edge, port, dataDir, settings;
/** Goes up whenever the edge is killed: what was under way then may get no answer. */
let era = 0;
let isUp = false;

function inject(name) {
  faults[name] = (faults[name] ?? 0) + 1;
}

// --- the edge and its backends

async function startBackend(at, listen = 0) {
  const child = fork(fileURLToPath(new URL("backend.mjs", import.meta.url)), [`${listen}`], {
    stdio: "inherit",
  });
  const { port } = await new Promise((resolve) => child.once("message", resolve));
  backends[at] = { child, port };
}

const backends = [];

async function startAgain() {
  for (;;) {
    try {
      edge = await startEdge({ settings, dataDir, port, console: false });
      isUp = true;
      return;
    } catch (error) {
      if (!/in use/.test(error.message)) throw error;
      await sleep(100);
    }
  }
}

// --- what callers do

/** An answer, or `undefined` where the edge was killed meanwhile. Nothing else may keep an answer from coming. */
async function call(method, path, { token, body, headers = {} } = {}) {
  while (!isUp) await sleep(20);
  const born = era;
  counts.requests += 1;
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await response.text();
    if (response.status < 400) counts.answered += 1;
    else counts.refused += 1;
    return { status: response.status, text, json: parsed(text) };
  } catch (error) {
    if (born !== era || !isUp) counts.interrupted += 1;
    else lost.push(`${method} ${path}: ${error.cause?.code ?? error.name}`);
    return undefined;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function expect(what, answer, ...statuses) {
  if (!answer) return false;
  if (!statuses.includes(answer.status)) wrong.push(`${what}: ${answer.status} ${answer.text.slice(0, 200)}`);
  else if (answer.status >= 400 && !answer.json?.error?.code)
    wrong.push(`${what}: ${answer.status} without the envelope`);
  return answer.status < 400;
}

/** What a backend's trouble may become. */
const TROUBLE = [502, 503, 504];

async function signIn(email) {
  const answer = await call("POST", "/v1/auth/login", { body: { email, password: ledger.users.get(email) } });
  return expect("sign-in", answer, 200) ? answer.json : undefined;
}

async function chat(token) {
  const nonce = id();
  const words = 1 + Math.floor(Math.random() * 20);
  const body = { model: "m", messages: [{ role: "user", content: `${nonce} ${words}` }] };
  const answer = await call("POST", "/v1/chat/completions", { token, body });
  if (!expect("chat", answer, 200, ...TROUBLE)) return;
  const expected = Array.from({ length: words }, (_, at) => `${nonce}-${at}`).join(" ");
  if (answer.json?.choices[0].message.content !== expected)
    wrong.push(`chat: somebody else's answer, or half of one`);
}

async function stream(token, leavesAfter) {
  while (!isUp) await sleep(20);
  const born = era;
  const nonce = id();
  const words = 5 + Math.floor(Math.random() * 60);
  const body = { model: "m", stream: true, messages: [{ role: "user", content: `${nonce} ${words}` }] };
  counts.requests += 1;
  counts.streams += 1;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  let text = "";
  let hasLeft = false;
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    if (response.status !== 200) {
      const answer = { status: response.status, text: await response.text() };
      expect("stream", { ...answer, json: parsed(answer.text) }, ...TROUBLE);
      counts.failed += 1;
      return;
    }
    for await (const bytes of response.body) {
      text += Buffer.from(bytes).toString();
      if (text.length > leavesAfter) {
        inject("caller leaves");
        counts.left += 1;
        hasLeft = true;
        abort.abort();
        return;
      }
    }
  } catch (error) {
    if (hasLeft) return;
    if (born !== era || !isUp) counts.interrupted += 1;
    else lost.push(`stream: ${error.cause?.code ?? error.name} after ${text.length} characters`);
    return;
  } finally {
    clearTimeout(timer);
  }
  judge(text, nonce, words, born);
}

/** A whole answer ends in `[DONE]` and is all there; another one says so in an error event. */
function judge(text, nonce, words, born) {
  const data = [...text.matchAll(/^data: (.*)$/gm)].map(([, value]) => value);
  const isDone = data.at(-1) === "[DONE]";
  const events = data.filter((value) => value !== "[DONE]").map(parsed);
  if (events.some((event) => event === undefined)) return void wrong.push("stream: half an event");
  const failure = events.find((event) => event.error);
  const said = events
    .map((event) => event.choices?.[0]?.delta?.content ?? "")
    .join("")
    .trim();
  const expected = Array.from({ length: words }, (_, at) => `${nonce}-${at}`).join(" ");
  if (isDone && failure) wrong.push("stream: an error and [DONE]");
  else if (isDone && said !== expected)
    wrong.push(`stream: whole, and ${said.length} of ${expected.length} characters`);
  else if (!isDone && !expected.startsWith(said)) wrong.push("stream: words of another");
  else if (!isDone && !failure) {
    if (born !== era || !isUp) counts.interrupted += 1;
    else lost.push(`stream: ended without a word after ${said.length} characters`);
  } else if (isDone) counts.whole += 1;
  else counts.failed += 1;
}

async function makeUser() {
  const email = `${id()}@example.com`;
  const password = `password ${id()}`;
  const answer = await call("POST", "/v1/auth/admin/users", {
    token: SERVICE_TOKEN,
    body: { email, password },
  });
  if (!expect("a user", answer, 201)) return;
  counts.writes += 1;
  ledger.users.set(email, password);
}

async function makeToken(session, owner) {
  const body = { name: id(), scopes: ["models:read", "chat:write"], expires_in_days: 1 };
  const answer = await call("POST", "/v1/api-tokens", { token: session, body });
  if (!expect("a token", answer, 201, 409) || answer.status === 409) return;
  counts.writes += 1;
  ledger.made(answer.json.token, { id: answer.json.id, owner });
}

async function revokeToken(session, owner) {
  const own = [...ledger.alive].find(([, entry]) => entry.owner === owner);
  if (!own) return;
  const [token, entry] = own;
  ledger.doubted(token);
  const answer = await call("DELETE", `/v1/api-tokens/${entry.id}`, { token: session });
  if (!answer) return;
  expect("a revocation", answer, 204);
  if (answer.status === 204) {
    counts.writes += 1;
    ledger.revoked(token);
  }
}

/** Whether what was acknowledged is so. */
async function verify(count) {
  for (const [token] of some(ledger.alive, count)) {
    const answer = await call("GET", "/v1/models", { token });
    if (!answer || !ledger.alive.has(token)) continue;
    counts.verified += 1;
    if (answer.status !== 200)
      lost.push(`a token that was made: ${answer.status} ${answer.text.slice(0, 120)}`);
  }
  for (const token of some(ledger.dead, count)) {
    const answer = await call("GET", "/v1/models", { token });
    if (!answer) continue;
    counts.verified += 1;
    if (answer.status !== 401) lost.push(`a revocation: ${answer.status}`);
  }
  for (const [email] of some(ledger.users, Math.ceil(count / 5))) {
    if (await signIn(email)) counts.verified += 1;
  }
}

/** One caller's day. */
async function caller() {
  while (ledger.users.size === 0) await sleep(50);
  while (!isOver) {
    const email = some(ledger.users.keys(), 1)[0];
    const session = await signIn(email);
    if (!session) continue;
    let { access_token: token, refresh_token } = session;
    for (let round = 0; round < 30 && !isOver; round += 1) {
      if (chance(0.4)) await chat(token);
      else if (chance(0.6)) await stream(token, chance(0.15) ? Math.random() * 4000 : Infinity);
      else if (chance(0.2)) await makeToken(token, email);
      else if (chance(0.2)) await revokeToken(token, email);
      else if (chance(0.3)) expect("models", await call("GET", "/v1/models", { token }), 200);
      else if (chance(0.3)) await wrongRequest(token);
      else if (chance(0.3)) {
        const answer = await call("POST", "/v1/auth/refresh", { body: { refresh_token } });
        // A refresh that was interrupted may have been done: then the old token is good for the same pair once more.
        if (expect("a refresh", answer, 200)) ({ access_token: token, refresh_token } = answer.json);
      }
      await sleep(Math.random() * 40);
    }
  }
}

async function wrongRequest(token) {
  inject("wrong request");
  const [answer, ...statuses] = await [
    async () => [
      await call("POST", "/v1/chat/completions", {
        token,
        body: { model: "nobody's", messages: [{ role: "user", content: "x" }] },
      }),
      404,
    ],
    async () => [await call("POST", "/v1/chat/completions", { token, body: [] }), 400],
    async () => [await call("GET", "/v1/models", { token: `${token}x` }), 401],
    async () => [await call("PUT", "/v1/models", { token }), 405],
    async () => [await call("GET", `/v1/${id()}`, { token }), 404],
    async () => [await call("GET", "/v1/models", { token, headers: { "x-large": "x".repeat(40_000) } }), 431],
  ][Math.floor(Math.random() * 6)]();
  expect("a wrong request", answer, ...statuses);
}

// --- what goes wrong

/** A client that sends a byte now and then, or nothing, and holds its connection. */
function sloth() {
  inject("slow client");
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
  const timer = setInterval(() => socket.write("{"), 1000);
  setTimeout(() => (clearInterval(timer), socket.destroy()), 20_000).unref();
}

async function killEdge() {
  inject("edge killed");
  era += 1;
  isUp = false;
  await edge.kill();
  await startAgain();
  era += 1;
  await verify(20);
}

async function killBackend() {
  inject("backend killed");
  const at = Math.floor(Math.random() * BACKENDS);
  const { child, port } = backends[at];
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  await sleep(Math.random() * 3000);
  await startBackend(at, port);
}

async function spoilBackend() {
  const mode = ["refuse", "fail", "hang", "cut", "slow"][Math.floor(Math.random() * 5)];
  inject(`backend: ${mode}`);
  const { child } = backends[Math.floor(Math.random() * BACKENDS)];
  child.send(mode);
  await sleep(1000 + Math.random() * 3000);
  if (child.connected) child.send("ok");
}

async function stopBackend() {
  inject("backend stopped (SIGSTOP)");
  const { child } = backends[Math.floor(Math.random() * BACKENDS)];
  child.kill("SIGSTOP");
  await sleep(2000 + Math.random() * 3000);
  child.kill("SIGCONT");
}

async function mischief() {
  const gap = Math.min(4000, (MINUTES * 60_000) / 40);
  let killedAt = Date.now();
  while (!isOver) {
    await sleep(gap * (0.5 + Math.random()));
    if (isOver) return;
    const killGap = Math.min(30_000, (MINUTES * 60_000) / 8);
    if (Date.now() < halfAt && Date.now() - killedAt > killGap * (0.5 + Math.random())) {
      await killEdge();
      killedAt = Date.now();
    } else if (chance(0.25)) await killBackend();
    else if (chance(0.6)) await spoilBackend();
    else if (chance(0.4)) await stopBackend();
    else sloth();
  }
}

// --- what is seen

async function memory() {
  const status = await readFile(`/proc/${edge.pid}/status`, "utf8");
  const rssMb = Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) / 1000;
  const page = await call("GET", "/metrics", { token: SERVICE_TOKEN });
  const wasmMb = Number(/^comind_wasm_memory_bytes (\d+)/m.exec(page?.text ?? "")?.[1] ?? 0) / 1e6;
  return { rssMb: Math.round(rssMb), wasmMb: Math.round(wasmMb * 10) / 10 };
}

const show = ({ rssMb, wasmMb }) => `${rssMb} MB resident, ${wasmMb} MB of it WebAssembly's`;

async function main() {
  dataDir = await mkdtemp(join(tmpdir(), "soak-"));
  for (let at = 0; at < BACKENDS; at += 1) await startBackend(at);
  settings = {
    BACKENDS: JSON.stringify(
      backends.map(({ port }, at) => ({
        id: `gpu-${at}`,
        provider: "openai",
        url: `http://127.0.0.1:${port}`,
      })),
    ),
    JWT_SECRET: randomBytes(36).toString("base64url"),
    SERVICE_TOKEN,
    RATE_LIMIT_RPM: "0",
    RATE_LIMIT_TPM: "0",
    MAX_SESSIONS: "10000",
    MAX_API_TOKENS: "1000",
    PASSWORD_RATE_LIMIT_RPM: "1000000",
    REFRESH_GRACE_MS: "60000",
    CONNECT_TIMEOUT_MS: "500",
    STALL_TIMEOUT_MS: "4000",
    FIRST_BYTE_TIMEOUT_MS: "4000",
    HEARTBEAT_MS: "1000",
    BREAKER_OPEN_MS: "500",
    PROBE_TIMEOUT_MS: "1000",
    REQUEST_LOG: "errors",
  };
  port = 0;
  edge = await startEdge({ settings, dataDir, console: false });
  port = edge.port;
  isUp = true;
  for (let at = 0; at < 10; at += 1) await makeUser();
  const work = [...Array.from({ length: CALLERS }, caller), mischief(), growth(), watch()];
  await sleep(endsAt - Date.now());
  isOver = true;
  await Promise.all(work);
  for (const { child } of backends) child.send("ok");
  await sleep(2000);
  const atEnd = await memory();
  await verify(200);
  await report(atEnd);
}

/** More users now and then, while memory is not yet looked at: each that is in use takes some. */
async function growth() {
  while (!isOver) {
    await sleep(Math.min(5000, MINUTES * 5000));
    if (Date.now() < halfAt) await makeUser();
    await verify(2);
  }
}

let atStart;

/** The memory once the half with the kills is over and the edge is warm; a line a minute. */
async function watch() {
  while (!isOver) {
    await sleep(Math.min(60_000, MINUTES * 6000));
    if (isOver || !isUp) continue;
    const seen = await memory().catch(() => undefined);
    if (!seen) continue;
    if (!atStart && Date.now() > halfAt + MINUTES * 9000) atStart = seen;
    const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1);
    console.log(
      `${minutes} min: ${counts.requests} requests, ${counts.streams} streams, ${show(seen)}; lost ${lost.length}, wrong ${wrong.length}`,
    );
  }
}

async function report(atEnd) {
  await edge.stop();
  for (const { child } of backends) child.kill("SIGKILL");
  await rm(dataDir, { recursive: true, force: true });
  const injected = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const kinds = Object.entries(faults)
    .sort()
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
  console.log(`
requests        ${counts.requests}: ${counts.answered} answered, ${counts.refused} refused as documented, ${counts.interrupted} interrupted by a kill of the edge
streams         ${counts.streams}: ${counts.whole} whole, ${counts.failed} failed and said so, ${counts.left} left by their callers
writes          ${counts.writes} acknowledged, ${counts.verified} times looked up
faults injected ${injected}: ${kinds}
lost            ${lost.length}
wrong           ${wrong.length}
memory          ${atStart ? show(atStart) : "not looked at"} → ${show(atEnd)}`);
  for (const [name, list] of [
    ["lost", lost],
    ["wrong", wrong],
  ])
    for (const what of [...new Set(list)].slice(0, 20)) console.log(`${name}: ${what}`);
  const hasGrown = atStart && atEnd.rssMb > 1.5 * atStart.rssMb + 50;
  if (hasGrown) console.log("The edge's memory has grown.");
  const failed = Number(lost.length > 0) + Number(wrong.length > 0) + Number(Boolean(hasGrown));
  console.log(`${3 - failed} passed, ${failed} failed`);
  process.exit(failed > 0 || counts.streams === 0 || counts.writes === 0 ? 1 : 0);
}

await main();
