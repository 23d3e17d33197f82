//! How fast one answer came: time to its first token, tokens a second.

export class Pace {
  #start;
  #first = null;
  #last = null;
  #chunks = 0;
  #tokens = null;

  /** @param {number} now milliseconds, monotonic (`performance.now()`); the request leaves now */
  constructor(now) {
    this.#start = now;
  }

  /** Words came. Servers send one token a chunk, so chunks count until the usage says better. */
  tick(now) {
    this.#first ??= now;
    this.#last = now;
    this.#chunks += 1;
  }

  /** The server's own count, which comes with the last chunk. */
  settle(usage) {
    this.#tokens = usage?.completion_tokens || this.#tokens;
  }

  get hasStarted() {
    return this.#first !== null;
  }

  /** Seconds since the request left. */
  waited(now) {
    return (now - this.#start) / 1000;
  }

  /** `0.42 s to first token · 38 tokens/s · 212 tokens`; empty before the first one. */
  toString() {
    if (this.#first === null) return "";
    const parts = [`${((this.#first - this.#start) / 1000).toFixed(2)} s to first token`];
    const tokens = this.#tokens ?? this.#chunks;
    const seconds = (this.#last - this.#first) / 1000;
    // The first token's time is the wait, so it is not part of the rate.
    if (tokens > 2 && seconds > 0.05) parts.push(`${rounded((tokens - 1) / seconds)} tokens/s`);
    parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
    return parts.join(" · ");
  }
}

function rounded(rate) {
  return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}
