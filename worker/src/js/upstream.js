// One call to a backend, and the way of its answer to the caller.
//
// The pump is JavaScript because every await in wasm costs a closure and a crossing; what it does
// with the bytes is decided by the core, through `relay` (worker/src/relay.rs).
import { readBody } from "./http.js";

/** Why there is no answer. The same words stand in worker/src/upstream.rs. */
const LOST = "lost"; // no connection, or it broke before the answer's head: workerd does not say which
const TIMEOUT = "timeout"; // the head or the first byte took too long
const CUT = "cut"; // the answer broke off, or never began
const TOO_LARGE = "too large";
const LEFT = "left"; // the caller went away

/**
 * Sends a request and reads the whole answer.
 *
 * `caller` is the caller's signal, or undefined. Resolves to `{ status, retryAfter, body }` or to
 * `{ failure }`; never rejects.
 */
export async function exchange(url, headers, body, timeoutMs, stallMs, limitBytes, caller) {
  const call = new Call(url, headers, body, caller);
  try {
    return await call.readWhole(await call.head(timeoutMs), stallMs, limitBytes);
  } catch (error) {
    return { failure: call.failure(error) };
  } finally {
    call.end();
  }
}

/**
 * Sends a request whose answer is to be an event stream.
 *
 * The status is held back until the backend's first byte, so that an early failure keeps a real
 * status, but no longer than until the first heartbeat is due: only a write shows that a silent
 * stream's caller has gone. Resolves like `exchange` when the backend has failed by then or has
 * answered something else than a stream, and to `{ stream }` otherwise.
 */
export async function openStream(url, headers, body, limits, relay, caller) {
  const call = new Call(url, headers, body, caller);
  const opening = call.open(limits).catch((error) => ({ failure: call.failure(error) }));
  const early = await Promise.race([opening, sleep(limits.heartbeatMs)]);
  if (early && !early.reader) {
    call.end();
    relay.free();
    return early;
  }
  const { readable, writable } = new IdentityTransformStream();
  new Pump(call, writable.getWriter(), limits, relay).run(early ?? opening, !early);
  return { stream: readable };
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A request under way, with one clock that can end it. */
class Call {
  #abort = new AbortController();
  #reason = undefined;
  #clock = undefined;
  #caller;
  #onLeave = () => this.stop(LEFT);

  constructor(url, headers, body, caller) {
    // `manual`: a backend that redirects is wrongly configured, and the key must not follow it.
    this.init = {
      method: body ? "POST" : "GET",
      headers,
      body,
      redirect: "manual",
      signal: this.#abort.signal,
    };
    this.url = url;
    this.#caller = caller;
    caller?.addEventListener("abort", this.#onLeave);
  }

  /** Waits for the answer's head; the clock goes on until `unwind`. */
  async head(timeoutMs) {
    this.wind(timeoutMs, TIMEOUT);
    try {
      return await fetch(this.url, this.init);
    } catch (error) {
      this.#reason ??= LOST;
      throw error;
    }
  }

  async open(limits) {
    const response = await this.head(limits.firstByteMs);
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !type.startsWith("text/event-stream")) {
      return this.readWhole(response, limits.stallMs, limits.answerLimitBytes);
    }
    const reader = response.body.getReader();
    const first = await reader.read();
    this.unwind();
    return first.done ? { failure: CUT } : { reader, first: first.value };
  }

  async readWhole(response, stallMs, limitBytes) {
    this.wind(stallMs, TIMEOUT);
    const body = await readBody(response.body, limitBytes);
    this.unwind();
    if (!body) return { failure: TOO_LARGE };
    return { status: response.status, retryAfter: response.headers.get("retry-after") ?? undefined, body };
  }

  /** Ends the call for `reason` unless the clock is wound anew or stopped within the time. */
  wind(ms, reason) {
    this.unwind();
    this.#clock = setTimeout(() => this.stop(reason), ms);
  }

  unwind() {
    clearTimeout(this.#clock);
  }

  stop(reason) {
    this.#reason ??= reason;
    this.#abort.abort();
  }

  failure() {
    return this.#reason ?? CUT;
  }

  end() {
    this.unwind();
    this.#caller?.removeEventListener("abort", this.#onLeave);
  }
}

/** Moves a backend's stream to the caller, with heartbeats while the backend is silent. */
class Pump {
  #call;
  #writer;
  #limits;
  #relay;
  /** When the backend last sent, and when something was last written to the caller. */
  #heardAt = Date.now();
  #wroteAt = Date.now();
  #isWriting = false;
  #isWaiting = false;
  #timer = undefined;

  constructor(call, writer, limits, relay) {
    this.#call = call;
    this.#writer = writer;
    this.#limits = limits;
    this.#relay = relay;
  }

  /** Runs until the stream has ended one way or the other. `isLate`: the first heartbeat is due now. */
  async run(opening, isLate) {
    try {
      if (isLate) await this.#write(this.#relay.heartbeat());
      this.#wait();
      const opened = await opening;
      if (opened.reader) {
        const failure = await this.#move(opened.reader, opened.first);
        await this.#write(this.#relay.end(failure));
      } else {
        await this.#write(this.#relay.refuse(opened));
      }
      await this.#writer.close();
    } catch (error) {
      // Only a write fails here: the caller has gone. The backend is to stop at once.
      this.#call.stop(LEFT);
      this.#writer.abort(error).catch(() => {});
    } finally {
      clearTimeout(this.#timer);
      this.#call.end();
      this.#relay.free();
    }
  }

  /** Moves bytes until the backend ends. Resolves to the reason if that was not an orderly end. */
  async #move(reader, chunk) {
    for (;;) {
      this.#heardAt = Date.now();
      this.#isWaiting = false;
      const length = this.#relay.push(chunk);
      if (length === chunk.byteLength) await this.#write(chunk);
      else if (length > 0) await this.#write(chunk.subarray(0, length));
      else if (length < 0) await this.#write(this.#relay.take());
      this.#isWaiting = true;
      this.#heardAt = Date.now();
      let next;
      try {
        next = await reader.read();
      } catch {
        return this.#call.failure();
      }
      if (next.done) return undefined;
      chunk = next.value;
    }
  }

  async #write(bytes) {
    if (bytes.byteLength === 0) return;
    this.#isWriting = true;
    await this.#writer.write(bytes);
    this.#isWriting = false;
    this.#wroteAt = Date.now();
  }

  /** Sets the timer for whatever is due next; one timer for a stream's whole life, not one a chunk. */
  #wait() {
    const now = Date.now();
    const { heartbeatMs, stallMs } = this.#limits;
    // A heartbeat that is due but must not be written now is looked at again an interval later.
    const idleMs = now - this.#wroteAt;
    let dueMs = idleMs < heartbeatMs ? heartbeatMs - idleMs : heartbeatMs;
    // The backend may begin to be waited for at any moment until then.
    dueMs = Math.min(dueMs, this.#isWaiting ? this.#heardAt + stallMs - now : stallMs);
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, dueMs));
  }

  #tick() {
    const now = Date.now();
    if (this.#isWaiting && now - this.#heardAt >= this.#limits.stallMs) {
      this.#call.stop(TIMEOUT);
      return;
    }
    // A slow reader is not a silent backend: while a write is under way none is added.
    if (!this.#isWriting && now - this.#wroteAt >= this.#limits.heartbeatMs) {
      this.#write(this.#relay.heartbeat()).catch((error) => {
        this.#call.stop(LEFT);
        this.#writer.abort(error).catch(() => {});
      });
    }
    this.#wait();
  }
}
