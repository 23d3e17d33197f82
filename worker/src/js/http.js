// The few calls into the runtime that would cost one crossing of the wasm boundary for each header.

/** What a request says before its body, in lines: method, URL, names and values in turn. */
export function readHead(request) {
  let head = `${request.method}\n${request.url}`;
  request.headers.forEach((value, name) => {
    head += `\n${name}\n${value}`;
  });
  return head;
}

/** Builds a response. */
export function respond(status, fields, body) {
  return new Response(body, { status, headers: headersOf(fields) });
}

/** Headers out of lines, names and values in turn; of several of one name the values make a list. */
export function headersOf(fields) {
  const headers = {};
  const lines = fields.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at];
    headers[name] = name in headers ? `${headers[name]}, ${lines[at + 1]}` : lines[at + 1];
  }
  return headers;
}

/**
 * Reads the body of a request or a response whole. Resolves to its bytes, or to `undefined` as soon as it is longer
 * than `limitBytes`, without having kept more than that. `onChunk` is told of each piece.
 *
 * Each read that waits in JavaScript costs a tenth of a whole request. HTTP lets a body be no longer than it said, so
 * one whose `length` is known is read in one go, by the runtime where nobody asks for its pieces.
 */
export async function readBody(source, length, limitBytes, onChunk) {
  if (!source.body) return new Uint8Array(0);
  if (length <= limitBytes)
    return onChunk ? readKnown(source, length, onChunk) : new Uint8Array(await source.arrayBuffer());
  const reader = source.body.getReader();
  const chunks = [];
  let arrived = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    onChunk?.();
    arrived += value.byteLength;
    if (arrived > limitBytes) {
      reader.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(arrived);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** Reads so many bytes: mostly all are there at once, and whether more come need not be asked. */
async function readKnown(source, length, onChunk) {
  const reader = source.body.getReader({ mode: "byob" });
  let bytes = new Uint8Array(length);
  for (let arrived = 0; arrived < length;) {
    // A read takes the buffer away and gives it back.
    const { done, value } = await reader.read(bytes.subarray(arrived));
    if (done) return bytes.slice(0, arrived);
    onChunk();
    arrived += value.byteLength;
    bytes = new Uint8Array(value.buffer);
  }
  return bytes;
}
