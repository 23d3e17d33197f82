// The installed package in pages that Vite serves and builds, in real Chromium.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import test from "node:test";

import { build, createServer } from "vite";

import { openBrowser } from "./browser.mjs";
import { DONE, chunk, event, startEdge } from "./edge.mjs";
import { makeProject } from "./tarball.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src *; img-src data:";
const PAGE = {
  "index.html": `<!doctype html><meta charset="utf-8"><meta http-equiv="content-security-policy" content="${CSP}">
    <link rel="icon" href="data:,"><title>page</title><script type="module" src="/main.js"></script>`,
  "main.js": `
    import { CoMind } from "@co-mind/client";
    window.connect = (options) => new CoMind({ baseURL: location.origin, ...options });
    window.take = async (stream) => {
      const { value, done } = await stream.next();
      return done ? null : value.choices[0].delta.content;
    };
    window.failure = (promise) => promise.then(() => null, ({ name, code, status, requestId }) => ({ name, code, status, requestId }));
    document.title = "ready";`,
};

/** A page at this address that has run its script. `complaints` fills with all that a page must not say. */
async function openPage(browser, url) {
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => {
    // Chromium itself says so of each failed answer.
    const isExpected = message
      .text()
      .startsWith("Failed to load resource: the server responded with a status of 429");
    if (["error", "warning"].includes(message.type()) && !isExpected) complaints.push(message.text());
  });
  await page.goto(url);
  await page.waitForFunction(() => document.title === "ready");
  return { page, complaints };
}

/** What Vite wrote, as a server serves it. */
async function readFiles(folder) {
  const files = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const type = TYPES[extname(path)] ?? assert.fail(`What is ${path}?`);
    files[path.slice(folder.length)] = [type, await readFile(path)];
  }
  return { ...files, "/": files["/index.html"] };
}

test("a page built by Vite, in Chromium", async (t) => {
  const folder = await makeProject(t, PAGE);
  await build({ root: folder, logLevel: "warn", build: { assetsInlineLimit: 0 } });
  const files = await readFiles(join(folder, "dist"));
  assert.equal(
    Object.keys(files).filter((path) => path.endsWith(".wasm")).length,
    1,
    "the wasm is built in once",
  );
  const edge = await startEdge(files);
  t.after(() => edge.close());
  const { page, complaints } = await openPage(await openBrowser(t), edge.url);

  await t.test("signs in, and sends no cookie", async () => {
    const signingIn = page.evaluate(() => {
      document.cookie = "session=page";
      window.client = window.connect();
      return window.client.auth.login({ email: "e", password: "p" });
    });
    const login = await edge.next();
    assert.equal(login.headers.cookie, undefined);
    login.reply({
      access_token: "jwt",
      refresh_token: "r",
      token_type: "bearer",
      expires_in: 3600,
      user: {},
    });
    assert.equal((await signingIn).access_token, "jwt");
  });

  const open = async () => {
    const creating = page.evaluate(async () => {
      window.stream = await window.client.chat.completions.create({ model: "m", messages: [], stream: true });
    });
    const exchange = await edge.next();
    assert.equal(exchange.headers.authorization, "Bearer jwt");
    exchange.stream();
    await creating;
    return exchange;
  };
  const take = () => page.evaluate(() => window.take(window.stream));

  await t.test("shows the first piece before the answer is over", async () => {
    const exchange = await open();
    const bytes = Buffer.from(": keep-alive\r\n\r\n" + event(chunk({ content: "Grüße 🌍" }), "\r\n\r\n"));
    const cut = bytes.indexOf("🌍") + 2;
    await exchange.send(bytes.subarray(0, cut));
    await exchange.send(bytes.subarray(cut));
    assert.equal(await take(), "Grüße 🌍");
    exchange.end(event(chunk({ content: "!" }, "stop")) + DONE);
    assert.equal(await take(), "!");
    assert.equal(await take(), null);
    const whole = await page.evaluate(() => window.stream.finalCompletion());
    assert.equal(whole.choices[0].message.content, "Grüße 🌍!");
  });

  await t.test("abort closes the connection and is an AbortError", async () => {
    const exchange = await open();
    const failing = page.evaluate(() => {
      const next = window.failure(window.stream.next());
      window.stream.abort();
      return next;
    });
    assert.deepEqual(await failing, { name: "AbortError", code: "aborted", status: 0, requestId: "req_s" });
    await exchange.closed;
  });

  await t.test("a cut stream and a failed call have their codes", async () => {
    const exchange = await open();
    await exchange.send(event(chunk({ content: "Hal" })));
    assert.equal(await take(), "Hal");
    exchange.end();
    const cut = await page.evaluate(() => window.failure(window.stream.next()));
    assert.deepEqual([cut.name, cut.code], ["StreamTruncatedError", "stream_truncated"]);
    const listing = page.evaluate(() => window.failure(window.client.models.list({ maxRetries: 0 })));
    (await edge.next()).fail(429, { message: "slow", code: "rate_limited" });
    assert.deepEqual(await listing, {
      name: "APIError",
      code: "rate_limited",
      status: 429,
      requestId: "req_1",
    });
  });

  await t.test("another origin is asked for two headers and no more", async (t) => {
    const other = await startEdge();
    t.after(() => other.close());
    const asking = page.evaluate((baseURL) => {
      return window
        .connect({ baseURL, token: "cmnd_x", dangerouslyAllowBrowser: true })
        .chat.completions.create({ model: "m", messages: [] });
    }, other.url);
    const headers = { "access-control-allow-origin": edge.url };
    const preflight = await other.next();
    assert.equal(preflight.method, "OPTIONS");
    assert.equal(preflight.headers["access-control-request-headers"], "authorization,content-type");
    preflight.reply("", 200, { ...headers, "access-control-allow-headers": "authorization, content-type" });
    (await other.next()).reply({ id: "x" }, 200, headers);
    assert.deepEqual(await asking, { id: "x" });
  });

  assert.deepEqual(complaints, []);
  assert.deepEqual(edge.unclaimed, []);
});

test("a page that Vite serves while it is being written", async (t) => {
  const html = PAGE["index.html"].replace(/<meta http-equiv[^>]*>/, "");
  const folder = await makeProject(t, { ...PAGE, "index.html": html });
  const server = await createServer({
    root: folder,
    logLevel: "error",
    server: { host: "127.0.0.1", port: 0, hmr: false },
  });
  t.after(() => server.close());
  await server.listen();
  const edge = await startEdge();
  t.after(() => edge.close());
  const { page, complaints } = await openPage(await openBrowser(t), server.resolvedUrls.local[0]);
  const asking = page.evaluate((baseURL) => window.connect({ baseURL }).health(), edge.url);
  (await edge.next()).reply({ status: "ok" }, 200, { "access-control-allow-origin": "*" });
  assert.deepEqual(await asking, { status: "ok" });
  assert.deepEqual(complaints, []);
});
