// A connection to a mail server, and a post to a mail API: the bytes only; what they say, Rust decides.
import { connect } from "cloudflare:sockets";

/** A connection that ends, whatever happens, when its time is up: then reading and writing fail. */
export class Connection {
  #socket;
  #reader;
  #writer;
  #timer;

  constructor(host, port, secureTransport, limitMs) {
    this.#use(connect({ hostname: host, port }, { secureTransport, allowHalfOpen: false }));
    this.#timer = setTimeout(() => this.close(), limitMs);
  }

  #use(socket) {
    this.#socket = socket;
    socket.opened.catch(() => {});
    socket.closed.catch(() => {});
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
  }

  /** The next bytes; none when the connection is closed. */
  async read() {
    const { value } = await this.#reader.read();
    return value ?? new Uint8Array(0);
  }

  async write(text) {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  startTls() {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    this.#use(this.#socket.startTls());
  }

  close() {
    clearTimeout(this.#timer);
    this.#socket.close().catch(() => {});
  }
}

/** Posts a mail as JSON; the status, 0 when there was no answer in time. */
export async function postMail(url, token, body, limitMs) {
  const headers = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  try {
    const signal = AbortSignal.timeout(limitMs);
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}
