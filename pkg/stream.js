import { APIError, StreamTruncatedError, asCoMindError, badParam, failure } from "./error.js";
import { EventStream, Output, init, memory } from "./runtime.js";
import { requestId } from "./request.js";

// What crosses into the core at once. A larger piece of the network's goes in several, so that its memory stays small.
const PUSH_BYTES = 64 * 1024;

// How long after `[DONE]` the server has to close, which lets the connection be used again.
const LINGER_MS = 1000;

// Texts up to this length are faster made in JavaScript than by a decoder.
const SHORT_BYTES = 16;

// Each text is decoded whole, so one decoder serves all streams. A BOM inside a string is a character.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

const OVER = Object.freeze({ value: undefined, done: true });

/** Waits for the head of the answer: `create` throws what went wrong before it. */
export const openStream = Symbol("open");

/** An answer on its way; its members are described in index.d.ts. */
export class AnswerStream {
  requestId = null;
  #call;
  /** Resolves to the response once it has begun. */
  #head;
  #reader = null;
  /** The core's half (src/stream.rs); null before the first byte and once its memory was given back. */
  #core = null;
  #input = 0;
  #room = 0;
  /** What is left of a piece that was too large for one push. */
  #rest = null;
  #hasBytes = false;
  /** The core wants no more: what is left is to look at the end. */
  #isLast = false;
  /** What broke the connection, if something did. */
  #broken = undefined;
  /** How the stream is being read; null until somebody does. */
  #output = null;
  #reading = null;
  /** A read is under way; so many more wait for it; the last of them. */
  #isBusy = false;
  #queued = 0;
  #turn = null;
  /** Chunks, or texts, that were not given yet. */
  #chunks = [];
  /** Makes a chunk of its text. */
  #model = null;
  #at = 0;
  /** Why it is over: null while it is not, true when the answer is whole, else the error. */
  #outcome = null;
  #isTold = false;
  #answer = null;

  constructor(head, call) {
    this.#call = call;
    this.#head = head.then((response) => this.#open(response));
    // Whoever reads hears of it; nobody has to.
    this.#head.catch((thrown) => this.#fail(thrown));
  }

  async [openStream]() {
    try {
      await this.#head;
    } catch (thrown) {
      throw this.#fail(thrown);
    }
  }

  [Symbol.asyncIterator]() {
    return this.#iterate(Output.Chunks);
  }

  next() {
    return this.#iterate(Output.Chunks).next();
  }

  return(value) {
    return this.#iterate(Output.Chunks).return(value);
  }

  get textStream() {
    return this.#iterate(Output.Text);
  }

  async forEach(callback) {
    this.#claim(Output.Chunks);
    return this.#each(callback);
  }

  async forEachText(callback) {
    this.#claim(Output.Text);
    return this.#each(callback);
  }

  abort() {
    this.#call.end("aborted");
  }

  async finalCompletion() {
    this.#output ??= Output.Nothing;
    await this.#drain();
    if (this.#outcome !== true) throw this.#outcome;
    return this.#answer;
  }

  async finalMessage() {
    return (await this.finalCompletion()).choices[0]?.message;
  }

  async finalText() {
    const [choice] = (await this.finalCompletion()).choices;
    return choice?.message?.content ?? choice?.text ?? "";
  }

  /** The answer so far. */
  get snapshot() {
    return this.#core ? this.#parse(this.#core.answer()) : this.#answer;
  }

  get usage() {
    return (this.#core ? this.#parse(this.#core.usage()) : this.#answer?.usage) ?? null;
  }

  toReadableStream() {
    const chunks = this[Symbol.asyncIterator]();
    const encoder = new TextEncoder();
    return new ReadableStream({
      async pull(controller) {
        const { value, done } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(JSON.stringify(value) + "\n"));
      },
      cancel: () => this.abort(),
    });
  }

  /** A stream is read once, and in one way. */
  #claim(output) {
    if (this.#output !== null)
      throw badParam("stream", "A stream is read once: by iteration, `textStream`, `forEach` or `final…`.");
    this.#output = output;
  }

  #iterate(output) {
    if (this.#reading !== null && this.#output === output) return this.#reading;
    this.#claim(output);
    let isLeft = false;
    this.#reading = {
      next: () => {
        if (isLeft) return Promise.resolve(OVER);
        return this.#isBusy || this.#queued > 0 ? this.#queue() : this.#next();
      },
      // What a `for await` that is left early calls.
      return: (value) => {
        isLeft = true;
        this.abort();
        return Promise.resolve({ value, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    return this.#reading;
  }

  /** For a reader that does not wait for one item before it asks for the next. */
  #queue() {
    this.#queued += 1;
    const next = () => {
      this.#queued -= 1;
      return this.#next();
    };
    return (this.#turn = this.#turn.then(next, next));
  }

  /** Reads to the end. What somebody else is reading waits for them, in order. */
  async #drain() {
    while (this.#outcome === null) {
      if (this.#isBusy || this.#queued > 0) {
        await this.#turn.catch(() => {});
        continue;
      }
      const waiting = this.#chunks.splice(0);
      waiting.splice(0, this.#at);
      this.#at = 0;
      try {
        const item = await this.#next();
        if (!item.done && this.#output !== Output.Nothing)
          waiting.push(item.value, ...this.#chunks.splice(0).slice(1));
      } catch {
        // It is for whoever reads to hear of it.
        this.#isTold = false;
      }
      this.#chunks = waiting;
      this.#at = 0;
    }
  }

  async #each(callback) {
    for (let item; !(item = await this.#next()).done;) {
      try {
        callback(item.value);
        while (this.#at < this.#chunks.length && !this.#call.ended) callback(this.#chunks[this.#at++]);
      } catch (thrown) {
        this.abort();
        throw thrown;
      }
    }
  }

  /** A promise of the next item; rejects once with what ended the answer early. One promise beside the read's. */
  #next() {
    if (this.#at < this.#chunks.length && !this.#call.ended)
      return Promise.resolve({ value: this.#chunks[this.#at++], done: false });
    if (this.#outcome === true || this.#isTold) return Promise.resolve(OVER);
    this.#isBusy = true;
    const isPlain = this.#core !== null && this.#rest === null && !this.#isLast;
    return (this.#turn = isPlain ? this.#pull().then(this.#take, this.#refuse) : this.#nextInSteps());
  }

  /** The same where more than one read may be needed. */
  async #nextInSteps() {
    try {
      if (this.#reader === null) await this.#head;
      await init();
      this.#call.check({ requestId: this.requestId });
      this.#core ??= new EventStream();
      for (;;) {
        if (this.#isLast) return this.#settle();
        const read = () => this.#pull().catch((cause) => ({ cause }));
        const item = this.#push(this.#rest ?? this.#bytesOf(await read()));
        if (item) return item;
      }
    } catch (thrown) {
      throw this.#tell(thrown);
    } finally {
      this.#isBusy = false;
    }
  }

  #take = (piece) => {
    this.#isBusy = false;
    try {
      return this.#push(this.#bytesOf(piece)) ?? this.#again();
    } catch (thrown) {
      throw this.#tell(thrown);
    }
  };

  #again() {
    this.#isBusy = true;
    return this.#nextInSteps();
  }

  #refuse = (cause) => this.#take({ cause });

  #open(response) {
    this.requestId = requestId(response);
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream")) {
      this.#call.end("aborted");
      throw failure("response_malformed", "The answer is not an event stream.", {
        requestId: this.requestId,
      });
    }
    // React Native has no streams: the answer comes in one piece.
    this.#reader = response.body?.getReader() ?? wholeReader(response);
    this.#call.onEnd = () => this.#leave();
    if (this.#call.ended) this.#leave();
  }

  #pull() {
    this.#call.arm(this.#hasBytes ? "stall" : "firstByte");
    return this.#reader.read();
  }

  /** The bytes of a read; none at the end. */
  #bytesOf({ value, cause }) {
    this.#call.disarm();
    if (this.#call.ended) this.#call.check({ requestId: this.requestId });
    if (value) this.#hasBytes = true;
    else this.#broken = cause;
    return value;
  }

  /** The item that these bytes bring; undefined if none. */
  #push(bytes) {
    const core = this.#core;
    if (bytes === undefined) {
      core.finish();
      this.#isLast = true;
      return undefined;
    }
    this.#rest = null;
    if (bytes.length > PUSH_BYTES) {
      this.#rest = bytes.subarray(PUSH_BYTES);
      bytes = bytes.subarray(0, PUSH_BYTES);
    }
    if (bytes.length > this.#room) {
      this.#room = bytes.length;
      this.#input = core.input(bytes.length);
    }
    memory().set(bytes, this.#input);
    const pushed = core.push(bytes.length, this.#output);
    if (pushed & 1) {
      this.#isLast = true;
      this.#rest = null;
    }
    const length = pushed >>> 2;
    if (pushed & 2) this.#call.noteProgress();
    if (length === 0) return undefined;
    if (this.#output === Output.Text) return { value: textOf(memory(), core.output(), length), done: false };
    this.#chunks = this.#expand(this.#parse(length));
    this.#at = 1;
    return { value: this.#chunks[0], done: false };
  }

  /** Chunks that differ from an earlier one in their text alone come as that text: see `Output.Chunks` of the core. */
  #expand(items) {
    const chunks = [];
    for (let at = 0; at < items.length; at++) {
      const item = items[at];
      if (typeof item === "string") chunks.push(this.#model(item));
      else if (item === 1) {
        this.#model = modelOf(items[++at]);
        chunks.push(items[at]);
      } else chunks.push(item);
    }
    return chunks;
  }

  #parse(length) {
    if (length === 0) return undefined;
    const start = this.#core.output();
    return JSON.parse(utf8.decode(memory().subarray(start, start + length)));
  }

  /** The stream has come to its end, of whatever kind. */
  #settle() {
    const told = this.#parse(this.#core.failure())?.error;
    const isDone = this.#core.is_done();
    this.#release();
    if (told) {
      const details = { ...told, requestId: this.requestId, cause: this.#broken };
      if (told.code === "response_malformed") throw failure(told.code, told.message, details);
      const isCut = this.#answer !== null || told.code === "stream_truncated";
      throw new (isCut ? StreamTruncatedError : APIError)(told.message, details);
    }
    if (isDone) this.#linger();
    this.#end(true);
    return OVER;
  }

  /** Whoever reads hears once why it ended; then it is over, as for every iterator. */
  #tell(thrown) {
    this.#isTold = true;
    return this.#fail(thrown);
  }

  /** Whatever failed, the stream is over. */
  #fail(thrown) {
    if (this.#outcome !== null) return this.#outcome;
    this.#release();
    const error = asCoMindError(thrown);
    error.requestId ??= this.requestId;
    if (this.#answer !== null) error.partial = this.#answer;
    this.#end(error);
    // What the core refuses may still be coming in.
    this.#call.end("aborted");
    this.#reader?.cancel().catch(() => {});
    return error;
  }

  #end(outcome) {
    this.#call.close();
    this.#outcome = outcome;
  }

  /** The rest is read so that the connection can be used again, but not for ever. */
  #linger() {
    const reader = this.#reader;
    const leave = () => reader.cancel().catch(() => {});
    const timer = setTimeout(leave, LINGER_MS);
    timer.unref?.();
    reader
      .read()
      .then(
        ({ done }) => done || leave(),
        () => {},
      )
      .finally(() => clearTimeout(timer));
  }

  /** The call was ended. Its signal closes the connection; a `fetch` of the caller's own may not heed it. */
  #leave() {
    try {
      this.#call.check({ requestId: this.requestId });
    } catch (ended) {
      this.#fail(ended);
    }
  }

  #release() {
    if (this.#core === null) return;
    this.#answer = this.#parse(this.#core.answer()) ?? null;
    this.#core.free();
    this.#core = null;
  }
}

function wholeReader(response) {
  let isRead = false;
  return {
    async read() {
      if (isRead) return { done: true };
      isRead = true;
      return { value: new Uint8Array(await response.arrayBuffer()), done: false };
    },
    cancel: async () => {},
  };
}

/**
 * A function that makes chunks like this one with another text: copying is several times faster than parsing.
 *
 * The members stay in their order, and no two chunks share an object.
 */
function modelOf(model) {
  // The caller may change the chunk that it is given.
  const json = JSON.stringify(model);
  const chunk = JSON.parse(json);
  const [choice] = chunk.choices;
  const isFlat = (object, except) =>
    Object.entries(object).every(
      ([name, value]) => name === except || typeof value !== "object" || value === null,
    );
  const isPlain = isFlat(chunk, "choices") && isFlat(choice, "delta") && isFlat(choice.delta ?? {});
  if (!isPlain) return (text) => withText(JSON.parse(json), text);
  if (!choice.delta) return (text) => ({ ...chunk, choices: [{ ...choice, text }] });
  return (content) => ({ ...chunk, choices: [{ ...choice, delta: { ...choice.delta, content } }] });
}

function withText(chunk, text) {
  const [choice] = chunk.choices;
  if (choice.delta) choice.delta.content = text;
  else choice.text = text;
  return chunk;
}

function textOf(bytes, start, length) {
  if (length <= SHORT_BYTES) {
    let text = "";
    let at = start;
    for (; at < start + length && bytes[at] < 0x80; at++) text += String.fromCharCode(bytes[at]);
    if (at === start + length) return text;
  }
  return utf8.decode(bytes.subarray(start, start + length));
}
