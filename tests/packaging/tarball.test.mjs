// What is in the tarball, and what is not.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { makeProject, pack } from "./tarball.mjs";

const read = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test("the tarball holds exactly the package", async (t) => {
  const { files } = await pack(t);
  assert.deepEqual(
    [...files].sort(),
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "call.js",
      "client.js",
      "error.js",
      "index.d.ts",
      "index.js",
      "javascript.js",
      "node.js",
      "package.json",
      "request.js",
      "runtime.js",
      "slim.js",
      "storage.js",
      "stream.js",
      "tokens.js",
      "wasm/contract.js",
      "wasm/core_asm.js",
      "wasm/core_bg.js",
      "wasm/core_bg.wasm",
      "wasm/types.d.ts",
      "workerd.js",
    ].sort(),
  );
  for (const file of ["LICENSE", "CHANGELOG.md"])
    assert.equal(await read(`pkg/${file}`), await read(file), file);
});

test("the wasm asks for nothing but its glue and names no folder of the machine that built it", async (t) => {
  const folder = await makeProject(t);
  const wasm = await readFile(join(folder, "node_modules/@co-mind/client/wasm/core_bg.wasm"));
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm));
  assert.ok(imports.length > 0);
  assert.deepEqual([...new Set(imports.map(({ module }) => module))], ["./core_bg.js"]);
  for (const place of [homedir(), tmpdir(), process.env.CARGO_HOME ?? "/.cargo", process.cwd()])
    assert.ok(!wasm.includes(place), `the wasm names ${place}`);
  const inJavaScript = await readFile(join(folder, "node_modules/@co-mind/client/wasm/core_asm.js"), "utf8");
  assert.doesNotMatch(
    inJavaScript,
    /\beval\b|new Function|WebAssembly\./,
    "the core as JavaScript needs no more",
  );
});

test("nothing written by hand in the package writes to the console", async (t) => {
  const { files } = await pack(t);
  // The glue warns, on a server's wrong content type; that is for its operator to see.
  const written = files.filter((file) => file.endsWith(".js") && !file.startsWith("wasm/"));
  assert.ok(written.length > 5);
  for (const file of written) assert.ok(!(await read(`pkg/${file}`)).includes("console."), file);
});

test("the declared codes are the codes of the core", async () => {
  const rust = (await read("src/error.rs")).matchAll(/^ {4}[A-Z]\w+ = "(\w+)", \d+, \w+, \w+;/gm);
  const core = Array.from(rust, ([, code]) => code).sort();
  const union = /export type ErrorCode =([^;]+);/.exec(await read("pkg/wasm/types.d.ts"))[1];
  const declared = Array.from(union.matchAll(/"(\w+)"/g), ([, code]) => code).sort();
  assert.ok(core.length > 20);
  assert.deepEqual(declared, core);
});

test("publint and @arethetypeswrong find nothing to say", async (t) => {
  const { path } = await pack(t);
  const { publint } = await import("publint");
  const { messages } = await publint({
    pkgDir: fileURLToPath(new URL("../../pkg", import.meta.url)),
    pack: "npm",
    strict: true,
  });
  assert.deepEqual(messages, []);
  // ESM alone is what the package means to be; the wasm has no types to be wrong.
  const attw = fileURLToPath(new URL("../node_modules/.bin/attw", import.meta.url));
  const args = [path, "--format", "json", "--profile", "esm-only", "--exclude-entrypoints", "core.wasm"];
  const { stdout, status, stderr } = spawnSync(attw, args, { encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test("it is ready to be published", async () => {
  const cwd = fileURLToPath(new URL("../../pkg", import.meta.url));
  const { status, stderr } = spawnSync("npm", ["publish", "--dry-run", "--provenance=false"], {
    cwd,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const manifest = JSON.parse(await read("pkg/package.json"));
  assert.deepEqual(manifest.publishConfig, { access: "public", provenance: true });
  for (const name of ["license", "repository", "homepage", "bugs", "description", "engines"])
    assert.ok(manifest[name], name);
  assert.equal(manifest.dependencies, undefined);
});
