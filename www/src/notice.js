//! One line under the bar, for what concerns the whole page.

export class Notice {
  #root;
  #onAction = () => {};

  constructor(root) {
    this.#root = root;
    root.querySelector("button").addEventListener("click", () => this.#onAction());
  }

  /**
   * @param {string} sentence
   * @param {() => void} [onAction] what its button does; without it there is no button
   * @param {{ label?: string, isCalm?: boolean }} [options] `isCalm`: nothing is wrong
   */
  show(sentence, onAction, { label = "Try again", isCalm = false } = {}) {
    this.#root.querySelector("p").textContent = sentence;
    const button = this.#root.querySelector("button");
    button.hidden = !onAction;
    button.textContent = label;
    this.#onAction = onAction ?? (() => {});
    this.#root.classList.toggle("calm", isCalm);
    this.#root.hidden = false;
  }

  hide() {
    this.#root.hidden = true;
  }
}
