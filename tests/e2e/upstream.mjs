// A scripted backend: the test holds a handle on each request and decides what happens to it, byte by byte.
import http from "node:http";
import { once } from "node:events";

import { discover } from "./discovery.mjs";
import { within } from "./within.mjs";
import { freePort } from "../port.mjs";

/** A port on which nobody listens. */
export const deadPort = freePort;

/** One request for work that reached the backend. Nothing is answered until the test says so. */
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
    /** Resolves when the answer is over or its connection gone, with the time. */
    this.closed = new Promise((resolve) => response.once("close", () => resolve(performance.now())));
  }

  get json() {
    return JSON.parse(this.body.toString());
  }

  /** Whether it has been answered, or its connection has gone. */
  get isOver() {
    return this.#response.writableEnded || this.#response.destroyed;
  }

  /** Status line and headers, at once. */
  sendHead(status = 200, headers = { "content-type": "text/event-stream" }) {
    this.#response.writeHead(status, headers);
    this.#response.flushHeaders();
    return this;
  }

  /** One write, one chunk. Resolves when the system has taken the bytes. */
  send(bytes) {
    return new Promise((resolve) => this.#response.write(bytes, resolve));
  }

  /** Bytes that have left this process: what the edge and the system between have taken. */
  get taken() {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** The proper end. */
  end(bytes) {
    this.#response.end(bytes);
  }

  /** A whole JSON answer. */
  reply(value, status = 200, headers = {}) {
    this.sendHead(status, { "content-type": "application/json", ...headers }).end(
      typeof value === "string" ? value : JSON.stringify(value),
    );
  }

  /** The connection ends in an orderly way, in mid-answer. */
  fin() {
    this.#socket.end();
  }

  /** The connection is reset. */
  drop() {
    this.#socket.resetAndDestroy();
  }
}

/** What a backend is asked for; all else is about itself. */
const WORK = new Set(["POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings"]);

export class Upstream {
  #server;
  #arrived = [];
  #waiting = [];
  #script = null;

  /** Requests that a backend of this kind would not know, each as `METHOD path`. */
  unmatched = [];
  /** Questions about the backend itself, each as `{ question, headers }`. */
  questions = [];

  constructor(kind, models, capabilities) {
    this.kind = kind;
    this.models = models;
    this.capabilities = capabilities;
    /** `answer`; `refuse`: with 503, as a server does that is going; or `hang`: questions stay without an answer. */
    this.discovery = "answer";
    /** What a vLLM says of its work. */
    this.metrics = "vllm:num_requests_running 0\n";
    this.#server = http.createServer((request, response) => void this.#receive(request, response));
    this.#server.requestTimeout = 0;
  }

  async listen(port = 0) {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  /** The next request for work; fails when none comes. */
  next(limitMs = 10_000) {
    if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift());
    let waiter;
    const arrival = new Promise((resolve) => this.#waiting.push((waiter = resolve)));
    return within(limitMs, arrival, "a request reaches the backend").catch((failure) => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      throw failure;
    });
  }

  /** From now on every request for work goes to this function instead of `next`. */
  always(script) {
    this.#script = script;
  }

  /** Requests for work that the test never looked at. */
  get unclaimed() {
    return this.#arrived.map(({ method, path }) => `${method} ${path}`);
  }

  /** No longer there: connections are refused from now on. */
  async close() {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, "close");
  }

  async #receive(request, response) {
    const pieces = [];
    try {
      for await (const piece of request) pieces.push(piece);
    } catch {
      return; // The edge went away in mid-request.
    }
    const question = `${request.method} ${request.url.split("?")[0]}`;
    // llama.cpp is asked for an embedding of nothing, which it refuses in one of two ways.
    const isEmpty = this.kind === "llamacpp" && Buffer.concat(pieces).toString() === "{}";
    if (WORK.has(question) && !isEmpty) {
      this.#deliver(new Exchange(request, response, Buffer.concat(pieces)));
      return;
    }
    const answer = discover(this.kind, question, this);
    if (answer) {
      this.questions.push({ question, headers: request.headers });
      if (this.discovery === "refuse") response.writeHead(503).end();
      if (this.discovery === "answer")
        response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
      return;
    }
    this.unmatched.push(question);
    response
      .writeHead(501, { "content-type": "application/json" })
      .end(`{"error":{"message":"not in the script"}}`);
  }

  #deliver(exchange) {
    if (this.#script) this.#script(exchange);
    else if (this.#waiting.length > 0) this.#waiting.shift()(exchange);
    else this.#arrived.push(exchange);
  }
}

/** A backend of a kind (`openai`, `vllm`, `llamacpp`, `ollama`) on a free port of this machine. */
export function startUpstream({
  kind = "openai",
  models = ["text-model"],
  capabilities = [],
  port = 0,
} = {}) {
  return new Upstream(kind, models, capabilities).listen(port);
}

/** The object a backend gives for a plain completion. */
export function completion(content = "The capital of France is Paris.", extra = {}) {
  return {
    id: "chatcmpl-abc123",
    object: "chat.completion",
    created: 1_795_378_080,
    model: "text-model",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 14, completion_tokens: 8, total_tokens: 22 },
    ...extra,
  };
}

/** One event of a stream as a backend writes it. */
export function event(delta, finish_reason = null) {
  return `data: ${JSON.stringify({
    id: "chatcmpl-abc",
    object: "chat.completion.chunk",
    created: 1_795_378_080,
    model: "text-model",
    choices: [{ index: 0, delta, finish_reason }],
  })}\n\n`;
}

export const DONE = "data: [DONE]\n\n";
