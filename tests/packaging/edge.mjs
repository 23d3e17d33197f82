// A scripted edge: the test holds a handle on each request and decides what happens to it, byte by byte.
import http from "node:http";
import { once } from "node:events";

/** What a test waits for at most. A limit for failing, never for ordering. */
const LIMIT_MS = 10_000;

/** One request. Nothing is answered until the test says so. */
class Exchange {
  #response;
  #socket;

  constructor(request, response, body) {
    this.method = request.method;
    this.path = request.url;
    this.headers = request.headers;
    this.body = body;
    this.#response = response;
    this.#socket = request.socket;
    /** Resolves when the answer is over or the caller gone. */
    this.closed = within(once(response, "close"), "the connection is closed");
  }

  /** A whole JSON answer. */
  reply(value, status = 200, headers = {}) {
    this.#response.writeHead(status, { "content-type": "application/json", ...headers });
    this.#response.end(typeof value === "string" ? value : JSON.stringify(value));
  }

  /** A failure of the documented form. */
  fail(status, error, headers = {}) {
    this.reply({ error: { type: "", param: null, ...error } }, status, {
      "x-request-id": "req_1",
      ...headers,
    });
  }

  /** The head of an event stream. */
  stream(headers = {}) {
    this.#response.writeHead(200, {
      "content-type": "text/event-stream",
      "x-request-id": "req_s",
      ...headers,
    });
    this.#response.flushHeaders();
    return this;
  }

  /** One write. Resolves when the system has taken the bytes. */
  send(bytes) {
    return new Promise((resolve) => this.#response.write(bytes, resolve));
  }

  /** Bytes written that nobody has taken yet: they grow when the reader does not read. */
  get waiting() {
    return this.#response.writableLength + this.#socket.writableLength;
  }

  end(bytes) {
    this.#response.end(bytes);
  }

  /** The connection is reset. */
  drop() {
    this.#socket.resetAndDestroy();
  }
}

/** Listens on a free port. `files`: what to serve to a browser beside the script, by path: `[type, bytes]`. */
export async function startEdge(files = {}) {
  const arrived = [];
  const waiting = [];
  const server = http.createServer(async (request, response) => {
    if (request.method === "GET" && files[request.url]) {
      const [type, bytes] = files[request.url];
      response.writeHead(200, { "content-type": type }).end(bytes);
      return;
    }
    const pieces = [];
    try {
      for await (const piece of request) pieces.push(piece);
    } catch {
      return; // The caller left in mid-request.
    }
    const exchange = new Exchange(request, response, Buffer.concat(pieces).toString());
    if (waiting.length > 0) waiting.shift()(exchange);
    else arrived.push(exchange);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,

    /** The next request; fails when none comes. */
    next() {
      if (arrived.length > 0) return Promise.resolve(arrived.shift());
      return within(new Promise((resolve) => waiting.push(resolve)), "a request arrives");
    },

    /** Requests that the test never looked at. */
    get unclaimed() {
      return arrived.map(({ method, path }) => `${method} ${path}`);
    },

    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}

/** Rejects when the promise takes too long; `what` says in words what did not happen. */
export function within(promise, what) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Within ${LIMIT_MS} ms: ${what}.`)), LIMIT_MS);
    timer.unref();
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** The data of one chunk. */
export function chunk(delta, finish_reason = null, index = 0) {
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_795_378_080,
    model: "m",
    choices: [{ index, delta, finish_reason }],
  });
}

/** One event of a stream. */
export function event(data, end = "\n\n") {
  return `data: ${data}${end}`;
}

export const DONE = "data: [DONE]\n\n";
