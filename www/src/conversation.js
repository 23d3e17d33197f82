//! The conversation: questions and answers in order, one answer coming at a time.

import { Answer } from "./answer.js";
import { copyOf } from "./element.js";
import { isSignedOut, isStop } from "./failure.js";

export class Conversation {
  #client;
  #root;
  #handlers;
  /** `{ question, answer }`, oldest first. */
  #exchanges = [];
  #abort = null;

  /**
   * @param {import("@co-mind/client").CoMind} client
   * @param {HTMLElement} root filled by this object alone
   * @param {{
   *   model: () => string,
   *   onAnswering: (isAnswering: boolean) => void,
   *   onBlock: (text: string) => void,
   *   onShow: () => void,
   *   onSignedOut: () => Promise<void>,
   * }} handlers
   *   `onSignedOut` resolves when somebody is signed in again; the question then goes out once more
   */
  constructor(client, root, handlers) {
    this.#client = client;
    this.#root = root;
    this.#handlers = handlers;
  }

  get isAnswering() {
    return this.#abort !== null;
  }

  get isEmpty() {
    return this.#exchanges.length === 0;
  }

  /** The last answer, if there is one. */
  get last() {
    return this.#exchanges.at(-1)?.answer;
  }

  /** The answer shown in this element. */
  answerAt(node) {
    return this.#exchanges.find(({ answer }) => answer.node === node)?.answer;
  }

  /** Sends a message and shows the answer as it comes. */
  async send(question) {
    const node = copyOf("question-template");
    node.querySelector("p").textContent = question;
    this.#root.append(node);
    this.#exchanges.push({ question, answer: null });
    await this.#answer();
  }

  /** Asks the last question again, in place of its answer. */
  async again() {
    if (this.isEmpty || this.isAnswering) return;
    this.last.node.remove();
    await this.#answer();
  }

  /** Ends the answer that is coming; its words stay. */
  stop() {
    this.#abort?.abort();
  }

  clear() {
    this.stop();
    this.#exchanges = [];
    this.#root.replaceChildren();
  }

  async #answer() {
    const { model, onAnswering, onBlock, onShow, onSignedOut } = this.#handlers;
    const exchange = this.#exchanges.at(-1);
    const messages = this.#messages();
    const answer = new Answer(model(), { onBlock, onShow });
    exchange.answer = answer;
    this.#root.append(answer.node);
    onShow();

    const abort = new AbortController();
    this.#abort = abort;
    onAnswering(true);
    let failure = null;
    try {
      // One try: a person sees the failure and decides, rather than waits for silent repeats.
      const stream = await this.#client.chat.completions.create(
        { model: model(), messages, stream: true, stream_options: { include_usage: true } },
        { signal: abort.signal, maxRetries: 0 },
      );
      for await (const chunk of stream) answer.take(chunk);
      answer.finish();
    } catch (error) {
      if (isStop(error)) answer.stop();
      else answer.fail((failure = error));
    }
    // A new conversation may have begun, and its answer is not ours to end.
    if (this.#abort !== abort) return;
    this.#abort = null;
    onAnswering(false);
    onShow();

    if (failure && isSignedOut(failure)) {
      await onSignedOut();
      if (this.last === answer) await this.again();
    }
  }

  /** What the model is told: every question that was answered, and the one that is asked. */
  #messages() {
    const asked = this.#exchanges.at(-1);
    return this.#exchanges.flatMap((exchange) => {
      const question = { role: "user", content: exchange.question };
      if (exchange === asked) return [question];
      if (!exchange.answer.text) return [];
      return [question, { role: "assistant", content: exchange.answer.text }];
    });
  }
}
