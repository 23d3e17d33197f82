//! What a failure means to a person: one sentence and, where there is one, something to do.

/** What to offer: each is a button of a failed answer. */
export const OFFERS = {
  again: "Try again",
  signIn: "Sign in again",
  otherModel: "Choose another model",
  newConversation: "New conversation",
};

const SENTENCES = {
  invalid_credentials: ["That e-mail address and password do not go together."],
  email_not_confirmed: ["This address is not confirmed yet. Follow the e-mail that was sent to it."],
  account_suspended: ["This account is suspended. Your administrator can tell you why."],
  token_expired: ["Your session has ended. Sign in again: nothing you wrote is lost.", "signIn"],
  token_revoked: ["You were signed out. Sign in again: nothing you wrote is lost.", "signIn"],
  unauthorized: ["You are not signed in. Sign in again: nothing you wrote is lost.", "signIn"],
  insufficient_scope: ["Your account may not do this. Ask your administrator for the right to."],
  invalid_code: ["That code is wrong, used up or too old."],
  duplicate: ["One of this name exists already."],
  token_limit_reached: ["You have as many tokens as you may. Revoke one first."],
  pat_not_allowed: ["This needs a person's sign-in, not an API token."],
  admin_scopes_required: ["Only an administrator may do this."],
  plan_required: ["Your organization's plan does not include this. Ask your administrator."],
  bad_request: ["The model's server did not accept this as it is.", "again"],
  not_found: ["The server does not know this address. Is the console newer than the server?"],
  model_not_found: ["This model is no longer offered.", "otherModel"],
  capability_not_supported: ["This model cannot do that.", "otherModel"],
  request_too_large: ["This conversation has grown too long to send.", "newConversation"],
  rate_limited: ["That was a little too fast.", "again"],
  internal_error: ["Something broke on the server. The fault is not yours.", "again"],
  upstream_error: ["The model's server failed while it answered.", "again"],
  no_backend_available: ["No server with this model is up at the moment.", "again"],
  upstream_timeout: ["The model took too long to answer.", "again"],
  connection_failed: ["The server could not be reached.", "again"],
  timeout: ["The server took too long to answer.", "again"],
  stream_truncated: ["The connection broke before the answer was complete.", "again"],
  response_malformed: ["The server's answer could not be understood.", "again"],
};

/** Where the server's own sentence says more than ours can: which parameter, which scope, how many tokens. */
const TELLING = new Set([
  "bad_request",
  "capability_not_supported",
  "insufficient_scope",
  "model_not_found",
  "rate_limited",
  "upstream_error",
]);

const OFFLINE = ["You are offline. The message goes out when the connection is back.", "again"];
const UNKNOWN = ["Something went wrong.", "again"];

/**
 * @param {Error & { code?: string, retryAfterMs?: number, requestId?: string }} error
 * @returns {{ sentence: string, detail: string, offer?: keyof typeof OFFERS, waitMs: number, isOffline: boolean, reference: string }}
 *   `detail`: the server's own words where they help, or empty; `waitMs`: how long until the offer makes sense;
 *   `reference`: what to tell the support, or empty
 */
export function failureOf(error) {
  const isOffline = error.code === "connection_failed" && navigator.onLine === false;
  const [sentence, offer] = isOffline ? OFFLINE : (SENTENCES[error.code] ?? UNKNOWN);
  return {
    sentence,
    detail: TELLING.has(error.code) ? error.message : "",
    offer,
    waitMs: Math.max(0, error.retryAfterMs ?? 0),
    isOffline,
    reference: error.requestId ? `Reference ${error.requestId}` : "",
  };
}

/** A failure of a form in one sentence: what is wrong with what was written there, if the server says so. */
export function problemOf(error) {
  return error.code === "bad_request" ? error.message : failureOf(error).sentence;
}

/** Whether only signing in again can help. */
export function isSignedOut(error) {
  return ["token_expired", "token_revoked", "unauthorized"].includes(error.code);
}

/** Whether the person stopped it, which is no failure. */
export function isStop(error) {
  return error.code === "aborted" || error.name === "AbortError";
}
