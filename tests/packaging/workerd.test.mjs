// The installed package in a Worker, in real workerd.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";

import { build } from "esbuild";

import { DONE, chunk, event, startEdge, within } from "./edge.mjs";
import { makeProject } from "./tarball.mjs";

const WORKER = `
import { CoMind } from "@co-mind/client";

const ACTIONS = {
  async read(client) {
    const stream = await client.chat.completions.create({ model: "m", messages: [], stream: true });
    let text = "";
    for await (const { choices } of stream) text += choices[0].delta.content ?? "";
    return text;
  },
  async leave(client) {
    const stream = await client.chat.completions.create({ model: "m", messages: [], stream: true });
    for await (const { choices } of stream) return choices[0].delta.content;
  },
  async timeout(client) {
    const stream = await client.chat.completions.create({ model: "m", messages: [], stream: true }, { timeout: 100 });
    for await (const { choices } of stream);
  },
  async abort(client) {
    const controller = new AbortController();
    const listing = client.models.list({ signal: controller.signal });
    await scheduler.wait(50);
    controller.abort();
    return listing;
  },
  health: (client) => client.health(),
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const [, how, action] = pathname.split("/");
    const fetch = how === "bound" ? env.EDGE.fetch.bind(env.EDGE) : undefined;
    const client = new CoMind({ baseURL: env.BASE_URL, token: "t", maxRetries: 0, fetch });
    try {
      return Response.json({ value: await ACTIONS[action](client) });
    } catch ({ name, code, partial, message, cause }) {
      return Response.json({ name, code, partial: partial?.choices[0].message.content, message, cause: String(cause) });
    }
  },
};`;

const config = (baseURL) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "main.js", esModule = embed "main.js"),
        (name = "wasm/core_bg.wasm", wasm = embed "wasm/core_bg.wasm"),
      ],
      compatibilityDate = "2026-11-01",
      bindings = [(name = "BASE_URL", text = "${baseURL}"), (name = "EDGE", service = "internet")],
    )),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", service = "main")],
);`;

/** workerd with a Worker that uses the package; gives its URL. */
async function startWorker(t, baseURL) {
  const folder = await makeProject(t, { "worker.js": WORKER, "workerd.capnp": config(baseURL) });
  await build({
    entryPoints: [join(folder, "worker.js")],
    outfile: join(folder, "main.js"),
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    external: ["*.wasm"],
  });
  await mkdir(join(folder, "wasm"));
  const wasm = "wasm/core_bg.wasm";
  await copyFile(join(folder, "node_modules/@co-mind/client", wasm), join(folder, wasm));
  const workerd = process.env.WORKERD_BIN ?? assert.fail("scripts/env.sh sets WORKERD_BIN");
  const child = spawn(workerd, ["serve", "--control-fd=3", join(folder, "workerd.capnp")], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  t.after(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  const [line] = await within(once(child.stdio[3], "data"), "workerd listens");
  return `http://127.0.0.1:${JSON.parse(line).port}`;
}

test("the package in a Worker", async (t) => {
  const edge = await startEdge();
  t.after(() => edge.close());
  const worker = await startWorker(t, edge.url);
  const act = async (action, how = "plain") => (await fetch(`${worker}/${how}/${action}`)).json();

  for (const how of ["plain", "bound"])
    await t.test(`it asks over its ${how === "bound" ? "service binding" : "own fetch"}`, async () => {
      const acting = act("health", how);
      const exchange = await edge.next();
      assert.equal(exchange.path, "/health");
      exchange.reply({ status: "ok" });
      assert.deepEqual(await acting, { value: { status: "ok" } });
    });

  await t.test("it reads a stream", async () => {
    const acting = act("read");
    const exchange = await edge.next();
    exchange.stream();
    for (const content of ["Grüße", " ", "🌍"]) await exchange.send(event(chunk({ content }), "\r\n\r\n"));
    exchange.end(DONE);
    assert.deepEqual(await acting, { value: "Grüße 🌍" });
  });

  await t.test("a loop that is left closes the connection", async () => {
    const acting = act("leave");
    const exchange = await edge.next();
    await exchange.stream().send(event(chunk({ content: "Hal" })));
    assert.deepEqual(await acting, { value: "Hal" });
    await exchange.closed;
  });

  await t.test("a silent stream times out with what it had", async () => {
    const acting = act("timeout");
    const exchange = await edge.next();
    await exchange.stream().send(event(chunk({ content: "Hal" })));
    const { code, partial } = await acting;
    assert.deepEqual([code, partial], ["timeout", "Hal"]);
    await exchange.closed;
  });

  await t.test("a waiting call is aborted", async () => {
    const acting = act("abort");
    const exchange = await edge.next();
    assert.equal((await acting).name, "AbortError");
    await exchange.closed;
  });

  assert.deepEqual(edge.unclaimed, []);
});
