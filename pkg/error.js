/**
 * The one class of everything that can go wrong; its members are described in index.d.ts.
 * The core builds most of them (src/error.rs); the few that can happen before it is loaded are built here.
 */
export class CoMindError extends Error {
  constructor(message, { code, status = 0, requestId = null, retryAfterMs = null, param = null, ...rest }) {
    super(message, "cause" in rest ? { cause: rest.cause } : undefined);
    // Programs that tell an abort from a failure look for this name, on every platform.
    this.name = code === "aborted" ? "AbortError" : "CoMindError";
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    this.param = param;
    if (rest.requiredScope) this.requiredScope = rest.requiredScope;
  }
}

/** Passes a CoMindError on and wraps whatever else was thrown, so that callers meet one class. */
export function asCoMindError(thrown) {
  if (thrown instanceof CoMindError) return thrown;
  return new CoMindError("The client failed; see `cause`.", {
    code: "internal_error",
    status: 500,
    cause: thrown,
  });
}

/** A refusal of an argument, naming it. */
export function badParam(param, message) {
  return new CoMindError(message, { code: "bad_request", status: 400, param });
}
