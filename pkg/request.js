import { ROUTES } from "./wasm/contract.js";
import { apiError, failure } from "./error.js";
import { init, retry_after_ms, retry_wait_ms } from "./runtime.js";

// What must not be done twice because its answer was lost: sent again only if the server said that it did nothing.
const ONCE = new Set([
  "Register",
  "Confirm",
  "ChangePassword",
  "ResetPassword",
  "CreateApiToken",
  "RotateApiToken",
]);
const NOT_ACCEPTED = new Set([429, 503]);

/**
 * Sends until there is the head of a success, or until the core has had enough.
 *
 * A call that a time limit ended is not sent again, since the server may still be at work on it; a sign-in that was
 * refused is not either, since each try counts. `tokens`: gives the token, and another one after a 401, once.
 */
export async function send(baseURL, name, { id, query, json }, call, tokens) {
  const [method, path, takesToken] = ROUTES[name];
  const url = baseURL + path.replace("{id}", () => encodeURIComponent(id)) + (query ?? "");
  let isReplayed = false;
  for (let attempt = 1; ; attempt++) {
    const token = takesToken ? await call.wait("connect", () => tokens.current()) : null;
    let response = null;
    let error;
    try {
      response = await call.fetch(url, initOf(method, json, token, call.headers));
      if (response.ok) return response;
      error = await readError(response, call);
    } catch (cause) {
      call.check({ requestId: requestId(response) });
      if (cause === UNSENDABLE)
        throw failure("unauthorized", "The token holds characters that no header can carry.");
      error = failure("connection_failed", `${url.replace(/\?.*/, "")} could not be reached.`, { cause });
    }
    if (error.status === 401 && token !== null && !isReplayed) {
      isReplayed = true;
      if (await call.wait("connect", () => tokens.renewAfter(token))) continue;
    }
    const isFinal =
      response?.headers.get("x-should-retry") === "false" ||
      (path.startsWith("/v1/auth/") && error.status >= 400 && error.status < 500) ||
      (ONCE.has(name) && !NOT_ACCEPTED.has(error.status));
    if (isFinal || call.maxRetries === 0) throw error;
    // Tries of the edge's own count as ours.
    attempt += Math.max(0, (response?.headers.get("x-attempt-count") | 0) - 1);
    const waitMs = await waitBefore(attempt, error, call);
    if (waitMs < 0) throw error;
    await call.sleep(waitMs);
    call.check({ requestId: error.requestId });
  }
}

/** Negative if there is to be no other attempt. */
async function waitBefore(attempt, { code, retryAfterMs }, call) {
  try {
    await init();
  } catch {
    return -1;
  }
  const [jitter] = crypto.getRandomValues(new Uint32Array(1));
  return retry_wait_ms(code, attempt, call.maxRetries + 1, retryAfterMs ?? -1, call.elapsedMs, jitter);
}

const UNSENDABLE = new Error("unsendable");

/** Only what the server needs: no other header makes a browser's preflight fail. */
function initOf(method, json, token, extra) {
  const headers = new Headers(extra);
  try {
    if (token !== null) headers.set("authorization", `Bearer ${token}`);
  } catch {
    throw UNSENDABLE;
  }
  if (json !== undefined) headers.set("content-type", "application/json");
  return { method, headers, body: json };
}

async function readError(response, call) {
  let retryAfterMs = null;
  const header = response.headers.get("retry-after");
  if (header !== null) {
    await init().then(
      () => (retryAfterMs = retry_after_ms(header, Date.now())),
      () => {},
    );
    if (retryAfterMs < 0) retryAfterMs = null;
  }
  // An error is an error, however its body fares.
  const text = await call.wait("stall", () => response.text()).catch(() => "");
  call.check({ requestId: requestId(response) });
  return apiError(response.status, text, { requestId: requestId(response), retryAfterMs });
}

/** The answer's body as a value; undefined if there is none by contract. */
export async function readJSON(response, call) {
  const details = { requestId: requestId(response) };
  if (response.status === 204) return undefined;
  try {
    const answer = await call.wait("stall", () => response.json());
    // As openai-node has it: not in the way of whoever lists or prints the members.
    if (typeof answer === "object" && answer !== null)
      Object.defineProperty(answer, "_request_id", { value: details.requestId });
    return answer;
  } catch (cause) {
    call.check(details);
    if (cause instanceof SyntaxError) throw failure("response_malformed", "The answer is not JSON.", details);
    throw failure("connection_failed", "The connection broke in mid-answer.", { cause, ...details });
  }
}

/** The edge's name for the request, to find it in the logs. */
export function requestId(response) {
  return response?.headers.get("x-request-id") ?? null;
}
