//! The list of conversations, and the way to everything else. On a small screen it lies over the page when asked for.

import { element, icon } from "./element.js";

export class Sidebar {
  #root;
  #list;
  #veil;
  #opener;
  #main;

  /**
   * @param {{ root: HTMLElement, veil: HTMLElement, opener: HTMLElement, main: HTMLElement }} parts
   * @param {{ onOpen: (id: string) => void, onRemove: (id: string) => void }} handlers
   */
  constructor({ root, veil, opener, main }, { onOpen, onRemove }) {
    this.#root = root;
    this.#list = root.querySelector("#conversations");
    this.#veil = veil;
    this.#opener = opener;
    this.#main = main;
    opener.addEventListener("click", () => this.#unfold(true));
    veil.addEventListener("click", () => this.fold());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.fold();
    });
    // Whatever was chosen there, it is what the person wants to see.
    root.addEventListener("click", (event) => event.target.closest("button") && this.fold());
    matchMedia("(min-width: 60rem)").addEventListener("change", () => this.fold());
    this.#list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.do === "remove") {
        event.stopPropagation();
        onRemove(item.dataset.id);
      } else onOpen(item.dataset.id);
    });
  }

  /** @param {{ id: string, title: string }[]} titles the newest first */
  show(titles, openId) {
    this.#root.querySelector("#no-conversations").hidden = titles.length > 0;
    const focused = document.activeElement?.closest("#conversations li")?.dataset.id;
    this.#list.replaceChildren(...titles.map(({ id, title }) => itemOf(id, title, id === openId)));
    if (focused) this.#list.querySelector(`[data-id="${CSS.escape(focused)}"] button`)?.focus();
  }

  fold() {
    if (!this.#root.classList.contains("unfolded")) return;
    this.#unfold(false);
    this.#opener.focus();
  }

  #unfold(isUnfolded) {
    this.#root.classList.toggle("unfolded", isUnfolded);
    this.#veil.hidden = !isUnfolded;
    this.#main.inert = isUnfolded;
    this.#opener.setAttribute("aria-expanded", String(isUnfolded));
    if (isUnfolded) this.#root.querySelector("button").focus();
  }
}

function itemOf(id, title, isOpen) {
  return element(
    "li",
    { "data-id": id },
    element("button", { type: "button", class: "title", "aria-current": isOpen ? "true" : null }, title),
    element(
      "button",
      { type: "button", class: "tool small", "data-do": "remove", title: "Delete" },
      icon("remove"),
      element("span", { class: "unseen" }, `Delete “${title}”`),
    ),
  );
}
