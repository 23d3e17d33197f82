//! One answer on the page: its words as they come, the tools it asks for, how it ended and what it cost.

import { canCopy } from "./clipboard.js";
import { countDown } from "./countdown.js";
import { copyOf } from "./element.js";
import { failureOf, OFFERS } from "./failure.js";
import { Figures, inWords } from "./figures.js";
import { MarkdownStream } from "./markdown.js";
import { Sparkline } from "./plot.js";
import { ToolCalls } from "./tools.js";
import { waterfallOf } from "./waterfall.js";

/** How often the waiting time and the pace are written anew: slower than the words, to stay quiet. */
const PACE_INTERVAL_MS = 500;

/** Why an answer ended short of its natural end, for people. */
const ENDINGS = {
  stopped: "Stopped",
  failed: "Not complete",
  length: "Cut at the length limit",
  content_filter: "Withheld by a filter",
};

export class Answer {
  node = copyOf("answer-template");
  /** `{ model, text, reasoning, toolCalls, ending, figures }`: what is kept, and what the next request carries. */
  record;
  /** It failed for want of a connection, and is to be asked again when there is one. */
  isWaiting = false;
  #figures = null;
  #markdown;
  #tools;
  #frame = 0;
  #timer;
  #handlers;

  /**
   * @param {object} record of an answer that was kept, or `{ model }` for one that comes
   * @param {{ onBlock?: (text: string) => void, onShow?: () => void, onPace?: (figures: object | null) => void }} handlers
   *   `onBlock`: a block of words is final; `onShow`: the page has grown; `onPace`: how fast it comes
   */
  constructor(record, handlers = {}) {
    this.record = { text: "", reasoning: "", toolCalls: [], ending: "", figures: null, ...record };
    this.#handlers = handlers;
    this.#part(".model").textContent = this.record.model;
    this.#markdown = new MarkdownStream(this.#part(".prose"), handlers.onBlock);
    this.#tools = new ToolCalls(this.#part(".calls"));
  }

  /** The request leaves now. */
  begin() {
    this.#figures = new Figures(performance.now());
    this.#timer = setInterval(() => this.#showPace(), PACE_INTERVAL_MS);
    return this;
  }

  /** Takes one chunk of the stream; the page follows at the next frame. */
  take(chunk, stream) {
    if (chunk.usage) this.#figures.settle(chunk.usage);
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const { content, reasoning_content, reasoning, tool_calls: calls } = choice.delta ?? {};
    const thoughts = reasoning_content ?? reasoning;
    if (content || thoughts || calls) this.#figures.tick(performance.now());
    this.record.text += content ?? "";
    this.record.reasoning += thoughts ?? "";
    if (calls) this.record.toolCalls = stream.snapshot.choices[0].message.tool_calls ?? [];
    if (choice.finish_reason) this.record.ending = choice.finish_reason;
    this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  /** The answer is whole. */
  finish(timings = []) {
    this.#settle(this.record.ending, timings);
  }

  /** The person stopped it; what came stays. */
  stop(timings = []) {
    this.#settle("stopped", timings);
  }

  /** It failed; what came stays, with a sentence and an offer. */
  fail(error, timings = []) {
    this.#settle("failed", timings);
    const { sentence, detail, offer, waitMs, reference, isOffline } = failureOf(error);
    this.isWaiting = isOffline;
    this.#part(".ending").textContent = "";
    this.#part(".sentence").textContent = sentence;
    this.#part(".detail").textContent = detail;
    this.#part(".reference").textContent = reference;
    this.#part(".failure").hidden = false;
    const button = this.#part(".failure button");
    button.hidden = !offer;
    button.dataset.do = offer ?? "";
    if (offer) countDown(button, OFFERS[offer], waitMs);
    this.#tool("again").hidden = Boolean(offer);
  }

  /** One that was kept: shows it as it ended. */
  restore() {
    this.#showEnd();
    return this;
  }

  /** Asks for the results of the tools it wants used. */
  askResults(onResults) {
    this.#tools.ask(this.record.toolCalls, onResults);
  }

  /** The conversation went on. */
  closeResults() {
    this.#tools.close();
  }

  #settle(ending, timings) {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#frame);
    const figures = this.#figures.snapshot();
    Object.assign(this.record, { ending, figures: figures && { ...figures, timings } });
    this.#showEnd();
  }

  #showEnd() {
    const { ending, figures, text } = this.record;
    this.#show();
    this.#markdown.finish();
    this.node.setAttribute("aria-busy", "false");
    this.#part(".waiting").hidden = true;
    this.#part(".ending").textContent = ENDINGS[ending] ?? "";
    this.#tool("copy").hidden = !canCopy || text === "";
    this.#tool("again").hidden = false;
    const numbers = this.#part(".numbers");
    numbers.hidden = !figures;
    if (!figures) return;
    this.#part(".pace").textContent = inWords(figures);
    if (figures.buckets.length > 1) {
      const line = new Sparkline();
      line.show(figures.buckets);
      numbers.querySelector("summary").append(line.node);
    }
    const { promptTokens, tokens } = figures;
    this.#part(".used").textContent = promptTokens
      ? `${promptTokens} tokens read, ${tokens} written, ${promptTokens + tokens} in all.`
      : `${tokens} tokens written.`;
    // Made when it is looked at.
    numbers.addEventListener("toggle", () => numbers.append(waterfallOf(figures)), { once: true });
  }

  #show() {
    this.#frame = 0;
    const { text, reasoning, toolCalls } = this.record;
    this.#part(".waiting").hidden = text !== "" || toolCalls.length > 0;
    if (reasoning) {
      this.#part(".reasoning").hidden = false;
      this.#part(".reasoning p").textContent = reasoning;
    }
    this.#markdown.show(text);
    this.#tools.show(toolCalls);
    this.#handlers.onShow?.();
  }

  #showPace() {
    const waited = this.#figures.waited(performance.now());
    this.#part(".waiting span").textContent =
      waited >= 2 && !this.#figures.hasStarted ? `${Math.floor(waited)} s` : "";
    this.#handlers.onPace?.(this.#figures.snapshot());
  }

  #part(selector) {
    return this.node.querySelector(selector);
  }

  /** A button under the words; the one in a failure is another. */
  #tool(name) {
    return this.#part(`footer [data-do="${name}"]`);
  }
}
