import { badParam, failure } from "./error.js";

// setTimeout takes a signed 32-bit number and fires at once beyond it.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

// Finer than this a timer is not.
const MIN_TICK_MS = 4;

// Half a minute more than the edge itself waits for a backend, so that its own answer comes first.
const SILENCE_MS = 330_000;

export const DEFAULTS = {
  timeout: { connect: SILENCE_MS, firstByte: SILENCE_MS, stall: SILENCE_MS, progress: 0, total: 0 },
  maxRetries: 2,
  headers: {},
};

/**
 * One call's life: what may end it early, and the connection that then closes.
 *
 * A limit on silence runs while somebody waits for the server and starts anew with each wait: a reader that takes its
 * time is not a silent server. `arm` and `disarm` stand around each wait; they only count, since reading the clock for
 * every piece of an answer would cost as much as decoding it. A timer that ticks eight times a limit looks what has
 * become of the counts, so that a limit is never cut short and ends at most an eighth late.
 */
export class Call {
  /** Why the call was ended early: null, "aborted" or the name of a time limit. */
  ended = null;
  /** What else to do then. */
  onEnd = null;
  #controller = new AbortController();
  #options;
  #onAbort = () => this.end("aborted");
  #startedAt = performance.now();
  /** What is waited for, and how many waits there were; null while nobody waits. */
  #waitingFor = null;
  #waits = 0;
  /** How often the answer has grown. */
  #growths = 0;
  #timer = null;
  #tickMs;
  /** At the last tick: when that was, the counts, and how long they have stood still. */
  #ticked = { at: 0, waits: 0, growths: 0, silentMs: 0, quietMs: 0 };

  constructor(options) {
    this.#options = options;
    const { signal, timeout } = options;
    const { total, ...silences } = timeout;
    this.#tickMs = Math.max(MIN_TICK_MS, Math.min(...Object.values(silences).filter(Boolean), Infinity) / 8);
    signal?.addEventListener("abort", this.#onAbort);
    if (total) this.#schedule();
    if (signal?.aborted) this.end("aborted");
  }

  get maxRetries() {
    return this.#options.maxRetries;
  }

  /** What the caller adds to the headers. */
  get headers() {
    return this.#options.headers;
  }

  get elapsedMs() {
    return performance.now() - this.#startedAt;
  }

  /** Ends the call now; the first reason stays. */
  end(reason) {
    if (this.ended) return;
    this.ended = reason;
    this.close();
    this.#controller.abort();
    this.onEnd?.();
  }

  /** Lets go of the caller's signal and of the timer: nothing can end the call any more. */
  close() {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#waitingFor = null;
  }

  /** Throws if the call was ended. */
  check(details) {
    if (!this.ended) return;
    if (this.ended === "aborted")
      throw failure("aborted", "The call was aborted.", { cause: this.#options.signal?.reason, ...details });
    const limit = `\`timeout.${this.ended}\` (${this.#options.timeout[this.ended]} ms)`;
    throw failure("timeout", `The server took longer than ${limit} allows.`, details);
  }

  fetch(url, init) {
    const fetch = this.#options.fetch ?? globalThis.fetch;
    // A server on the page's own origin would otherwise be sent the page's cookies. Workers know no such member.
    if ("credentials" in Request.prototype) init.credentials = "omit";
    return this.wait("connect", () => fetch(url, { ...init, signal: this.#controller.signal }));
  }

  /** Waits, but not longer than the call lives: a `fetch` of the caller's own may not heed the signal. */
  async wait(limit, ask, details) {
    this.check(details);
    let stop;
    const stopped = new Promise((_, reject) => (stop = reject));
    this.onEnd = stop;
    this.arm(limit);
    try {
      return await Promise.race([ask(), stopped]);
    } catch (thrown) {
      this.check(details);
      throw thrown;
    } finally {
      this.disarm();
      this.onEnd = null;
    }
  }

  /** Starts a wait. */
  arm(limit) {
    this.#waitingFor = limit;
    this.#waits += 1;
    if (this.#timer === null) this.#schedule();
  }

  /** The server sent something. */
  disarm() {
    this.#waitingFor = null;
  }

  /** It was a part of the answer, and not a sign of life alone. */
  noteProgress() {
    this.#growths += 1;
  }

  /** Waits before another attempt; ends early with the call. */
  async sleep(waitMs) {
    let timer;
    await new Promise((resolve) => {
      this.onEnd = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    clearTimeout(timer);
    this.onEnd = null;
  }

  #schedule() {
    const { total } = this.#options.timeout;
    const now = performance.now();
    const leftMs = total ? this.#startedAt + total - now : Infinity;
    const tickMs = Math.min(this.#tickMs, leftMs);
    if (tickMs === Infinity || this.ended) return;
    Object.assign(this.#ticked, { at: now, waits: this.#waits, growths: this.#growths });
    this.#timer = setTimeout(() => this.#tick(), Math.min(tickMs, LONGEST_TIMEOUT_MS));
  }

  #tick() {
    const { timeout } = this.#options;
    const last = this.#ticked;
    const now = performance.now();
    const waitedMs = this.#waitingFor ? now - last.at : 0;
    last.silentMs = this.#waits === last.waits ? last.silentMs + waitedMs : 0;
    last.quietMs = this.#growths === last.growths ? last.quietMs + waitedMs : 0;
    // Timers may fire up to a millisecond early.
    const isOver = (limit, ms) => timeout[limit] && ms > timeout[limit] - 1;
    if (isOver("total", now - this.#startedAt)) this.end("total");
    else if (this.#waitingFor && isOver(this.#waitingFor, last.silentMs)) this.end(this.#waitingFor);
    else if (this.#waitingFor === "stall" && isOver("progress", last.quietMs)) this.end("progress");
    else if (this.#waitingFor || timeout.total) this.#schedule();
    else this.#timer = null;
  }
}

/** Checks what a caller may set for the client and for each call; what is absent comes from `defaults`. */
export function readOptions(options, defaults) {
  const { maxRetries = defaults.maxRetries, fetch = defaults.fetch, signal, idempotencyKey } = options ?? {};
  if (!(Number.isInteger(maxRetries) && maxRetries >= 0 && maxRetries <= 10))
    throw badParam("maxRetries", "`maxRetries` must be a whole number between 0 and 10.");
  if (fetch !== undefined && typeof fetch !== "function")
    throw badParam("fetch", "`fetch` must be a function.");
  if (signal != null && typeof signal.addEventListener !== "function")
    throw badParam("signal", "`signal` must be an AbortSignal.");
  const headers = { ...defaults.headers, ...options?.headers };
  if (idempotencyKey !== undefined) headers["idempotency-key"] = idempotencyKey;
  checkHeaders(headers);
  return { timeout: readTimeout(options?.timeout, defaults.timeout), maxRetries, fetch, signal, headers };
}

function checkHeaders(headers) {
  for (const [name, value] of Object.entries(headers)) {
    try {
      new Headers([[name, value]]);
    } catch {
      throw badParam(`headers.${name}`, `\`headers.${name}\` is not a header.`);
    }
  }
}

/** A number bounds every silence; an object sets its limits one by one. */
function readTimeout(timeout, defaults) {
  if (timeout === undefined) return defaults;
  const given = typeof timeout === "object" && timeout !== null ? timeout : null;
  const limits = given ?? { connect: timeout, firstByte: timeout, stall: timeout };
  for (const [name, ms] of Object.entries(limits)) {
    const param = given ? `timeout.${name}` : "timeout";
    if (!(name in defaults)) throw badParam(param, `There is no \`${param}\`.`);
    if (!(typeof ms === "number" && ms >= 0 && ms <= LONGEST_TIMEOUT_MS))
      throw badParam(param, `\`${param}\` must be between 0 and ${LONGEST_TIMEOUT_MS} ms; 0 means no limit.`);
  }
  return { ...defaults, ...limits };
}
