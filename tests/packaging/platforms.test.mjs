// The installed package where it may be used: other runtimes, bundlers, browsers, workers, and under strict policies.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { build as esbuild } from "esbuild";
import webpack from "webpack";

import { openBrowser } from "./browser.mjs";
import { makeProject } from "./tarball.mjs";
import { TOUR, startTour } from "./tour.mjs";

const run = promisify(execFile);
const { resolve } = createRequire(import.meta.url);
const POLICY = "default-src 'none'; connect-src *; img-src data:; worker-src 'self'; script-src 'self'";
const STRICT = { "content-security-policy": POLICY };
const USUAL = { "content-security-policy": `${POLICY} 'wasm-unsafe-eval'` };
const page = (script) =>
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;
const installedIn = (folder) => join(folder, "node_modules/@co-mind/client");

/** The program of a package that npm brought for this machine. */
async function binaryOf(scope, name, path) {
  const folder = join(resolve(`${name}/package.json`), "../..", scope);
  const [found] = (await readdir(folder)).filter((entry) =>
    entry.includes(process.arch === "x64" ? "x64" : "aarch64"),
  );
  return join(folder, found, path);
}

for (const [name, scope, path, args] of [
  [
    "deno",
    "@deno",
    "deno",
    ["run", "--no-prompt", "--allow-net=127.0.0.1", "--allow-read", "--node-modules-dir=manual"],
  ],
  ["bun", "@oven", "bin/bun", []],
])
  test(`${name} runs the tour`, async (t) => {
    const tour = await startTour();
    t.after(() => tour.close());
    const folder = await makeProject(t, {
      "tour.js": TOUR,
      "main.js": `
        import * as client from "@co-mind/client";
        import { tour } from "./tour.js";
        console.log(JSON.stringify(await tour(client, ${JSON.stringify(tour.url)})));`,
    });
    const options = {
      cwd: folder,
      timeout: 60_000,
      env: { ...process.env, NO_COLOR: "1", DENO_DIR: join(folder, ".deno") },
    };
    const { stdout } = await run(await binaryOf(scope, name, path), [...args, "main.js"], options);
    await tour.check("wasm", JSON.parse(stdout));
  });

/** Opens the page of a tour in Chromium and checks what it reports. */
async function visit(t, tour, core, { isQuiet = true } = {}) {
  const browser = await openBrowser(t);
  const opened = await browser.newPage();
  const complaints = [];
  opened.on("pageerror", (error) => complaints.push(error.stack));
  opened.on("console", (message) => {
    const isExpected = /status of 403|Content Security Policy|Content-Security-Policy/.test(message.text());
    if (message.type() === "error" && !isExpected) complaints.push(message.text());
  });
  await opened.goto(tour.url);
  await tour.check(core);
  if (isQuiet) assert.deepEqual(complaints, []);
}

const MAIN = `import { report } from "./tour.js"; report(() => import("@co-mind/client"), location.origin);`;

/** The files that a bundler wrote, as a server gives them. */
async function filesOf(folder) {
  const files = {};
  for (const name of await readdir(folder)) files[`/${name}`] = await readFile(join(folder, name));
  return files;
}

test("a page built by webpack runs the tour", async (t) => {
  const folder = await makeProject(t, { "tour.js": TOUR, "main.js": MAIN });
  const stats = await promisify(webpack)({
    mode: "production",
    context: folder,
    entry: "./main.js",
    output: { path: join(folder, "dist"), publicPath: "/" },
  });
  assert.deepEqual(stats.toJson().errors, []);
  const files = await filesOf(join(folder, "dist"));
  assert.equal(Object.keys(files).filter((path) => path.endsWith(".wasm")).length, 1);
  const tour = await startTour({ files: { ...files, "/": page("/main.js") }, headers: USUAL });
  t.after(() => tour.close());
  await visit(t, tour, "wasm");
});

for (const [what, core, loader] of [
  ["that is told what a .wasm file is", "wasm", { ".wasm": "file" }],
  ["that knows nothing of WebAssembly", "javascript", {}],
])
  test(`a page built by esbuild ${what} runs the tour`, async (t) => {
    // What esbuild does not do by itself: it leaves \`new URL("./x.wasm", import.meta.url)\` as it stands.
    const main =
      core === "wasm"
        ? `import wasm from "@co-mind/client/core.wasm"; import * as client from "@co-mind/client/slim";
           import { report } from "./tour.js";
           report(async () => { await client.init(wasm); return client; }, location.origin);`
        : MAIN;
    const folder = await makeProject(t, { "tour.js": TOUR, "main.js": main });
    const outdir = join(folder, "dist");
    await esbuild({
      entryPoints: [join(folder, "main.js")],
      bundle: true,
      splitting: true,
      format: "esm",
      minify: true,
      outdir,
      loader,
      logLevel: "silent",
    });
    const tour = await startTour({
      files: { ...(await filesOf(outdir)), "/": page("/main.js") },
      headers: USUAL,
    });
    t.after(() => tour.close());
    await visit(t, tour, core, { isQuiet: core === "wasm" });
  });

const PLAIN = {
  "/": page("/main.js"),
  "/tour.js": TOUR,
  "/main.js": `import { report } from "/tour.js"; report(() => import("/package/index.js"), location.origin);`,
};

for (const [what, core, headers] of [
  ["without a bundler", "wasm", USUAL],
  ["whose policy forbids WebAssembly", "javascript", STRICT],
])
  test(`a page ${what} runs the tour`, async (t) => {
    const installed = installedIn(await makeProject(t));
    const tour = await startTour({ files: PLAIN, installed, headers });
    t.after(() => tour.close());
    await visit(t, tour, core);
  });

const WORKERS = {
  shared: `new SharedWorker("/worker.js", { type: "module" });`,
  dedicated: `new Worker("/worker.js", { type: "module" });`,
  service: `navigator.serviceWorker.register("/worker.js", { type: "module" });`,
};
for (const [kind, start] of Object.entries(WORKERS))
  test(`a ${kind} worker runs the tour`, async (t) => {
    const installed = installedIn(await makeProject(t));
    const worker = `import * as client from "/package/index.js"; import { report } from "/tour.js";
      report(async () => client, location.origin);`;
    const files = { ...PLAIN, "/main.js": start, "/worker.js": worker };
    const tour = await startTour({ files, installed, headers: USUAL });
    t.after(() => tour.close());
    await visit(t, tour, "wasm");
  });

test("Firefox runs the tour", async (t) => {
  const installed = installedIn(await makeProject(t));
  const tour = await startTour({ files: PLAIN, installed, headers: USUAL });
  t.after(() => tour.close());
  const profile = await mkdtemp(join(tmpdir(), "co-mind-firefox-"));
  // Its own traffic is none of the test's.
  const preferences = {
    "app.update.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": false,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": false,
  };
  const lines = Object.entries(preferences).map(
    ([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`,
  );
  await writeFile(join(profile, "user.js"), lines.join("\n"));
  const firefox = spawn(
    process.env.FIREFOX ?? "firefox-esr",
    ["--headless", "--no-remote", "--profile", profile, tour.url],
    { stdio: "ignore", env: { ...process.env, HOME: profile } },
  );
  const ended = new Promise((resolve) => {
    firefox.once("exit", resolve);
    firefox.once("error", resolve);
  });
  t.after(async () => {
    firefox.kill("SIGKILL");
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  await tour.check("wasm");
});

test("importing the package touches nothing: a server may render a page that will use it", async (t) => {
  const folder = await makeProject(t, {
    "main.js": `
      for (const name of ["fetch", "WebAssembly", "BroadcastChannel", "localStorage", "document", "navigator", "location", "Request", "setTimeout", "crypto"])
        Object.defineProperty(globalThis, name, { get() { throw new Error(name + " was touched"); } });
      for (const entry of ["", "/slim", "/javascript"]) await import("@co-mind/client" + entry);
      const { CoMind } = await import("@co-mind/client");
      new CoMind({ baseURL: "https://ai.example.com" });
      process.stdout.write("untouched");`,
  });
  const { stdout } = await run(process.execPath, ["main.js"], { cwd: folder, timeout: 30_000 });
  assert.equal(stdout, "untouched");
});
