// Runs the event-stream vectors against the decoder in wasm, or that wasm as JavaScript, and judges by itself.
// node run.mjs MODULE.wasm|MODULE.mjs FILE...
// A failed vector is one line `FAIL <tab> place <tab> name <tab> reason`; the last line counts.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** Streams up to this length are cut at every position and every pair of positions. */
const SMALL_BYTES = 64;
/** A quadratic decoder needs hours for the large vectors, a linear one well under a second. */
const TIME_LIMIT_MS = 20_000;

const [modulePath, ...files] = process.argv.slice(2);
const kind = modulePath.endsWith(".wasm") ? "wasm" : "javascript";
const wasm = kind === "wasm" ? instantiate() : await import(pathToFileURL(modulePath));

function instantiate() {
  const module = new WebAssembly.Module(readFileSync(modulePath));
  assert.deepEqual(WebAssembly.Module.imports(module), [], "the module must need nothing of its host");
  return new WebAssembly.Instance(module).exports;
}

/** The stream of a vector and the lengths of its declared chunks. */
function streamOf({ chunks, build }) {
  if (chunks) {
    const pieces = chunks.map((chunk) => Buffer.from(chunk, "base64"));
    return { stream: Buffer.concat(pieces), lengths: pieces.map((piece) => piece.length) };
  }
  const { prefix, fill, fill_count, suffix, chunk_bytes } = build;
  const stream = Buffer.from(prefix + fill.repeat(fill_count) + suffix);
  return { stream, lengths: [...pieces(stream.length, chunk_bytes || stream.length)] };
}

function* pieces(length, size) {
  for (let at = 0; at < length; at += size) yield Math.min(size, length - at);
}

/** Every way to cut the stream: a name and the lengths of the pieces. */
function* waysOf({ stream, lengths }) {
  yield ["as declared", lengths];
  yield ["whole", [stream.length]];
  for (const size of [1, 2, 3, 7]) yield [`${size}-byte pieces`, pieces(stream.length, size)];
  if (stream.length > SMALL_BYTES) return;
  for (let first = 1; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      yield [`cut at ${first} and ${second}`, [first, second - first, stream.length - second]];
    }
  }
}

function decode(stream, lengths) {
  const seen = {
    events: [],
    comments: [],
    retry: null,
    last_event_id: "",
    is_cut: false,
    events_after_chunk: [],
  };
  const start = performance.now();
  let at = 0;
  let memory = new Uint8Array(wasm.memory.buffer);
  wasm.open();
  for (const length of lengths) {
    const input = wasm.input(length);
    if (memory.buffer !== wasm.memory.buffer) memory = new Uint8Array(wasm.memory.buffer);
    if (length === 1) memory[input] = stream[at];
    else memory.set(stream.subarray(at, at + length), input);
    at += length;
    const events = wasm.push();
    assert.notEqual(events, -1, "the decoder refused the stream");
    if (seen.events_after_chunk.push(events) % 4096 === 0) {
      assert.ok(performance.now() - start < TIME_LIMIT_MS, `not done after ${TIME_LIMIT_MS} ms`);
    }
  }
  assert.equal(at, stream.length);
  seen.is_cut = wasm.finish() === 1;
  const output = Buffer.from(wasm.memory.buffer, wasm.output(), wasm.output_length());
  for (const line of output.toString().split("\n")) {
    if (line === "") continue;
    const { event, comment, ...end } = JSON.parse(line);
    if (event) seen.events.push(event);
    else if (comment !== undefined) seen.comments.push(comment);
    else Object.assign(seen, end);
  }
  return seen;
}

/** Compares what a vector states with what was seen; what it leaves out is not checked. */
function judge(expected, seen, isDeclared) {
  for (const what of ["events", "comments", "retry", "last_event_id"]) {
    if (what in expected) assert.deepEqual(seen[what], expected[what], what);
  }
  if (isDeclared && expected.events_after_chunk) {
    assert.deepEqual(seen.events_after_chunk, expected.events_after_chunk, "events after each chunk");
  }
  if (expected.event_count != null) assert.equal(seen.events.length, expected.event_count, "event count");
  const data = seen.events[0]?.data ?? "";
  if (expected.data_len != null) assert.equal(Buffer.byteLength(data), expected.data_len, "data length");
  if (expected.data_fill != null) {
    assert.equal(data.replaceAll(expected.data_fill, ""), "", `data is not all ${expected.data_fill}`);
  }
}

function run(vector) {
  const { stream, lengths } = streamOf(vector);
  for (const [way, cuts] of waysOf({ stream, lengths })) {
    try {
      const seen = decode(stream, cuts);
      judge(vector.expected, seen, cuts === lengths);
      if (vector.variants?.eof_flush) assert.ok(seen.is_cut, "an unfinished event was not noticed");
    } catch (error) {
      return `${way}: ${error.message.replace(/\s+/g, " ")}`;
    }
  }
  return null;
}

let passed = 0;
let failed = 0;
for (const file of files) {
  for (const vector of JSON.parse(readFileSync(file, "utf8")).vectors) {
    const reason = run(vector);
    if (reason === null) passed += 1;
    else {
      failed += 1;
      console.log(`FAIL\t${passed + failed}\t${vector.name}\t${reason}`);
    }
  }
}
console.log(`${kind}: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
