//! How fast one answer came: time to its first token, tokens a second, and how that rate went.

/** A point of the sparkline. */
const BUCKET_MS = 250;
/** Of a long answer the sparkline shows so much of its end. */
const BUCKETS = 120;

export class Figures {
  #start;
  #first = null;
  #last = null;
  #chunks = 0;
  #usage = null;
  /** Chunks in each quarter of a second since the first. */
  #buckets = [];

  /** @param {number} now milliseconds, monotonic (`performance.now()`); the request leaves now */
  constructor(now) {
    this.#start = now;
  }

  /** Words came. Servers send one token a chunk, so chunks count until the usage says better. */
  tick(now) {
    this.#first ??= now;
    this.#last = now;
    this.#chunks += 1;
    const bucket = Math.floor((now - this.#first) / BUCKET_MS);
    while (this.#buckets.length <= bucket) this.#buckets.push(0);
    this.#buckets[bucket] += 1;
  }

  /** The server's own count, which comes with the last chunk. */
  settle(usage) {
    this.#usage = usage ?? this.#usage;
  }

  get hasStarted() {
    return this.#first !== null;
  }

  /** Seconds since the request left. */
  waited(now) {
    return (now - this.#start) / 1000;
  }

  /**
   * What is known: `{ firstMs, rate, tokens, promptTokens, writingMs, buckets }`, null before the first word;
   * `rate` and `promptTokens` are null while they are not known.
   */
  snapshot() {
    if (this.#first === null) return null;
    const tokens = this.#usage?.completion_tokens || this.#chunks;
    const writingMs = this.#last - this.#first;
    return {
      firstMs: this.#first - this.#start,
      // The first token's time is the wait, so it is not part of the rate.
      rate: tokens > 2 && writingMs > 50 ? ((tokens - 1) * 1000) / writingMs : null,
      tokens,
      promptTokens: this.#usage?.prompt_tokens ?? null,
      writingMs,
      buckets: this.#buckets.slice(-BUCKETS),
    };
  }
}

/** `0.42 s to first token · 38 tokens/s · 212 tokens`; empty for null. */
export function inWords(figures) {
  if (!figures) return "";
  const { firstMs, rate, tokens } = figures;
  return [
    `${(firstMs / 1000).toFixed(2)} s to first token`,
    rate && `${rounded(rate)} tokens/s`,
    `${tokens} ${tokens === 1 ? "token" : "tokens"}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** `7.4`, `38`: two digits say it. */
export function rounded(rate) {
  return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}
