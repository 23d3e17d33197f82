// Callers of the edge: one that uses fetch, and one with its hands on the socket.
import net from "node:net";
import { once } from "node:events";

import { within } from "./within.mjs";

/** A caller that wants whole answers. */
export class Caller {
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /** The same edge, another credential; without one, none. */
  as(token) {
    return new Caller(this.url, token);
  }

  async request(method, path, { body, headers = {} } = {}) {
    const sent = new Headers(headers);
    if (this.token && !sent.has("authorization")) sent.set("authorization", `Bearer ${this.token}`);
    if (body !== undefined && !sent.has("content-type")) sent.set("content-type", "application/json");
    const plain =
      typeof body === "string" ||
      body instanceof Uint8Array ||
      body === undefined ||
      body instanceof ReadableStream;
    const response = await within(
      20_000,
      fetch(this.url + path, {
        method,
        headers: sent,
        body: plain ? body : JSON.stringify(body),
        duplex: "half",
        redirect: "manual",
      }),
      `${method} ${path} is answered`,
    );
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parsed(text) };
  }

  get(path, options) {
    return this.request("GET", path, options);
  }

  post(path, body, options) {
    return this.request("POST", path, { ...options, body });
  }

  delete(path, options) {
    return this.request("DELETE", path, options);
  }

  /** A chat completion with one word said. */
  chat(extra = {}, options) {
    return this.post(
      "/v1/chat/completions",
      { model: "text-model", messages: [{ role: "user", content: "Hello" }], ...extra },
      options,
    );
  }

  /** The same, streamed, on a socket of its own. */
  stream(extra = {}, options) {
    const messages = [{ role: "user", content: "Hello" }];
    const body = { model: "text-model", messages, stream: true, ...extra };
    return this.connect("/v1/chat/completions", body, options);
  }

  /** Any request with a JSON body, on a socket of its own. */
  connect(path, body, { headers = {}, ...options } = {}) {
    return Connection.open(this.url, {
      method: "POST",
      path,
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      ...options,
    });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One request on one socket; its answer is read as it comes. */
export class Connection {
  #socket;
  #parser = new AnswerParser();
  #changed = resolvers();

  /** Sends the request. The body's length is declared unless the headers say otherwise. */
  static async open(url, { method = "GET", path = "/", headers = {}, body = "" }) {
    const { hostname, port, host } = new URL(url);
    const connection = new Connection(net.connect({ host: hostname, port: Number(port), noDelay: true }));
    await once(connection.#socket, "connect");
    const lines = [
      `${method} ${path} HTTP/1.1`,
      `host: ${host}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    if (body.length > 0) lines.push(`content-length: ${Buffer.byteLength(body)}`);
    connection.#socket.write(
      Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), Buffer.from(body)]),
    );
    return connection;
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#parser.push(bytes);
      this.#change();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#change());
  }

  #change() {
    const { resolve } = this.#changed;
    this.#changed = resolvers();
    resolve();
  }

  async #until(limitMs, ready, what) {
    const end = performance.now() + limitMs;
    while (!ready()) {
      if (this.#socket.destroyed)
        throw new Error(
          `the connection closed before ${what}; so far: ${JSON.stringify(this.text.slice(-300))}`,
        );
      await within(Math.max(1, end - performance.now()), this.#changed.promise, what);
    }
  }

  /** `{ status, headers }`, when they are there. */
  async head(limitMs = 10_000) {
    await this.#until(limitMs, () => this.#parser.head, "the head arrives");
    return this.#parser.head;
  }

  /** The body so far. */
  get bytes() {
    return Buffer.concat(this.#parser.pieces.map((piece) => piece.bytes));
  }

  get text() {
    return this.bytes.toString();
  }

  /** The body so far in the pieces in which the edge wrote it, each with its time. */
  get pieces() {
    return this.#parser.pieces;
  }

  /** Bytes of the body so far. */
  get received() {
    return this.#parser.received;
  }

  /** Waits until the body holds this text. */
  async until(text, limitMs = 10_000) {
    await this.#until(limitMs, () => this.text.includes(text), `the body holds ${JSON.stringify(text)}`);
    return this.text;
  }

  /** Waits until the body has this many bytes. */
  async untilBytes(count, limitMs = 10_000) {
    await this.#until(limitMs, () => this.received >= count, `the body has ${count} bytes`);
  }

  /** The body once it has ended properly; fails when the connection ends before. */
  async whole(limitMs = 10_000) {
    await this.#until(limitMs, () => this.#parser.finished, "the body's proper end");
    return this.bytes;
  }

  /** Reads no more until `resume`. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /** Goes as a process goes that ends: the system sends FIN. */
  leave() {
    this.#socket.destroy();
  }

  /** Goes with a reset. */
  reset() {
    this.#socket.resetAndDestroy();
  }
}

/** Takes an HTTP/1.1 answer apart and keeps the chunks of its body as they were written. */
class AnswerParser {
  #rest = Buffer.alloc(0);
  #chunked = false;
  #left = 0; // Bytes of the open chunk, or of a body of declared length.

  head = null;
  pieces = [];
  received = 0;
  finished = false;

  push(bytes) {
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    if (!this.head && !this.#readHead()) return;
    if (this.#chunked) while (this.#readChunk());
    else this.#take(Math.min(this.#left, this.#rest.length));
    if (!this.#chunked && this.#left === 0) this.finished = true;
  }

  #readHead() {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [first, ...lines] = this.#rest.subarray(0, end).toString("latin1").split("\r\n");
    this.#rest = this.#rest.subarray(end + 4);
    const headers = new Headers(
      lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
    );
    this.head = { status: Number(first.split(" ")[1]), headers };
    this.#chunked = headers.get("transfer-encoding") === "chunked";
    this.#left = this.#chunked ? 0 : Number(headers.get("content-length") ?? 0);
    return true;
  }

  #readChunk() {
    if (this.finished) return false;
    if (this.#left > 2) {
      this.#take(Math.min(this.#left - 2, this.#rest.length));
      if (this.#left > 2) return false;
    }
    if (this.#left > 0) {
      if (this.#rest.length < this.#left) return false;
      this.#rest = this.#rest.subarray(this.#left); // The line end after the chunk.
      this.#left = 0;
    }
    const end = this.#rest.indexOf("\r\n");
    if (end < 0) return false;
    const size = Number.parseInt(this.#rest.subarray(0, end).toString("latin1"), 16);
    this.#rest = this.#rest.subarray(end + 2);
    this.#left = size + 2;
    if (size === 0) this.finished = true;
    return true;
  }

  #take(count) {
    if (count <= 0) return;
    this.pieces.push({ bytes: this.#rest.subarray(0, count), at: performance.now() });
    this.received += count;
    this.#rest = this.#rest.subarray(count);
    this.#left -= count;
  }
}

function resolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
