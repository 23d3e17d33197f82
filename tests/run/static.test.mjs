// The console as scripts/static.js serves it, through the edge: types, caching, headers, and nothing else.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { startEdge } from "../../scripts/edge.mjs";

const dist = fileURLToPath(new URL("../../www/dist", import.meta.url));
let dataDir, edge, asset;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "static-"));
  const settings = { BACKENDS: "[]", JWT_SECRET: "a secret of more than thirty-two bytes" };
  edge = await startEdge({ settings, dataDir, console: true });
  asset = (extension) =>
    readdir(join(dist, "assets")).then((names) => names.find((n) => n.endsWith(extension)));
});
after(async () => {
  await edge?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const get = (path, init) => fetch(edge.url + path, init);

test("the page is revalidated, and carries the headers of _headers", async () => {
  const response = await get("/");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-cache");
  assert.match(response.headers.get("content-security-policy"), /default-src 'none'/);
  assert.match(await response.text(), /^<!doctype html>/i);

  const again = await get("/", { headers: { "if-none-match": response.headers.get("etag") } });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), "");
});

test("a file with a hash in its name is kept for ever, with its own type", async () => {
  for (const [extension, type] of [
    [".js", "text/javascript; charset=utf-8"],
    [".css", "text/css; charset=utf-8"],
    [".wasm", "application/wasm"],
  ]) {
    const response = await get(`/assets/${await asset(extension)}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(response.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.ok((await response.arrayBuffer()).byteLength > 0);
  }
});

test("HEAD gives the length without the body", async () => {
  const response = await get("/", { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.ok(Number(response.headers.get("content-length")) > 0);
  assert.equal(await response.text(), "");
});

/** The answer as it crosses the wire: `fetch` would unpack it unseen. */
async function raw(path, accepts) {
  const [response] = await once(
    http.get(edge.url + path, { headers: { "accept-encoding": accepts } }),
    "response",
  );
  return { headers: response.headers, body: await buffer(response) };
}

test("what shrinks is sent compressed to whoever takes that, and the same to all others", async () => {
  for (const path of ["/", `/assets/${await asset(".js")}`, `/assets/${await asset(".wasm")}`]) {
    const plain = await raw(path, "identity");
    assert.equal(plain.headers["content-encoding"], undefined, path);
    assert.equal(plain.headers.vary, "accept-encoding");
    for (const accepts of ["gzip", "gzip, deflate, br", "br;q=1, GZIP;q=0.5"]) {
      const zipped = await raw(path, accepts);
      assert.equal(zipped.headers["content-encoding"], "gzip", accepts);
      assert.ok(zipped.body.length < plain.body.length * 0.9, path);
      assert.equal(Number(zipped.headers["content-length"] ?? zipped.body.length), zipped.body.length);
      assert.ok(gunzipSync(zipped.body).equals(plain.body), path);
      assert.notEqual(zipped.headers.etag, plain.headers.etag);
    }
    for (const accepts of ["gzip;q=0", "br", "x-gzipped", "gzip; q=0.000"])
      assert.equal((await raw(path, accepts)).headers["content-encoding"], undefined, accepts);
  }
});

test("what is not part of the page is not served", async () => {
  for (const path of [
    "/_headers",
    "/assets",
    "/assets/",
    "/nope.js",
    "/index.html.gz",
    "/.assetsignore",
    "/%2e%2e%2fbuild.mjs",
    "/..%5cbuild.mjs",
    "/%00.html",
  ]) {
    const response = await get(path);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
});
