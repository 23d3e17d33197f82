//! Where a message is written. Enter sends, Shift+Enter starts a line, Esc stops the answer.

export class Composer {
  #form;
  #draft;
  #send;
  #stop;
  #isAnswering = false;

  /**
   * @param {HTMLFormElement} form
   * @param {{ onSend: (text: string) => boolean, onStop: () => void }} handlers
   *   `onSend` says whether the message was taken; if not, the draft stays
   */
  constructor(form, { onSend, onStop }) {
    this.#form = form;
    this.#draft = form.querySelector("textarea");
    this.#send = form.querySelector("#send");
    this.#stop = form.querySelector("#stop");

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#draft.value.trim();
      if (text && !this.#isAnswering && onSend(text)) this.write("");
    });
    this.#draft.addEventListener("input", () => this.#fit());
    this.#draft.addEventListener("keydown", (event) => {
      // Enter also ends the composing of a Chinese or Japanese word: that one is not ours.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isAnswering && !document.querySelector("dialog[open]")) onStop();
    });
    this.#stop.addEventListener("click", onStop);
  }

  /** Puts a text into the draft and the caret behind it. */
  write(text) {
    this.#draft.value = text;
    this.#fit();
    this.#draft.focus();
  }

  /** Ready to write, except on a phone, where the keyboard would rise over the answer. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.#draft.focus();
  }

  /** While an answer comes, the button stops it; the next message can be written meanwhile. */
  set isAnswering(value) {
    const hadFocus = [this.#send, this.#stop].includes(document.activeElement);
    this.#isAnswering = value;
    this.#send.hidden = value;
    this.#stop.hidden = !value;
    if (hadFocus) this.#draft.focus();
  }

  #fit() {
    this.#send.disabled = this.#draft.value.trim() === "";
    if (CSS.supports("field-sizing", "content")) return;
    this.#draft.style.height = "auto";
    this.#draft.style.height = `${this.#draft.scrollHeight}px`;
  }
}
