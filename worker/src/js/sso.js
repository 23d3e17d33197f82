// What a tenant publishes, and whether a signature is its own.
//
// The runtime has RSA; in wasm it would be a tenth of the whole edge.
import { readBody } from "./http.js";

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * Fetches a public JSON document whole, within `limitMs`. Resolves to `{ text }` or to `{ complaint }`, a
 * sentence's end for the log; never rejects.
 */
export async function fetchDocument(url, limitBytes, limitMs) {
  try {
    // `manual`: what is published elsewhere is not the tenant's.
    const response = await fetch(url, {
      headers: { accept: "application/json" },
      redirect: "manual",
      signal: AbortSignal.timeout(limitMs),
    });
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !JSON_TYPE.test(type)) {
      response.body?.cancel().catch(() => {});
      return { complaint: response.status === 200 ? "is not JSON" : `was answered with ${response.status}` };
    }
    const bytes = await readBody(response, undefined, limitBytes);
    if (!bytes) return { complaint: `is larger than ${limitBytes} bytes` };
    return { text: new TextDecoder().decode(bytes) };
  } catch {
    return { complaint: "could not be had in time" };
  }
}

/** Whether a signature is one of RSASSA-PKCS1-v1_5 with SHA-256 by this key; never rejects. */
export async function isSignedBy(modulus, exponent, signed, signature) {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  try {
    const jwk = { kty: "RSA", n: modulus, e: exponent };
    const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
    return await crypto.subtle.verify(algorithm, key, signature, new TextEncoder().encode(signed));
  } catch {
    return false; // what cannot be imported has signed nothing
  }
}
