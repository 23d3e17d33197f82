// The whole product as a user starts it: `make run`, in a folder of its own, with the real model.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { within } from "../within.mjs";
import { freePort } from "../../port.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
// The first start may have everything to fetch and to build.
const START_LIMIT_MS = 30 * 60_000;

/** Runs `make run` until its `ready` line; gives what that line and the two after it say. */
export async function startProduct(dataDir) {
  const port = await freePort();
  const start = performance.now();
  const child = spawn("make", ["run", `PORT=${port}`, `DATA_DIR=${dataDir}`], {
    cwd: ROOT,
    detached: true, // A process group of its own, as a terminal gives one: Ctrl-C goes to all of it.
    stdio: ["ignore", "pipe", "pipe"],
    env: Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) =>
          !/^(NODE_TEST_CONTEXT|NODE_OPTIONS|MAKE.*|MFLAGS|BACKENDS|ADMIN_.*|JWT_SECRET.*)$/.test(name),
      ),
    ),
  });
  const end = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  process.once("exit", end); // A test that is cut short leaves nothing behind.
  let output = "";
  const told = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        const match = /^ready (http:\/\/127\.0\.0\.1:\d+)\nuser +(\S+)\npassword (\S+)$/m.exec(output);
        if (match) resolve({ url: match[1], user: match[2], password: match[3] });
      });
    }
    child.once("exit", (code) =>
      reject(new Error(`make run ended (${code}) before it was ready:\n${output.slice(-2000)}`)),
    );
  });
  const facts = await within(START_LIMIT_MS, told, "`make run` says that it is ready").catch((failure) => {
    end();
    throw failure;
  });
  assert.equal(facts.url, `http://127.0.0.1:${port}`);
  return {
    ...facts,
    startMs: performance.now() - start,
    output: () => output,
    interrupt: () => interrupt(child),
  };
}

/** Ctrl-C. Gives the processes of it that are still alive afterwards, which should be none. */
async function interrupt(child) {
  const family = descendants(child.pid);
  assert.ok(family.length >= 3, `make, the edge and the model are ${family.length} processes`);
  const exited = child.exitCode ?? once(child, "exit");
  process.kill(-child.pid, "SIGINT");
  await within(15_000, exited, "`make run` ends after Ctrl-C");
  return family.filter(({ pid, born }) =>
    processes().some((other) => other.pid === pid && other.born === born && other.state !== "Z"),
  );
}

function processes() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return [
          {
            pid: Number(pid),
            state: fields[0],
            parent: Number(fields[1]),
            born: fields[19],
            command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "),
          },
        ];
      } catch {
        return []; // It ended while we looked.
      }
    });
}

function descendants(root) {
  const all = processes();
  const found = all.filter(({ pid }) => pid === root);
  for (const one of found) found.push(...all.filter(({ parent }) => parent === one.pid));
  return found;
}
