import { CoMindError, badParam } from "./error.js";

// A server on the page's own origin would otherwise be sent the page's cookies. Workers know neither cookies nor this member.
const WITHOUT_COOKIES = "credentials" in Request.prototype ? { credentials: "omit" } : {};

// setTimeout takes a signed 32-bit number and fires at once beyond it.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * One call's life: what may end it early, and the connection that then closes.
 *
 * The time limit bounds silence, not the call: it runs while somebody waits for the server (for headers, for the
 * next bytes) and starts anew with each wait. The core drives it through `arm` and `disarm` (src/fetch.rs).
 */
export class Call {
  /** Why the call was ended early: null, "aborted" or "timeout". */
  ended = null;
  /** What else to do then. */
  onEnd = null;
  #controller = new AbortController();
  #fetch;
  #timeoutMs;
  #signal;
  #onAbort = () => this.end("aborted");
  #timer = null;
  #armedAt = null;

  constructor({ fetch, timeout, maxRetries, signal }) {
    this.#fetch = fetch;
    this.#timeoutMs = timeout;
    this.maxRetries = maxRetries;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.end("aborted");
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
    this.#signal?.removeEventListener("abort", this.#onAbort);
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  fetch(url, init) {
    const fetch = this.#fetch ?? globalThis.fetch;
    return fetch(url, Object.assign(init, WITHOUT_COOKIES, { signal: this.#controller.signal }));
  }

  /** Starts a wait for the server. One timer serves many waits: setting one per read would cost more than the read. */
  arm() {
    this.#armedAt = performance.now();
    if (this.#timeoutMs && !this.ended) this.#timer ??= setTimeout(() => this.#look(), this.#timeoutMs);
  }

  /** The server answered. */
  disarm() {
    this.#armedAt = null;
  }

  #look() {
    this.#timer = null;
    if (this.#armedAt === null) return;
    const leftMs = this.#armedAt + this.#timeoutMs - performance.now();
    // Timers may fire up to a millisecond early.
    if (leftMs < 1) this.end("timeout");
    else this.#timer = setTimeout(() => this.#look(), leftMs);
  }

  /** Waits before another attempt; ends early with the call. */
  async sleep(waitMs) {
    if (this.ended) return;
    let timer;
    await new Promise((resolve) => {
      this.onEnd = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    clearTimeout(timer);
    this.onEnd = null;
  }
}

/** Checks what a caller may set for the client and for each call; what is absent comes from `defaults`. */
export function readOptions(options, defaults) {
  const {
    timeout = defaults.timeout,
    maxRetries = defaults.maxRetries,
    fetch = defaults.fetch,
    signal,
  } = options ?? {};
  if (!(timeout >= 0 && timeout <= LONGEST_TIMEOUT_MS))
    throw badParam(
      "timeout",
      `\`timeout\` must be between 0 and ${LONGEST_TIMEOUT_MS} ms; 0 means no limit.`,
    );
  if (!(Number.isInteger(maxRetries) && maxRetries >= 0 && maxRetries <= 10))
    throw badParam("maxRetries", "`maxRetries` must be a whole number between 0 and 10.");
  if (fetch !== undefined && typeof fetch !== "function")
    throw badParam("fetch", "`fetch` must be a function.");
  if (signal != null && typeof signal.addEventListener !== "function")
    throw badParam("signal", "`signal` must be an AbortSignal.");
  return { timeout, maxRetries, fetch, signal };
}

/** The error of a call that was ended early, or null. */
export function endingOf(call, details) {
  if (call.ended === "aborted")
    return new CoMindError("The call was aborted.", { code: "aborted", ...details });
  if (call.ended === "timeout")
    return new CoMindError("The server was silent for longer than the call allows.", {
      code: "timeout",
      ...details,
    });
  return null;
}
