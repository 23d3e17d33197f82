// What it costs to check a credential: the core in wasm, beside what else Node has for it.
// node run.mjs MODULE.wasm RESULT.json
//
// Each contender does the same work on the same token: from its text to what it claims. All take turns, round
// after round, so that a busy machine is unfair to all alike; a contender's cost is the median of its rounds.

import assert from "node:assert/strict";
import { createHash, createSecretKey, timingSafeEqual } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

import { jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";

const ROUNDS = 25;
const ROUND_MS = 40;
const GOAL_US = 50;
const ISSUER = "co-mind-edge";

const [modulePath, resultPath] = process.argv.slice(2);
const { exports: wasm } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(modulePath)));
const now = Math.floor(Date.now() / 1000);
assert.equal(wasm.open(now), 1);
const [secret, jwt, pat] = Buffer.from(wasm.memory.buffer, wasm.output(), wasm.output_length())
  .toString()
  .split("\n");

const encoder = new TextEncoder();
/** Puts a text where the module reads it, as the glue of the edge does. Tokens are ASCII. */
function put(text) {
  const at = wasm.input(text.length);
  encoder.encodeInto(text, new Uint8Array(wasm.memory.buffer, at, text.length));
}

const secretKey = createSecretKey(Buffer.from(secret));
const cryptoKey = await crypto.subtle.importKey(
  "raw",
  encoder.encode(secret),
  { name: "HMAC", hash: "SHA-256" },
  false,
  ["verify"],
);
const storedHash = createHash("sha256").update(pat).digest("hex");

/** What `Pat::parse` and the comparison do, by hand. */
function checkByHand(text) {
  if (!/^cmnd_[\w-]{33}\.sk_[\w-]{49}$/.test(text)) return false;
  const sum = createHash("sha256").update(text.slice(0, -6)).digest().subarray(0, 4).toString("base64url");
  if (sum !== text.slice(-6)) return false;
  const hash = createHash("sha256").update(text).digest("hex");
  return timingSafeEqual(Buffer.from(hash), Buffer.from(storedHash));
}

const joseOptions = { algorithms: ["HS256"], issuer: ISSUER, typ: "JWT" };
const plainOptions = { algorithms: ["HS256"], issuer: ISSUER };
const claimsOf = async (promise) => (await promise).payload.use === "access";

const headerOf = { jwt: `Bearer ${jwt}`, pat: `Bearer ${pat}` };
const whenMs = now * 1000 + 1;

/** Each takes a token and gives whether it is good; a failure counts as not. The first is ours. */
const GROUPS = [
  {
    title: "Verify a session's token (JWT, HS256)",
    token: jwt,
    contenders: {
      "comind in wasm": (token) => (put(token), wasm.verify_jwt(now) === 1),
      "jsonwebtoken, KeyObject": (token) =>
        jsonwebtoken.verify(token, secretKey, plainOptions).use === "access",
      "jsonwebtoken, string": (token) => jsonwebtoken.verify(token, secret, plainOptions).use === "access",
      "jose, KeyObject": (token) => claimsOf(jwtVerify(token, secretKey, joseOptions)),
      "jose, CryptoKey": (token) => claimsOf(jwtVerify(token, cryptoKey, joseOptions)),
    },
  },
  {
    title: "Check a personal access token (checksum, SHA-256, comparison in constant time)",
    token: pat,
    contenders: {
      "comind in wasm": (token) => (put(token), wasm.check_pat() === 1),
      "node:crypto by hand": checkByHand,
    },
  },
  {
    title: "Admit a request under a lease, session's token: header, signature, lease, allowance",
    token: headerOf.jwt,
    contenders: { "comind in wasm": (header) => (put(header), wasm.admit(whenMs) === 1) },
  },
  {
    title: "Admit a request under a lease, personal access token",
    token: headerOf.pat,
    contenders: { "comind in wasm": (header) => (put(header), wasm.admit(whenMs) === 1) },
  },
];

/** The same token with another character at the end of its signature or secret. */
const spoilt = (token) => token.slice(0, -8) + (token.at(-8) === "A" ? "B" : "A") + token.slice(-7);

async function holds(check, token) {
  try {
    return (await check(token)) === true;
  } catch {
    return false;
  }
}

/** Microseconds for one call, over at least so many milliseconds. */
async function time(check, token, calls) {
  const start = performance.now();
  let good = 0;
  for (let call = 0; call < calls; call += 1) {
    const answer = check(token);
    // To wait for what is not a promise would cost the synchronous ones a turn of the queue.
    if (answer === true || (await answer) === true) good += 1;
  }
  const us = ((performance.now() - start) * 1000) / calls;
  assert.equal(good, calls);
  return us;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure({ token, contenders }) {
  const entries = Object.entries(contenders);
  const calls = {};
  for (const [name, check] of entries) {
    assert.ok(await holds(check, token), `${name} takes the token for good`);
    assert.ok(!(await holds(check, spoilt(token))), `${name} takes a spoilt one for bad`);
    await time(check, token, 2000); // until it is compiled
    calls[name] = Math.max(1, Math.round((ROUND_MS * 1000) / (await time(check, token, 500))));
  }
  const rounds = Object.fromEntries(entries.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    // The order turns, so that nobody always follows the same other.
    for (let turn = 0; turn < entries.length; turn += 1) {
      const [name, check] = entries[(round + turn) % entries.length];
      rounds[name].push(await time(check, token, calls[name]));
    }
  }
  const ours = median(rounds[entries[0][0]]);
  return entries.map(([name]) => ({
    name,
    us: median(rounds[name]),
    least_us: Math.min(...rounds[name]),
    most_us: Math.max(...rounds[name]),
    ratio: median(rounds[name]) / ours,
  }));
}

const machine = {
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? "unknown",
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
};
const version = (name) =>
  JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
const peers = { jose: version("jose"), jsonwebtoken: version("jsonwebtoken") };

console.log("# What it costs to check a credential\n");
console.log(
  `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ${machine.platform}; jose ${peers.jose}, ` +
    `jsonwebtoken ${peers.jsonwebtoken}. Medians of ${ROUNDS} alternating rounds, µs a call.`,
);
const groups = [];
for (const group of GROUPS) {
  const results = await measure(group);
  const isMet = results[0].us <= GOAL_US;
  groups.push({ title: group.title, goal_us: GOAL_US, is_met: isMet, results });
  console.log(`\n## ${group.title}\n`);
  console.log("| | median | least | most | times ours |\n|---|---:|---:|---:|---:|");
  for (const { name, us, least_us, most_us, ratio } of results)
    console.log(
      `| ${name} | ${us.toFixed(2)} | ${least_us.toFixed(2)} | ${most_us.toFixed(2)} | ${ratio.toFixed(2)} |`,
    );
  console.log(`\nThe goal of ${GOAL_US} µs is ${isMet ? "met" : "missed"}.`);
}
writeFileSync(resultPath, `${JSON.stringify({ machine, peers, rounds: ROUNDS, groups }, null, 2)}\n`);
