import { CODES, STATUSES } from "./wasm/contract.js";

/** Whatever goes wrong is one of these; the members are described in index.d.ts. */
export class CoMindError extends Error {
  constructor(message, { code, status = CODES[code] ?? 0, ...rest }) {
    super(message, "cause" in rest ? { cause: rest.cause } : undefined);
    this.code = code;
    this.status = status;
    this.requestId = rest.requestId ?? null;
    this.retryAfterMs = rest.retryAfterMs ?? null;
    this.param = rest.param ?? null;
    if (rest.required_scope) this.requiredScope = rest.required_scope;
  }
}

/** The server answered, and the answer is an error. */
export class APIError extends CoMindError {}
/** No answer came. */
export class ConnectionError extends CoMindError {}
/** The server took longer than the call allows. */
export class TimeoutError extends CoMindError {}
/** The caller ended the call. */
export class AbortError extends CoMindError {}
/** The answer had begun and was cut. */
export class StreamTruncatedError extends CoMindError {}

// Names that survive a minifier.
for (const [name, type] of Object.entries({
  CoMindError,
  APIError,
  ConnectionError,
  TimeoutError,
  AbortError,
  StreamTruncatedError,
}))
  Object.defineProperty(type.prototype, "name", { value: name, configurable: true, writable: true });

const TYPES = { aborted: AbortError, timeout: TimeoutError, connection_failed: ConnectionError };

/** An error of the class that its code belongs to. */
export function failure(code, message, details) {
  const Type = TYPES[code] ?? CoMindError;
  return new Type(message, { ...details, code });
}

/**
 * An error from the body of an answer: `{"error":{"message":"…","code":"…","param":null}}`.
 *
 * A code that is not ours, which a backend may have set, gives way to the status. A body of any other form says
 * nothing, and its text is not repeated: it may hold anything.
 */
export function apiError(status, text, details) {
  let told;
  try {
    told = JSON.parse(text).error;
  } catch {}
  const string = (value) => (typeof value === "string" ? value : undefined);
  const known = Object.hasOwn(CODES, told?.code) && CODES[told.code] > 0;
  return new APIError(string(told?.message) ?? `The server answered ${status}.`, {
    code: known ? told.code : codeOf(status),
    status,
    param: string(told?.param),
    required_scope: string(told?.required_scope),
    ...details,
  });
}

function codeOf(status) {
  if (status < 400 || status > 599) return "response_malformed";
  return STATUSES[status] ?? (status < 500 ? "bad_request" : "internal_error");
}

/** Passes one of ours on and wraps whatever else was thrown, so that callers meet one family. */
export function asCoMindError(thrown) {
  if (thrown instanceof CoMindError) return thrown;
  return failure("internal_error", "The client failed; see `cause`.", { cause: thrown });
}

/** A refusal of an argument, naming it. */
export function badParam(param, message) {
  return failure("bad_request", message, { param });
}
