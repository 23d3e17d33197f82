// Requests to backends, and the way of their answers to the caller.
//
// The pump is JavaScript because every await in wasm costs a closure and a crossing; what it does
// with the bytes is decided by the core, through `relay` (worker/src/relay.rs).
import { headersOf, readBody } from "./http.js";

/** Why there is no answer. The same words stand in worker/src/upstream.rs. */
const LOST = "lost"; // no connection, or it broke before the answer's head: workerd does not say which
const TIMEOUT = "timeout"; // the head, the first byte, the next one or any progress took too long
const DEADLINE = "deadline"; // all of it took too long
const CUT = "cut"; // the answer broke off, or never began
const TOO_LARGE = "too large";
const DEAD = "dead"; // the backend was asked whether it lives, and does not
const LEFT = "left"; // the caller went away, or has stopped reading

/** How long a backend may take to close a stream whose last event has passed. */
const LINGER_MS = 500;

/**
 * What one request of a caller's, or one question of the edge's own, may use of backends: one call at
 * a time, and all of them within one deadline.
 *
 * `limits` are `connectMs`, `firstByteMs`, `stallMs`, `progressMs`, `totalMs`, `heartbeatMs` and
 * `answerLimitBytes`; `caller` is the caller's signal, or undefined.
 */
export class Exchange {
  #limits;
  #caller;
  #clock = new Clock();
  #call = undefined;
  #over = undefined;
  #onLeave = () => this.stop(LEFT);

  constructor(limits, caller) {
    this.#limits = limits;
    this.#caller = caller;
    this.#clock.wind("deadline", limits.totalMs, () => this.stop(DEADLINE));
    caller?.addEventListener("abort", this.#onLeave);
    if (caller?.aborted) this.stop(LEFT);
  }

  /** Sends a request; the answer is the call's. A `stream` is opened, anything else read whole. */
  send(url, headers, body, stream) {
    this.#call = new Call(url, headers, body, stream, this.#limits, this.#clock);
    if (this.#over) this.#call.stop(this.#over);
    return this.#call;
  }

  /** Ends the call under way, and every one to come. */
  stop(reason) {
    this.#over ??= reason;
    this.#call?.stop(this.#over);
  }

  close() {
    this.#clock.stop();
    this.#caller?.removeEventListener("abort", this.#onLeave);
  }
}

/**
 * Several limits on one timer: to wind or unwind one costs next to nothing, unless it is due before all others.
 * What is not due when the timer fires has it set anew.
 */
class Clock {
  #limits = new Map();
  #timer = undefined;
  #firesAt = Infinity;

  /** Has `run` called in so many milliseconds, in place of what this limit was. */
  wind(name, ms, run) {
    const dueAt = Date.now() + ms;
    this.#limits.set(name, { dueAt, run });
    if (dueAt < this.#firesAt) this.#set(dueAt);
  }

  unwind(name) {
    this.#limits.delete(name);
  }

  /** For good. */
  stop() {
    this.#limits.clear();
    clearTimeout(this.#timer);
    this.#firesAt = Infinity;
  }

  #set(at) {
    clearTimeout(this.#timer);
    this.#firesAt = at;
    this.#timer = setTimeout(() => this.#fire(), at - Date.now());
  }

  #fire() {
    this.#firesAt = Infinity;
    const now = Date.now();
    for (const [name, { dueAt, run }] of this.#limits) {
      if (dueAt > now) continue;
      this.#limits.delete(name);
      run();
    }
    const next = Math.min(...Array.from(this.#limits.values(), ({ dueAt }) => dueAt));
    if (next < this.#firesAt) this.#set(next);
  }
}

/** A request under way. */
class Call {
  #abort = new AbortController();
  #reason = undefined;
  #clock;
  #limits;
  #answer;
  #patienceMs;

  constructor(url, headers, body, stream, limits, clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#patienceMs = limits.connectMs;
    // `manual`: a backend that redirects is wrongly configured, and the key must not follow it.
    const init = {
      method: body ? "POST" : "GET",
      headers: headersOf(headers),
      body,
      redirect: "manual",
      signal: this.#abort.signal,
    };
    this.#answer = this.#send(url, init, stream).catch(() => ({ failure: this.failure() }));
  }

  /**
   * The answer: `{ status, retryAfter, body }`, of a stream `{ call, reader, first }`, or `{ failure }`.
   * `undefined` when there is none yet after some patience: somebody may want to see to the backend,
   * and ask again.
   */
  next() {
    const patienceMs = this.#patienceMs;
    this.#patienceMs = this.#limits.connectMs / 5;
    return new Promise((resolve) => {
      this.#clock.wind("patience", patienceMs, resolve);
      this.#answer.then((answer) => {
        this.#clock.unwind("patience");
        resolve(answer);
      });
    });
  }

  async #send(url, init, stream) {
    const { firstByteMs } = this.#limits;
    this.wind(firstByteMs, TIMEOUT);
    let response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      this.#reason ??= LOST;
      throw error;
    }
    const type = response.headers.get("content-type") ?? "";
    if (!stream || response.status !== 200 || !type.startsWith("text/event-stream")) {
      return this.#readWhole(response);
    }
    // The clock goes on: it is the first byte's.
    const reader = response.body.getReader();
    const first = await reader.read();
    this.unwind();
    return first.done ? { failure: CUT } : { call: this, reader, first: first.value };
  }

  async #readWhole(response) {
    const { stallMs, answerLimitBytes } = this.#limits;
    const { headers } = response;
    // What is compressed says nothing of its length.
    const length = headers.has("content-encoding") ? NaN : Number(headers.get("content-length") ?? NaN);
    const onChunk = () => this.wind(stallMs, TIMEOUT);
    const body = await readBody(response, length, answerLimitBytes, onChunk);
    this.unwind();
    if (!body) return { failure: TOO_LARGE };
    return { status: response.status, retryAfter: response.headers.get("retry-after") ?? undefined, body };
  }

  /** Ends the call for `reason` unless the clock is wound anew or stopped within the time. */
  wind(ms, reason) {
    this.#clock.wind("call", ms, () => this.stop(reason));
  }

  unwind() {
    this.#clock.unwind("call");
  }

  stop(reason) {
    this.unwind();
    this.#reason ??= reason;
    this.#abort.abort();
  }

  failure() {
    return this.#reason ?? CUT;
  }
}

/**
 * A stream for the caller, out of a promise of one from a backend.
 *
 * The status is held back until the backend's first byte, so that an early failure keeps a real
 * status, but no longer than until the first heartbeat is due: only a write shows that a silent
 * stream's caller has gone. Resolves to `undefined` when there is no stream by then and will be none
 * (`opening` gave nothing; `relay` knows why).
 */
export async function relayStream(opening, exchange, limits, relay) {
  let isOpen = false;
  const early = await within(
    opening.then((opened) => {
      isOpen = true;
      return opened;
    }),
    limits.heartbeatMs,
  );
  if (isOpen && !early) {
    exchange.close();
    relay.free();
    return undefined;
  }
  const { readable, writable } = new IdentityTransformStream();
  new Pump(exchange, writable.getWriter(), limits, relay).run(early ?? opening, !early);
  return readable;
}

/** The bytes with those between `start` and `end` replaced by a text. */
export function splice(bytes, start, end, text) {
  const insert = new TextEncoder().encode(text);
  const whole = new Uint8Array(bytes.byteLength - (end - start) + insert.byteLength);
  whole.set(bytes.subarray(0, start));
  whole.set(insert, start);
  whole.set(bytes.subarray(end), start + insert.byteLength);
  return whole;
}

/** What a promise gives if it does so within the time, else `undefined`. */
function within(promise, ms) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** What `relay.push()` says, in bits; what is above them is a length. The same stand in worker/src/relay.rs. */
const OVER = 1;
const PROGRESS = 2;
const ELSEWHERE = 4;
const PARTS = 8;

/** The last words of a stream when there is nobody left to ask for them. */
let fallen;

/** Moves a backend's stream to the caller, with heartbeats while the backend is silent. */
class Pump {
  #exchange;
  #writer;
  #limits;
  #relay;
  #call = undefined;
  /** When the backend last sent, when it last sent an event, and when something was last written to the caller. */
  #heardAt = Date.now();
  #movedAt = Date.now();
  #wroteAt = Date.now();
  /** When somebody last wondered whether the backend lives. */
  #doubtedAt = Date.now();
  /** Writes under way, and since when the oldest of them has made no progress. */
  #writes = 0;
  #writingSince = 0;
  #isWaiting = false;
  #hasFallen = false;
  /** A write failed: nobody is there any more. */
  #isAlone = false;
  #timer = undefined;

  constructor(exchange, writer, limits, relay) {
    this.#exchange = exchange;
    this.#writer = writer;
    this.#limits = limits;
    this.#relay = relay;
    fallen ??= relay.fallen();
  }

  /** Runs until the stream has ended one way or the other. `isLate`: the first heartbeat is due now. */
  async run(opening, isLate) {
    try {
      if (isLate) await this.#write(this.#relay.heartbeat());
      this.#wait();
      const opened = await opening;
      if (opened) {
        this.#call = opened.call;
        this.#movedAt = Date.now();
        const failure = await this.#move(opened.reader, opened.first);
        this.#rest();
        await this.#write(this.#relay.end(failure));
      } else {
        this.#rest();
        await this.#write(this.#relay.refusal());
      }
      await this.#writer.close();
    } catch (error) {
      if (this.#isAlone) {
        // The caller has gone. The backend is to stop at once.
        this.#leave(error);
        this.#relay.leave();
      } else this.#fall(error);
    } finally {
      this.#rest();
      this.#exchange.close();
      if (!this.#hasFallen) this.#relay.free();
    }
  }

  /** WebAssembly has fallen over, here or elsewhere, and `relay` with it: the caller is told, and the backend stopped. */
  #fall(error) {
    if (this.#hasFallen) return;
    this.#hasFallen = true;
    this.#rest();
    this.#exchange.stop(LEFT);
    this.#writer.write(new TextEncoder().encode(fallen)).catch(() => {});
    this.#writer.close().catch(() => {});
    reportError(error);
  }

  /** Moves bytes until the backend ends. Resolves to the reason if that was not an orderly end. */
  async #move(reader, chunk) {
    for (;;) {
      this.#isWaiting = false;
      const pushed = this.#relay.push(chunk);
      const state = pushed & (OVER | PROGRESS);
      const length = Math.floor(pushed / PARTS);
      const pushedAt = Date.now();
      if (pushed & ELSEWHERE) await this.#write(this.#relay.take());
      else if (length === chunk.byteLength) await this.#write(chunk);
      else if (length > 0) await this.#write(chunk.subarray(0, length));
      if (state & OVER) this.#call.wind(LINGER_MS, CUT);
      this.#isWaiting = true;
      this.#heardAt = this.#doubtedAt = Date.now();
      // How long the caller took to read is not the backend's.
      this.#movedAt = state & PROGRESS ? this.#heardAt : this.#movedAt + this.#heardAt - pushedAt;
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
    try {
      await this.#writer.write(bytes);
    } catch (error) {
      this.#isAlone = true;
      throw error;
    }
    this.#writes -= 1;
    this.#writingSince = this.#wroteAt = Date.now();
  }

  #leave(error) {
    this.#exchange.stop(LEFT);
    this.#writer.abort(error).catch(() => {});
  }

  /** Sets the timer for whatever is due next; one timer for a stream's whole life, not one a chunk. */
  #wait() {
    const now = Date.now();
    const { heartbeatMs, stallMs, progressMs, connectMs } = this.#limits;
    // A heartbeat that is due but must not be written now is looked at again an interval later.
    const idleMs = now - this.#wroteAt;
    let dueMs = idleMs < heartbeatMs ? heartbeatMs - idleMs : heartbeatMs;
    // The backend, or the caller, may begin to be waited for at any moment until then.
    dueMs = Math.min(dueMs, this.#isWaiting ? this.#heardAt + stallMs - now : stallMs);
    dueMs = Math.min(dueMs, this.#isWaiting ? this.#movedAt + progressMs - now : progressMs);
    dueMs = Math.min(dueMs, this.#isWaiting ? this.#doubtedAt + connectMs - now : connectMs);
    if (this.#writes > 0) dueMs = Math.min(dueMs, this.#writingSince + stallMs - now);
    this.#timer = setTimeout(
      () => {
        try {
          this.#tick();
        } catch (error) {
          this.#fall(error);
        }
      },
      Math.max(1, dueMs),
    );
  }

  /** No more heartbeats: a slow reader may take long over the last bytes, behind which nothing may come. */
  #rest() {
    clearTimeout(this.#timer);
  }

  #tick() {
    const now = Date.now();
    const { heartbeatMs, stallMs, progressMs, connectMs } = this.#limits;
    if (this.#isWaiting && (now - this.#heardAt >= stallMs || now - this.#movedAt >= progressMs)) {
      this.#call.stop(TIMEOUT);
      return;
    }
    // A caller who is connected and reads nothing must not hold a GPU for ever.
    if (this.#writes > 0 && now - this.#writingSince >= stallMs) {
      this.#leave(new Error("The caller has stopped reading."));
      return;
    }
    this.#relay.renew();
    if (this.#isWaiting && now - this.#doubtedAt >= connectMs) this.#doubt(now);
    // A slow reader is not a silent backend: while a write is under way none is added.
    if (this.#writes === 0 && now - this.#wroteAt >= heartbeatMs) {
      this.#write(this.#relay.heartbeat()).catch((error) => this.#leave(error));
    }
    this.#wait();
  }

  /** The backend has been silent for a while: is it there at all? */
  #doubt(now) {
    this.#doubtedAt = now;
    const call = this.#call;
    this.#relay.is_alive().then((isAlive) => {
      if (!isAlive) call.stop(DEAD);
    });
  }
}
