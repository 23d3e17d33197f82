// Serves www/dist inside workerd, as Cloudflare's static assets do: content types, `_headers`, ETags, compression.
// Bound to the edge as ASSETS.

const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webmanifest: "application/manifest+json",
  webp: "image/webp",
  woff2: "font/woff2",
};

/** A name that carries a hash of its content: `app-3F2A9C1B.js`, `app.3f2a9c1b.js`. */
const HASHED = /[-.][A-Za-z0-9_]{8,}\.[a-z0-9]+$/;

/** Rules of `_headers`, read once: `[{ matches(path), headers: [[name, value], …] }, …]`. */
let rules;

export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const { pathname } = new URL(request.url);
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const type = TYPES[path.slice(path.lastIndexOf(".") + 1)];
    // Only what a page is made of is served: not `_headers`, not a folder's listing.
    if (!type || path.includes("/_")) return new Response(null, { status: 404 });

    const open = (name) => env.FILES.fetch(new Request(`http://files${name}`, { method: request.method }));
    const zipped = takesGzip(request) ? await open(`${path}.gz`) : null;
    const file = zipped?.ok ? zipped : await open(path);
    if (!file.ok) return new Response(null, { status: 404 });

    rules ??= parseHeaders(await (await env.FILES.fetch("http://files/_headers")).text());
    const headers = new Headers({
      "content-type": type,
      "cache-control": HASHED.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "accept-encoding",
      etag: `W/"${file.headers.get("content-length")}-${Date.parse(file.headers.get("last-modified"))}"`,
    });
    for (const rule of rules)
      if (rule.matches(pathname)) for (const [n, v] of rule.headers) headers.set(n, v);

    if (request.headers.get("if-none-match") === headers.get("etag")) {
      await file.body?.cancel();
      return new Response(null, { status: 304, headers });
    }
    headers.set("content-length", file.headers.get("content-length"));
    if (file !== zipped) return new Response(file.body, { headers });
    headers.set("content-encoding", "gzip");
    return new Response(file.body, { headers, encodeBody: "manual" });
  },
};

/** Whether the caller takes gzip (RFC 9110 §12.5.3), by name and not refused by `q=0`. */
function takesGzip(request) {
  return /(^|,)\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*(,|$))[\d.]+\s*)?(,|$)/i.test(
    request.headers.get("accept-encoding") ?? "",
  );
}

/** Cloudflare's format: a path with `*`s at the margin, its `Name: value` lines indented; `#` comments. */
function parseHeaders(text) {
  const parsed = [];
  for (const line of text.split("\n")) {
    if (!line.trim() || line.trim().startsWith("#")) continue;
    if (/^\s/.test(line)) {
      const colon = line.indexOf(":");
      parsed.at(-1)?.headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
    } else {
      const pattern = line
        .trim()
        .split("*")
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
      const expression = new RegExp(`^${pattern.join(".*")}$`);
      parsed.push({ matches: (path) => expression.test(path), headers: [] });
    }
  }
  return parsed;
}
