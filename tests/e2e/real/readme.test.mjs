// The README's own words: its six steps, its JavaScript and its commands, as they stand there.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startProduct } from "./product.mjs";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const run = promisify(execFile);
let folder, product, readme, env;

/** A block of code of a language: the first, or the first that holds a text. */
const block = (language, text = "") =>
  Array.from(
    readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms")),
    ([, code]) => code,
  ).find((code) => code.includes(text));

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "readme-"));
  readme = await readFile(join(ROOT, "README.md"), "utf8");
  product = await startProduct(join(folder, "data"));
  env = { ...process.env, BASE_URL: product.url, COMIND_EMAIL: product.user, PASSWORD: product.password };
});
after(async () => {
  await product?.interrupt();
  await rm(folder, { recursive: true, force: true });
});

test("the six steps do what they say", async () => {
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", block("bash")], { env });
  const [health, models, chat, ...rest] = stdout.split("\n");
  assert.deepEqual(JSON.parse(health), { status: "ok" });
  assert.equal(JSON.parse(models).data[0].id, "smollm2-135m-instruct");
  assert.equal(JSON.parse(chat).choices[0].message.role, "assistant");
  const [stream, capabilities] = rest.join("\n").split("data: [DONE]\n\n");
  assert.ok(stream.split("\n\n").length > 5);
  assert.equal(JSON.parse(capabilities).data[0].provider, "llamacpp");
});

test("the life of a personal access token is as shown", async () => {
  const script = block("bash").split("# 3.")[0] + block("bash", "# Rotate it");
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script], { env });
  assert.equal(stdout.split("\n").slice(1).join("\n"), block("text", "old 401"));
});

test("the JavaScript prints an answer", async () => {
  const project = join(folder, "project");
  await mkdir(join(project, "node_modules", "@co-mind"), { recursive: true });
  await symlink(join(ROOT, "pkg"), join(project, "node_modules", "@co-mind", "client"));
  await writeFile(join(project, "haiku.mjs"), block("js"));
  const { stdout } = await run(process.execPath, ["haiku.mjs"], { cwd: project, env });
  assert.ok(stdout.trim().length > 10, stdout);
});

test("every command of the Makefile is in the README, and the other way round", async () => {
  const makefile = await readFile(join(ROOT, "Makefile"), "utf8");
  const targets = [...makefile.matchAll(/^([a-z0-9-]+):.*## /gm)].map(([, name]) => name);
  const named = [...readme.matchAll(/`make ([a-z0-9-]+)`/g)].map(([, name]) => name);
  assert.deepEqual([...new Set(named)].sort(), targets.filter((name) => name !== "help").sort());
});
