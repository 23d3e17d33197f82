import { endingOf } from "./call.js";
import { asCoMindError } from "./error.js";

// What crosses into wasm at once. A larger piece of the network's goes in several, so that wasm memory stays small.
const PUSH_BYTES = 64 * 1024;

// How long after `[DONE]` the server has to close, which lets the connection be used again.
const LINGER_MS = 1000;

// Each piece is decoded whole, so one decoder serves all streams. A BOM inside a string is a character.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** An answer on its way: iterate it once for the chunks; its members are described in index.d.ts. */
export class ChatStream {
  #call;
  #reader;
  #memory;
  /** The core's half (src/stream.rs); null once its memory was given back. */
  #core;
  #chunks = this.#read();
  #isWhole = false;
  #failure = null;
  /** The answer so far as JSON text, kept when the core's half goes. */
  #answer = undefined;

  constructor(response, call, { core, memory }) {
    this.requestId = response.headers.get("x-request-id");
    this.#call = call;
    this.#reader = response.body.getReader();
    this.#memory = memory;
    this.#core = new core.EventStream(this.requestId ?? undefined);
    call.onEnd = () => this.#leave();
    // The call may have been ended while its answer was on the way here.
    if (call.ended) this.#leave();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    return this.#chunks.next();
  }

  /** What a `for await` that is left early calls. */
  return(value) {
    this.abort();
    return this.#chunks.return(value);
  }

  abort() {
    this.#call.end("aborted");
  }

  async finalCompletion() {
    while (!(await this.next()).done);
    if (!this.#isWhole) throw this.#failure ?? endingOf(this.#call);
    return JSON.parse(this.#answer);
  }

  async finalMessage() {
    return (await this.finalCompletion()).choices[0].message;
  }

  /** The one async layer between the network and the caller. */
  async *#read() {
    try {
      for (;;) {
        const { value: bytes, broken } = await this.#pull();
        if (!bytes) {
          this.#core.finish(broken);
          break;
        }
        let isDone = false;
        for (let start = 0; start < bytes.length && !isDone; start += PUSH_BYTES) {
          for (const chunk of this.#push(bytes.subarray(start, start + PUSH_BYTES))) {
            yield chunk;
            // The caller may have aborted with the chunk in its hands.
            this.#check();
          }
          isDone = this.#core.poll_done();
        }
        if (isDone) {
          this.#linger();
          break;
        }
      }
      this.#isWhole = true;
    } catch (thrown) {
      this.#failure = asCoMindError(thrown);
      this.#release();
      if (this.#answer) this.#failure.partial = JSON.parse(this.#answer);
      // A stream that the core refuses may still be coming in.
      this.#call.end("aborted");
      throw this.#failure;
    } finally {
      this.#call.close();
      this.#release();
    }
  }

  /** The next bytes; none at the end, with what broke the connection if something did. */
  async #pull() {
    this.#check();
    this.#call.arm();
    let piece;
    try {
      piece = await this.#reader.read();
    } catch (cause) {
      piece = { broken: cause };
    }
    this.#call.disarm();
    this.#check();
    return piece;
  }

  /** The chunks that these bytes complete. */
  #push(bytes) {
    const core = this.#core;
    // Each view is made after the call that may let the memory grow, which empties all views before it.
    const address = core.input(bytes.length);
    new Uint8Array(this.#memory.buffer, address, bytes.length).set(bytes);
    const length = core.push(bytes.length);
    if (length === 0) return [];
    return JSON.parse(utf8.decode(new Uint8Array(this.#memory.buffer, core.output(), length)));
  }

  #check() {
    if (this.#call.ended) throw endingOf(this.#call, { requestId: this.requestId });
  }

  #linger() {
    const leave = () => this.#reader.cancel().catch(() => {});
    const timer = setTimeout(leave, LINGER_MS);
    this.#reader
      .read()
      .then(
        ({ done }) => done || leave(),
        () => {},
      )
      .finally(() => clearTimeout(timer));
  }

  #leave() {
    this.#release();
    // The call's signal closes the connection; a `fetch` of the caller's own may not heed it.
    this.#reader.cancel().catch(() => {});
  }

  #release() {
    const core = this.#core;
    if (!core) return;
    this.#core = null;
    this.#answer = core.answer();
    core.free();
  }
}
