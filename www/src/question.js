//! What was asked, on the page: words and pictures, or the results of tools; words can be edited and sent again.

import { copyOf, element } from "./element.js";

export class Question {
  node = copyOf("question-template");
  asked;
  #onEdited;

  /**
   * @param {{ text?: string, images?: string[], results?: { name: string, content: string }[] }} asked
   * @param {(asked: object) => void} onEdited it is to be asked anew, in these words
   */
  constructor(asked, onEdited) {
    this.asked = asked;
    this.#onEdited = onEdited;
    const words = this.node.querySelector(".words");
    if (asked.results) {
      this.node.classList.add("results");
      this.node.querySelector("[data-do='edit']").hidden = true;
      words.replaceChildren(
        ...asked.results.map(({ name, content }) =>
          element(
            "div",
            {},
            element("b", {}, `Result of ${name}`),
            element("pre", { tabindex: "0" }, content),
          ),
        ),
      );
      return;
    }
    words.textContent = asked.text;
    words.hidden = asked.text === "";
    const images = asked.images ?? [];
    const gallery = this.node.querySelector(".gallery");
    gallery.hidden = images.length === 0;
    gallery.append(...images.map((src, index) => element("img", { src, alt: `Picture ${index + 1}` })));
  }

  /** Opens the words for editing. Enter sends, Esc leaves them as they were. */
  edit() {
    if (this.asked.results || this.node.querySelector("form")) return;
    const area = element("textarea", { rows: 1, "aria-label": "Edit your message" });
    area.value = this.asked.text;
    const form = element(
      "form",
      { class: "editing" },
      area,
      element(
        "div",
        {},
        element("button", { type: "button", class: "plain" }, "Cancel"),
        element("button", { class: "primary" }, "Send"),
      ),
    );
    const leave = () => {
      form.remove();
      this.node.classList.remove("edited");
      this.node.querySelector("[data-do='edit']").focus();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = area.value.trim();
      if (text || this.asked.images?.length > 0) this.#onEdited({ ...this.asked, text });
    });
    form.querySelector(".plain").addEventListener("click", leave);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        leave();
      }
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target !== area) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.node.classList.add("edited");
    this.node.append(form);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }
}
