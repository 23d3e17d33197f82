// What the package does on every platform: a program that uses it, and a server that plays the edge for it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { extname, join, normalize } from "node:path";

import { DONE, chunk, event, within } from "./edge.mjs";

/** A program: signs in, asks, streams, aborts, is cut; gives what it saw. */
export const TOUR = `
  export async function tour({ CoMind, init }, baseURL) {
    const core = await init();
    const client = new CoMind({ baseURL });
    const { user } = await client.auth.login({ email: "ada@example.com", password: "secret" });
    const ask = (content) => ({ model: "m", messages: [{ role: "user", content }] });
    const plain = await client.chat.completions.create(ask("plain"));
    let text = "";
    for await (const piece of client.chat.completions.stream(ask("whole")).textStream) text += piece;
    const chunks = [];
    for await (const { choices } of await client.chat.completions.create({ ...ask("whole"), stream: true }))
      chunks.push(choices[0].delta.content);
    const left = client.chat.completions.stream(ask("endless"));
    await left.next();
    left.abort();
    const aborted = await left.next().catch(({ name }) => name);
    const cut = await client.chat.completions
      .stream(ask("cut"))
      .finalText()
      .catch(({ name, code, partial }) => [name, code, partial.choices[0].message.content]);
    const refused = await client.models.list().catch(({ name, code, status }) => [name, code, status]);
    return { core, email: user.email, plain: plain.id, text, chunks, aborted, cut, refused };
  }
  /** For a program that can only tell by a request. */
  export async function report(load, baseURL) {
    const seen = await load().then((client) => tour(client, baseURL)).catch((error) => ({ error: \`\${error.stack} \${error.cause}\` }));
    await fetch(baseURL + "/report", { method: "POST", body: JSON.stringify(seen) });
  }`;

/** What the program must have seen. */
export const SEEN = {
  email: "ada@example.com",
  plain: "c1",
  text: "Grüße 🌍",
  chunks: ["Grü", "ße ", "🌍"],
  aborted: "AbortError",
  cut: ["StreamTruncatedError", "stream_truncated", "Hal"],
  refused: ["APIError", "insufficient_scope", 403],
};

const TYPES = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};
const ANSWERS = {
  whole:
    event(chunk({ content: "Grü" })) +
    event(chunk({ content: "ße " })) +
    event(chunk({ content: "🌍" }, "stop")) +
    DONE,
  endless: event(chunk({ content: "a" })),
  cut: event(chunk({ content: "Hal" })),
};

/**
 * The edge of the tour. `files`: pages by path, as text; under `/package/` stands the folder `installed`; `headers` go
 * with every file. It gives what was reported, and how often an endless answer was left.
 */
export async function startTour({ files = {}, installed, headers = {} } = {}) {
  const tour = { left: 0 };
  const reported = Promise.withResolvers();
  const server = http.createServer(async (request, response) => {
    const path = request.url.split("?")[0];
    const send = (type, body, status = 200) =>
      response.writeHead(status, { ...headers, "content-type": type }).end(body);
    if (request.method === "GET" && path in files) return send(TYPES[extname(path) || ".html"], files[path]);
    if (path.startsWith("/package/")) {
      const file = join(installed, normalize(path.slice("/package".length)));
      return readFile(file).then(
        (body) => send(TYPES[extname(file)], body),
        () => send("text/plain", "", 404),
      );
    }
    let body = "";
    for await (const piece of request) body += piece;
    if (path === "/report") {
      reported.resolve(JSON.parse(body));
      return send("application/json", "{}");
    }
    if (path === "/v1/auth/login") {
      const { email } = JSON.parse(body);
      return send(
        "application/json",
        JSON.stringify({
          access_token: "jwt",
          refresh_token: "r",
          token_type: "bearer",
          expires_in: 3600,
          user: { email },
        }),
      );
    }
    if (path === "/v1/models") {
      const error = { message: "no", code: "insufficient_scope", required_scope: "models:read" };
      return send("application/json", JSON.stringify({ error }), 403);
    }
    if (path !== "/v1/chat/completions") return send("text/plain", "", 404);
    if (request.headers.authorization !== "Bearer jwt") return send("application/json", "{}", 401);
    const { stream, messages } = JSON.parse(body);
    if (!stream) return send("application/json", '{"id":"c1"}');
    response.writeHead(200, { "content-type": "text/event-stream" });
    const [{ content }] = messages;
    if (content !== "endless") return response.end(ANSWERS[content]);
    response.write(ANSWERS.endless);
    response.once("close", () => (tour.left += 1));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Checks what was seen, and that the model was told to stop. */
    async check(core, seen) {
      const report = seen ?? (await within(reported.promise, "the tour is over"));
      assert.equal(report.error, undefined, report.error);
      assert.deepEqual(report, { core, ...SEEN });
      for (let waited = 0; tour.left === 0 && waited < 5000; waited += 20)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(tour.left, 1, "the endless answer was left");
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
