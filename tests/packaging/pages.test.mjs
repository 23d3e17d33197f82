// Two open pages, the installed package as it is, and the real edge: a session that both use meets its end.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { extname, join, normalize } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { openScene } from "../e2e/scene.mjs";
import { DONE, event } from "../e2e/upstream.mjs";
import { openBrowser } from "./browser.mjs";
import { makeProject } from "./tarball.mjs";

const LIFETIME_SECS = 6; // so long that no machine is too slow for the calls within the next one
const CALLS = 50;
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>page</title>
  <script type="module" src="/main.js"></script>`;
const SCRIPT = `
  import { CoMind, tabStorage, webStorage } from "/package/index.js";
  const storages = { localStorage: () => webStorage(localStorage), tabs: () => tabStorage() };
  window.connect = (baseURL, storage) => {
    window.client = new CoMind({ baseURL, storage: storages[storage](), maxRetries: 0 });
  };
  document.title = "ready";`;
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };

/** Serves a page and the files of the installed package; gives its origin. */
async function servePage(t) {
  const folder = join(await makeProject(t), "node_modules/@co-mind/client");
  const server = http.createServer(async ({ url }, response) => {
    const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    if (url === "/") return send("text/html", PAGE);
    if (url === "/main.js") return send(TYPES[".js"], SCRIPT);
    const path = normalize(url.replace("/package", ""));
    return readFile(join(folder, path)).then(
      (body) => send(TYPES[extname(path)], body),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

test("a session of two pages", async (t) => {
  const origin = await servePage(t);
  const scene = await openScene({
    settings: { ALLOWED_ORIGINS: origin, ACCESS_TOKEN_SECS: String(LIFETIME_SECS), CONCURRENCY_LIMIT: "0" },
  });
  t.after(() => scene.close());
  const browser = await openBrowser(t);

  for (const storage of ["localStorage", "tabs"])
    await t.test(`is renewed once for all calls of both (${storage})`, async () => {
      const context = await browser.newContext();
      const renewals = [];
      context.on("request", (request) => {
        if (request.method() === "POST" && request.url().endsWith("/v1/auth/refresh")) renewals.push(request);
      });
      const complaints = [];
      const open = async () => {
        const page = await context.newPage();
        page.on("pageerror", (error) => complaints.push(error.stack));
        page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
        await page.goto(origin);
        await page.waitForFunction(() => document.title === "ready");
        await page.evaluate(([url, storage]) => window.connect(url, storage), [scene.url, storage]);
        return page;
      };
      const first = await open();
      const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = scene.settings;
      const { user } = await first.evaluate((who) => window.client.auth.login(who), { email, password });
      const began = Date.now();
      const second = await open();
      assert.deepEqual(await second.evaluate(() => window.client.auth.session()), { user });

      // An answer that is under way when the token ends is not disturbed.
      const answer = first.evaluate(() =>
        window.client.chat.completions
          .stream({ model: "text-model", messages: [{ role: "user", content: "Hi" }] })
          .finalText(),
      );
      const exchange = await scene.upstream.next();
      await exchange.sendHead().send(event({ content: "Hello " }));

      await sleep(began + LIFETIME_SECS * 1000 - Date.now());
      const call = (page) =>
        page.evaluate(
          (count) => Promise.all(Array.from({ length: count }, () => window.client.models.list())),
          CALLS,
        );
      const lists = (await Promise.all([call(first), call(second)])).flat();
      assert.equal(lists.length, 2 * CALLS);
      for (const { data } of lists) assert.ok(data.length > 0);
      assert.equal(renewals.length, 1);

      exchange.end(event({ content: "world" }, "stop") + DONE);
      assert.equal(await answer, "Hello world");

      // Signing out in one is known in the other.
      await second.evaluate(() => {
        window.ended = new Promise((resolve) => window.client.auth.onChange(resolve));
      });
      await first.evaluate(() => window.client.auth.logout());
      assert.equal(await second.evaluate(() => window.ended), null);
      assert.equal(await second.evaluate(() => window.client.auth.session()), null);
      const left = await first.evaluate(() => [localStorage.length, sessionStorage.length]);
      assert.deepEqual(left, [0, 0]);
      assert.deepEqual(complaints, []);
      await context.close();
    });
});
