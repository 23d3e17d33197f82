//! Markdown as it streams in.
//!
//! `marked` reads it; its tokens become nodes here, one kind after another, and a kind that is not
//! listed becomes plain text. No HTML string exists at any moment, so there is nothing to sanitise
//! and the page can forbid every such sink (`require-trusted-types-for 'script'`).

import { lexer } from "marked";

import { CodeBlock, languageOf } from "./code.js";
import { element } from "./element.js";

/** Follows one growing text; nodes of finished blocks stay, so a selection in them stays too. */
export class MarkdownStream {
  #root;
  #onBlock;
  #text = "";
  /** Where the blocks begin that may still change. */
  #settled = 0;
  /** Those blocks: the source of each and the node that shows it. */
  #open = [];
  #hasDefinitions = false;

  /**
   * @param {HTMLElement} root filled by this object alone
   * @param {(text: string) => void} [onBlock] told the words of each block once it will not change
   */
  constructor(root, onBlock = () => {}) {
    this.#root = root;
    this.#onBlock = onBlock;
  }

  /** Shows the text so far. Cheap enough for every frame: only the last block is read again. */
  show(text) {
    // A CR would make marked's count of characters differ from ours.
    this.#text = text.replaceAll("\r", "");
    this.#render();
  }

  /** No more will come: the last block is final, and references to later definitions resolve. */
  finish() {
    if (this.#hasDefinitions) {
      this.#root.replaceChildren(...blocksOf(this.#text).map((block) => nodeOf(block)));
      this.#settled = this.#text.length;
    }
    for (const { node } of this.#open) this.#end(node);
    this.#open = [];
  }

  #render() {
    const tokens = blocksOf(this.#text.slice(this.#settled));
    const next = [];
    let length = 0;
    for (const token of tokens) {
      if (token.type === "def") this.#hasDefinitions = true;
      if (token.type !== "space" && token.type !== "def") {
        const shown = this.#open[next.length];
        const node = shown?.raw === token.raw || goesOn(shown?.node, token) ? shown.node : nodeOf(token);
        if (shown && shown.node !== node) shown.node.replaceWith(node);
        if (!shown) this.#root.append(node);
        next.push({ raw: token.raw, node, start: length });
      }
      length += token.raw.length;
    }
    for (const { node } of this.#open.slice(next.length)) node.remove();

    // Only the last block can still grow: a list goes on after a blank line, a paragraph turns
    // into a heading or a table by the line under it.
    const last = next.pop();
    for (const { node } of next) this.#end(node);
    this.#settled += last?.start ?? 0;
    this.#open = last ? [last] : [];
  }

  /** This block will not change. */
  #end(node) {
    blocks.get(node)?.finish();
    this.#onBlock(spoken(node));
  }
}

/** Whether the node is a block of code that this token only makes longer; it then shows it. */
function goesOn(node, token) {
  const block = token.type === "code" && blocks.get(node);
  if (!block || block.language !== languageOf(token.lang)) return false;
  block.show(token.text);
  return true;
}

/** A block as it is read aloud: code is only named, for nobody follows it by ear. */
function spoken(node) {
  if (node.nodeName === "FIGURE") return `Code: ${node.querySelector("figcaption span").textContent}`;
  return node.innerText ?? node.textContent;
}

function blocksOf(text) {
  try {
    return lexer(text);
  } catch {
    // A thousand nested quotes exhaust the stack; such a text is shown as it is.
    return [{ type: "text", raw: text, text }];
  }
}

function nodesOf(tokens = []) {
  return tokens.filter((token) => token.type !== "def").map(nodeOf);
}

function nodeOf(token) {
  const make = NODES[token.type];
  return make ? make(token) : document.createTextNode(token.raw);
}

const NODES = {
  space: () => document.createTextNode(""),
  paragraph: (token) => element("p", {}, ...nodesOf(token.tokens)),
  heading: (token) => element(`h${Math.min(6, token.depth + 2)}`, {}, ...nodesOf(token.tokens)),
  blockquote: (token) => element("blockquote", {}, ...nodesOf(token.tokens)),
  hr: () => element("hr"),
  code: codeBlock,
  table,
  list: (token) =>
    element(
      token.ordered ? "ol" : "ul",
      { start: token.ordered && token.start !== 1 ? token.start : null },
      ...token.items.map(nodeOf),
    ),
  list_item: (token) => element("li", { class: token.task ? "task" : null }, ...nodesOf(token.tokens)),
  checkbox: (token) => document.createTextNode(token.checked ? "☑ " : "☐ "),

  text: (token) => {
    if (!token.tokens) return document.createTextNode(withEntities(token.text));
    const fragment = document.createElement("span");
    fragment.append(...nodesOf(token.tokens));
    return fragment;
  },
  escape: (token) => document.createTextNode(token.text),
  strong: (token) => element("strong", {}, ...nodesOf(token.tokens)),
  em: (token) => element("em", {}, ...nodesOf(token.tokens)),
  del: (token) => element("del", {}, ...nodesOf(token.tokens)),
  codespan: (token) => element("code", {}, token.text),
  br: () => element("br"),
  // Markup that a model writes is shown, not obeyed; the line break is the one harmless habit.
  html: (token) =>
    /^<br\s*\/?>$/i.test(token.raw.trim()) ? element("br") : document.createTextNode(token.raw),
  link: (token) => link(token.href, token.title, nodesOf(token.tokens)),
  // A picture's address can carry the conversation away when it is fetched: a link asks first.
  image: (token) => link(token.href, token.title, [token.text || token.href]),
};

function link(href, title, children) {
  if (!/^(https?|mailto):/i.test(href)) return element("span", {}, ...children);
  return element("a", { href, title, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function codeBlock(token) {
  const block = new CodeBlock(languageOf(token.lang));
  blocks.set(block.node, block);
  block.show(token.text);
  return block.node;
}

/** The blocks of code by their nodes. */
const blocks = new WeakMap();

function table(token) {
  const cell = (tag) => (content) =>
    element(tag, { class: content.align && `to-${content.align}` }, ...nodesOf(content.tokens));
  return element(
    "div",
    { class: "wide", tabindex: "0" },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...token.header.map(cell("th")))),
      element("tbody", {}, ...token.rows.map((row) => element("tr", {}, ...row.map(cell("td"))))),
    ),
  );
}

/** Character references that models do write; the rest of HTML's 2,231 stay as they are. */
function withEntities(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const point = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
  });
}

const ENTITIES = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  mdash: "—",
  ndash: "–",
  hellip: "…",
  times: "×",
  rarr: "→",
  larr: "←",
};
