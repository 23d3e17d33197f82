import { headersOf } from "./http.js";

/** Posts a text; gives the status. Redirects are not followed: what goes along is for this address alone. */
export async function post(url, fields, body, limitMs) {
  const response = await fetch(url, {
    method: "POST",
    headers: headersOf(fields),
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(limitMs),
  });
  await response.body?.cancel();
  return response.status;
}

/** Resolves after so many milliseconds. */
export async function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
