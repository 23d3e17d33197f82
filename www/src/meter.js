//! What the edge's headers say beside its answers: how much of the limits is left, and where the time went.

/** Answers whose times are remembered until somebody asks. */
const TIMINGS = 16;

/** Tells of `limits` whenever an answer brought them. */
export class Meter extends EventTarget {
  /** `{ requests: { limit, remaining, resetAt }, tokens }`, each null where there is no limit. */
  limits = { requests: null, tokens: null };
  #timings = new Map();

  /** The platform's, with an eye on the headers. */
  fetch = async (url, init) => {
    const response = await fetch(url, init);
    this.#read(response.headers);
    return response;
  };

  /** The stages of an answer, `[{ name, ms }]` in their order. */
  timingsOf(requestId) {
    return this.#timings.get(requestId) ?? [];
  }

  #read(headers) {
    const id = headers.get("x-request-id");
    const timings = headers.get("server-timing");
    if (id && timings) {
      this.#timings.set(id, parseTimings(timings));
      if (this.#timings.size > TIMINGS) this.#timings.delete(this.#timings.keys().next().value);
    }
    if (!headers.has("x-ratelimit-limit-requests") && !headers.has("x-ratelimit-limit-tokens")) return;
    this.limits = { requests: limitOf(headers, "requests"), tokens: limitOf(headers, "tokens") };
    this.dispatchEvent(new Event("limits"));
  }
}

/** `auth;dur=0, admit;dur=2` (W3C Server Timing); what has no duration is left out. */
export function parseTimings(header) {
  return Array.from(header.matchAll(/([\w-]+)\s*;[^,]*?\bdur=([\d.]+)/g), ([, name, ms]) => ({
    name,
    ms: Number(ms),
  }));
}

function limitOf(headers, what) {
  const [limit, remaining, reset] = ["limit", "remaining", "reset"].map((part) =>
    Number.parseFloat(headers.get(`x-ratelimit-${part}-${what}`)),
  );
  if (!(limit > 0) || Number.isNaN(remaining)) return null;
  return { limit, remaining: Math.max(0, remaining), resetAt: performance.now() + (reset || 0) * 1000 };
}
