//! One line under the bar, for what concerns the whole page.

export class Notice {
  #root;
  #onAgain = () => {};

  constructor(root) {
    this.#root = root;
    root.querySelector("button").addEventListener("click", () => this.#onAgain());
  }

  /**
   * @param {string} sentence
   * @param {() => void} [onAgain] what "Try again" does; without it there is no such button
   */
  show(sentence, onAgain) {
    this.#root.querySelector("p").textContent = sentence;
    this.#root.querySelector("button").hidden = !onAgain;
    this.#onAgain = onAgain ?? (() => {});
    this.#root.hidden = false;
  }

  hide() {
    this.#root.hidden = true;
  }
}
