//! A block of code as it grows: one node for its whole life, coloured as often as that stays cheap.

import { element, icon } from "./element.js";

/** Colouring takes at most one part in so many of the time. */
const SHARE = 10;
/** Larger blocks stay plain, in characters. */
const LIMIT = 100_000;

/** The colours, once they are there. */
let highlight = null;
let arriving = null;

/** Fetches the colours; without them code is plain. */
function fetchColours() {
  arriving ??= import("./highlight.js").then(
    (module) => (highlight = module),
    () => (arriving = null),
  );
  return arriving;
}

export class CodeBlock {
  node;
  language;
  #code = element("code");
  /** What follows the coloured part. */
  #tail = document.createTextNode("");
  #text = "";
  #coloured = 0;
  /** Not to be coloured before, by `performance.now()`. */
  #notBefore = 0;

  /** @param {string} language as the fence names it; anything else than a plain word is dropped */
  constructor(language) {
    this.language = language;
    this.#code.append(this.#tail);
    const copy = element(
      "button",
      { type: "button", class: "tool small", "data-do": "copy-code", title: "Copy the code" },
      icon("copy"),
      element("span", { class: "unseen" }, "Copy the code"),
    );
    this.node = element(
      "figure",
      { class: "code" },
      element("figcaption", {}, element("span", {}, language || "text"), copy),
      element(
        "pre",
        { tabindex: "0", "aria-label": `Code: ${language || "text"}`, role: "region" },
        this.#code,
      ),
    );
    if (language && !highlight) fetchColours().then(() => this.#colour());
  }

  /** Shows the text so far. */
  show(text) {
    if (!text.startsWith(this.#text.slice(0, this.#coloured))) {
      this.#coloured = 0;
      this.#code.replaceChildren(this.#tail);
    }
    this.#text = text;
    this.#tail.data = text.slice(this.#coloured);
    if (performance.now() >= this.#notBefore) this.#colour();
  }

  /** No more will come. */
  finish() {
    this.#colour();
  }

  #colour() {
    if (!highlight || !this.language || this.#coloured === this.#text.length) return;
    if (this.#text.length > LIMIT) return;
    const start = performance.now();
    const nodes = highlight.coloured(this.language.toLowerCase(), this.#text);
    if (!nodes) return;
    this.#tail.data = "";
    this.#code.replaceChildren(...nodes, this.#tail);
    this.#coloured = this.#text.length;
    const end = performance.now();
    this.#notBefore = end + (end - start) * SHARE;
  }
}

/** The language a fence names. */
export function languageOf(fence) {
  return /^[\w+#.-]{1,24}/.exec(fence ?? "")?.[0] ?? "";
}
