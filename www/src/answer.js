//! One answer on the page: its words as they come, how fast they came, how it ended.

import { canCopy } from "./clipboard.js";
import { countDown } from "./countdown.js";
import { copyOf } from "./element.js";
import { failureOf, OFFERS } from "./failure.js";
import { MarkdownStream } from "./markdown.js";
import { Pace } from "./pace.js";

/** How often the waiting time and the pace are written anew: slower than the words, to stay quiet. */
const PACE_INTERVAL_MS = 500;

/** Why an answer ended short of its natural end, for people. */
const ENDINGS = {
  stopped: "Stopped",
  length: "Cut at the length limit",
  content_filter: "Withheld by a filter",
};

export class Answer {
  node = copyOf("answer-template");
  /** All words so far: what the next request carries, and what is copied. */
  text = "";
  #reasoning = "";
  #ending = "";
  #pace = new Pace(performance.now());
  #markdown;
  #frame = 0;
  #timer;
  #onShow;

  /**
   * @param {string} model
   * @param {{ onBlock: (text: string) => void, onShow: () => void }} handlers
   *   `onBlock`: a block of words is final; `onShow`: the page has grown
   */
  constructor(model, { onBlock, onShow }) {
    this.#part(".model").textContent = model;
    this.#markdown = new MarkdownStream(this.#part(".prose"), onBlock);
    this.#onShow = onShow;
    this.#timer = setInterval(() => this.#showPace(), PACE_INTERVAL_MS);
  }

  /** Takes one chunk of the stream; the page follows at the next frame. */
  take(chunk) {
    if (chunk.usage) this.#pace.settle(chunk.usage);
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const words = choice.delta?.content ?? "";
    const thoughts = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? "";
    if (words || thoughts) this.#pace.tick(performance.now());
    this.text += words;
    this.#reasoning += thoughts;
    if (choice.finish_reason) this.#ending = choice.finish_reason;
    this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  /** The answer is whole. */
  finish() {
    this.#settle(this.#ending);
  }

  /** The person stopped it; what came stays. */
  stop() {
    this.#settle("stopped");
  }

  /** It failed; what came stays, with a sentence and an offer. */
  fail(error) {
    this.#settle("");
    const { sentence, offer, waitMs, reference } = failureOf(error);
    this.#part(".sentence").textContent = sentence;
    this.#part(".reference").textContent = reference;
    this.#part(".failure").hidden = false;
    const button = this.#part(".failure button");
    button.hidden = !offer;
    button.dataset.do = offer ?? "";
    if (offer) countDown(button, OFFERS[offer], waitMs);
    this.#tool("again").hidden = Boolean(offer);
  }

  #settle(ending) {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#show();
    this.#markdown.finish();
    this.#showPace();
    this.node.setAttribute("aria-busy", "false");
    this.#part(".waiting").hidden = true;
    this.#part(".ending").textContent = ENDINGS[ending] ?? "";
    this.#tool("copy").hidden = !canCopy || this.text === "";
    this.#tool("again").hidden = false;
  }

  #show() {
    this.#frame = 0;
    this.#part(".waiting").hidden = this.text !== "";
    if (this.#reasoning) {
      this.#part(".reasoning").hidden = false;
      this.#part(".reasoning p").textContent = this.#reasoning;
    }
    this.#markdown.show(this.text);
    this.#onShow();
  }

  #showPace() {
    const waited = this.#pace.waited(performance.now());
    this.#part(".waiting span").textContent =
      waited >= 2 && !this.#pace.hasStarted ? `${Math.floor(waited)} s` : "";
    this.#part(".pace").textContent = this.#pace.toString();
  }

  #part(selector) {
    return this.node.querySelector(selector);
  }

  /** A button under the words; the one in a failure is another. */
  #tool(name) {
    return this.#part(`footer [data-do="${name}"]`);
  }
}
