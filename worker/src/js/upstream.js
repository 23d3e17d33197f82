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
const LEFT = "left"; // the caller went away, or has stopped reading

/** How long a backend may take to close a stream whose last event has passed. */
const LINGER_MS = 500;

/**
 * Sends a request and reads the whole answer.
 *
 * `limits` are `firstByteMs`, `stallMs`, `totalMs` (0: none) and `answerLimitBytes`; `caller` is the
 * caller's signal, or undefined. Resolves to `{ status, retryAfter, body }` or to `{ failure }`;
 * never rejects.
 */
export async function exchange(url, headers, body, limits, caller) {
  const call = new Call(url, headers, body, caller);
  const total = limits.totalMs > 0 ? setTimeout(() => call.stop(TIMEOUT), limits.totalMs) : undefined;
  try {
    return await call.readWhole(await call.head(limits), limits);
  } catch {
    return { failure: call.failure() };
  } finally {
    clearTimeout(total);
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
  const opening = call.open(limits).catch(() => ({ failure: call.failure() }));
  const early = await within(opening, limits.heartbeatMs);
  if (early && !early.reader) {
    call.end();
    relay.free();
    return early;
  }
  const { readable, writable } = new IdentityTransformStream();
  new Pump(call, writable.getWriter(), limits, relay).run(early ?? opening, !early);
  return { stream: readable };
}

/** What a promise gives if it does so within the time, else `undefined`. */
function within(promise, ms) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
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
    if (caller?.aborted) this.stop(LEFT);
  }

  /** Waits for the answer's head. The clock goes on: it is the first byte's. */
  async head({ firstByteMs }) {
    this.wind(firstByteMs, TIMEOUT);
    try {
      return await fetch(this.url, this.init);
    } catch (error) {
      this.#reason ??= LOST;
      throw error;
    }
  }

  async open(limits) {
    const response = await this.head(limits);
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !type.startsWith("text/event-stream")) {
      return this.readWhole(response, limits);
    }
    const reader = response.body.getReader();
    const first = await reader.read();
    this.unwind();
    return first.done ? { failure: CUT } : { reader, first: first.value };
  }

  async readWhole(response, { stallMs, answerLimitBytes }) {
    const body = await readBody(response.body, answerLimitBytes, () => this.wind(stallMs, TIMEOUT));
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
  /** Writes under way, and since when the oldest of them has made no progress. */
  #writes = 0;
  #writingSince = 0;
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
        this.#rest();
        await this.#write(this.#relay.end(failure));
      } else {
        this.#rest();
        await this.#write(this.#relay.refuse(opened));
      }
      await this.#writer.close();
    } catch (error) {
      // Only a write fails here: the caller has gone. The backend is to stop at once.
      this.#leave(error);
      this.#relay.leave();
    } finally {
      this.#rest();
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
      const isOver = this.#relay.is_over();
      if (length === chunk.byteLength) await this.#write(chunk);
      else if (length > 0) await this.#write(chunk.subarray(0, length));
      else if (length < 0) await this.#write(this.#relay.take());
      if (isOver) this.#call.wind(LINGER_MS, CUT);
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
    // A heartbeat may be waiting to be read when an event comes.
    if (this.#writes++ === 0) this.#writingSince = Date.now();
    await this.#writer.write(bytes);
    this.#writes -= 1;
    this.#writingSince = this.#wroteAt = Date.now();
  }

  #leave(error) {
    this.#call.stop(LEFT);
    this.#writer.abort(error).catch(() => {});
  }

  /** Sets the timer for whatever is due next; one timer for a stream's whole life, not one a chunk. */
  #wait() {
    const now = Date.now();
    const { heartbeatMs, stallMs } = this.#limits;
    // A heartbeat that is due but must not be written now is looked at again an interval later.
    const idleMs = now - this.#wroteAt;
    let dueMs = idleMs < heartbeatMs ? heartbeatMs - idleMs : heartbeatMs;
    // The backend, or the caller, may begin to be waited for at any moment until then.
    dueMs = Math.min(dueMs, this.#isWaiting ? this.#heardAt + stallMs - now : stallMs);
    if (this.#writes > 0) dueMs = Math.min(dueMs, this.#writingSince + stallMs - now);
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, dueMs));
  }

  /** No more heartbeats: a slow reader may take long over the last bytes, behind which nothing may come. */
  #rest() {
    clearTimeout(this.#timer);
  }

  #tick() {
    const now = Date.now();
    if (this.#isWaiting && now - this.#heardAt >= this.#limits.stallMs) {
      this.#call.stop(TIMEOUT);
      return;
    }
    // A caller who is connected and reads nothing must not hold a GPU for ever.
    if (this.#writes > 0 && now - this.#writingSince >= this.#limits.stallMs) {
      this.#leave(new Error("The caller has stopped reading."));
      return;
    }
    // A slow reader is not a silent backend: while a write is under way none is added.
    if (this.#writes === 0 && now - this.#wroteAt >= this.#limits.heartbeatMs) {
      this.#write(this.#relay.heartbeat()).catch((error) => this.#leave(error));
    }
    this.#wait();
  }
}
