// The few calls into the runtime that would cost one crossing of the wasm boundary for each header.

/** Builds a response. `headers` holds names and values in turn. */
export function respond(status, headers, body) {
  const fields = new Headers();
  for (let at = 0; at < headers.length; at += 2) fields.append(headers[at], headers[at + 1]);
  return new Response(body, { status, headers: fields });
}

/** How many bytes the names and values of a request's headers are. */
export function headerBytes(headers) {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length;
  return bytes;
}

/**
 * Reads a body whole. Resolves to its bytes, or to `undefined` as soon as it is longer than
 * `limitBytes`, without having kept more than that. `onChunk` is told of each piece.
 */
export async function readBody(body, limitBytes, onChunk) {
  if (!body) return new Uint8Array(0);
  const reader = body.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    onChunk?.();
    length += value.byteLength;
    if (length > limitBytes) {
      reader.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
