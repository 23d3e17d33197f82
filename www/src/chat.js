//! The conversation that is open: its turns on the page, one answer coming at a time, kept after each.

import { Answer } from "./answer.js";
import { newConversation, paramsOf, titleOf } from "./conversation.js";
import { isSignedOut, isStop } from "./failure.js";
import { Question } from "./question.js";

export class Chat {
  #client;
  #root;
  #handlers;
  #conversation = newConversation();
  /** `{ question, answer }` on the page, one a turn of the conversation. */
  #views = [];
  #abort = null;

  /**
   * @param {import("@co-mind/client").CoMind} client
   * @param {HTMLElement} root filled by this object alone
   * @param {{
   *   model: () => string,
   *   timingsOf: (requestId: string) => object[],
   *   onAnswering: (isAnswering: boolean) => void,
   *   onPace: (figures: object | null) => void,
   *   onBlock: (text: string) => void,
   *   onShow: () => void,
   *   onChange: (conversation: object) => void,
   *   onAnswered: (record: object) => void,
   *   onSignedOut: () => Promise<void>,
   * }} handlers
   *   `onChange`: it is to be kept; `onSignedOut` resolves when somebody is signed in again, and the question goes out once more
   */
  constructor(client, root, handlers) {
    this.#client = client;
    this.#root = root;
    this.#handlers = handlers;
  }

  get isAnswering() {
    return this.#abort !== null;
  }

  /** As it is kept; its `settings` and `draft` may be changed, and `changed` says so. */
  get conversation() {
    return this.#conversation;
  }

  /** The last answer, if there is one. */
  get last() {
    return this.#views.at(-1)?.answer;
  }

  /** Opens one that was kept, or a new one. */
  open(conversation = newConversation()) {
    this.stop();
    this.#abort = null;
    this.#conversation = conversation;
    this.#views = conversation.turns.map(({ asked, answer }) => ({
      question: this.#question(asked),
      answer: new Answer(answer).restore(),
    }));
    this.#root.replaceChildren(
      ...this.#views.flatMap(({ question, answer }) => [question.node, answer.node]),
    );
    this.#askResults();
  }

  /** What the element in a turn belongs to. */
  viewAt(node) {
    return this.#views.find(
      ({ question, answer }) => question.node.contains(node) || answer.node.contains(node),
    );
  }

  /** Asks and shows the answer as it comes. */
  async send(asked) {
    if (this.isAnswering) return;
    this.last?.closeResults();
    if (this.#views.length === 0) this.#conversation.title = titleOf(asked);
    const question = this.#question(asked);
    this.#root.append(question.node);
    this.#conversation.turns.push({ asked, answer: { model: this.#handlers.model() } });
    this.#views.push({ question, answer: null });
    await this.#answer();
  }

  /** Asks the last question again, in place of its answer. */
  async again() {
    if (this.#views.length === 0 || this.isAnswering) return;
    this.last.node.remove();
    await this.#answer();
  }

  /** Opens the last question for editing. */
  editLast() {
    this.#views.findLast(({ question }) => !question.asked.results)?.question.edit();
  }

  /** Ends the answer that is coming; its words stay. */
  stop() {
    this.#abort?.abort();
  }

  /** Its settings or its draft are others now. */
  changed() {
    if (this.#views.length > 0) this.#handlers.onChange(this.#conversation);
  }

  #question(asked) {
    const question = new Question(asked, (changed) => this.#resend(question, changed));
    return question;
  }

  /** The question in other words: what came after it is gone, also what is still coming. */
  async #resend(question, asked) {
    this.stop();
    this.#abort = null;
    const at = this.#views.findIndex((view) => view.question === question);
    for (const view of this.#views.splice(at)) {
      view.question.node.remove();
      view.answer.node.remove();
    }
    this.#conversation.turns.splice(at);
    await this.send(asked);
  }

  #askResults() {
    this.last?.askResults((results) => void this.send({ results }));
  }

  async #answer() {
    const { model, onAnswering, onBlock, onShow, onPace, onAnswered, onSignedOut, timingsOf } =
      this.#handlers;
    const conversation = this.#conversation;
    const turn = conversation.turns.at(-1);
    const answer = new Answer({ model: model() }, { onBlock, onShow, onPace }).begin();
    this.#views.at(-1).answer = answer;
    this.#root.append(answer.node);
    this.#keep(turn, answer);
    onShow();

    const abort = new AbortController();
    this.#abort = abort;
    onAnswering(true);
    let failure = null;
    // One try: a person sees the failure and decides, rather than waits for silent repeats.
    const stream = this.#client.chat.completions.stream(paramsOf(conversation, model()), {
      signal: abort.signal,
      maxRetries: 0,
    });
    const timings = () => timingsOf(stream.requestId);
    try {
      for await (const chunk of stream) answer.take(chunk, stream);
      answer.finish(timings());
      onAnswered(answer.record);
    } catch (error) {
      if (isStop(error)) answer.stop(timings());
      else answer.fail((failure = error), timings());
    }
    turn.answer = answer.record;
    conversation.updatedAt = Date.now();
    this.#handlers.onChange(conversation);
    // Another conversation may be open by now, and its answer is not ours to end.
    if (this.#abort !== abort) return;
    this.#abort = null;
    onAnswering(false);
    onShow();
    if (!failure) this.#askResults();

    if (failure && isSignedOut(failure)) {
      await onSignedOut();
      if (this.last === answer) await this.again();
    }
  }

  /** Keeps the question before its answer is there: the page may be closed. */
  #keep(turn, answer) {
    turn.answer = { ...answer.record, ending: "stopped" };
    this.#conversation.updatedAt = Date.now();
    this.#handlers.onChange(this.#conversation);
  }
}
