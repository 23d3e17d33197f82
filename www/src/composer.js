//! Where a message is written. Enter sends, Shift+Enter starts a line, Esc stops the answer; pictures are pasted,
//! dropped or chosen.

import { element, icon } from "./element.js";
import { IMAGES, imagesIn, toDataURL } from "./images.js";

export class Composer {
  #form;
  #draft;
  #send;
  #stop;
  #attach;
  #tray;
  #reason;
  #images = [];
  #isAnswering = false;
  /** Why the model takes no pictures; empty if it does. */
  #blindness = "";
  #handlers;

  /**
   * @param {HTMLFormElement} form
   * @param {{
   *   onSend: (asked: { text: string, images: string[] }) => boolean,
   *   onStop: () => void,
   *   onDraft: (text: string) => void,
   *   onUp: () => void,
   * }} handlers
   *   `onSend` says whether the message was taken; if not, the draft stays. `onUp`: the key, in an empty draft
   */
  constructor(form, handlers) {
    this.#form = form;
    this.#handlers = handlers;
    this.#draft = form.querySelector("textarea");
    this.#send = form.querySelector("#send");
    this.#stop = form.querySelector("#stop");
    this.#attach = form.querySelector("#attach");
    this.#tray = form.querySelector("#tray");
    this.#reason = form.querySelector("#attach-reason");
    const { onStop, onDraft, onUp } = handlers;

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#draft.addEventListener("input", () => {
      this.#fit();
      onDraft(this.#draft.value);
    });
    this.#draft.addEventListener("keydown", (event) => {
      if (event.key === "ArrowUp" && this.#draft.value === "") {
        event.preventDefault();
        onUp();
      }
      // Enter also ends the composing of a Chinese or Japanese word: that one is not ours.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isAnswering && !document.querySelector("dialog[open]")) onStop();
    });
    this.#stop.addEventListener("click", onStop);
    this.#takeImages();
  }

  /** Puts a text into the draft and the caret behind it. */
  write(text) {
    this.#draft.value = text;
    this.#fit();
    this.#handlers.onDraft(text);
    this.#draft.focus();
  }

  /** Another conversation: its draft in place of this one's. */
  restore(text) {
    this.#draft.value = text;
    this.#images = [];
    this.#showTray();
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

  /** Why the model takes no pictures, in a sentence; empty if it does. */
  set blindness(sentence) {
    this.#blindness = sentence;
    this.#attach.setAttribute("aria-disabled", String(sentence !== ""));
    this.#attach.title = sentence || "Add pictures (or paste or drop them)";
    this.#showTray();
  }

  #submit() {
    const text = this.#draft.value.trim();
    const images = this.#images;
    if ((!text && images.length === 0) || this.#isAnswering) return;
    if (images.length > 0 && this.#blindness) {
      this.#refuse(this.#blindness);
      return;
    }
    if (!this.#handlers.onSend({ text, images })) return;
    this.#images = [];
    this.#showTray();
    this.write("");
  }

  #takeImages() {
    const files = this.#form.querySelector("#files");
    this.#attach.addEventListener("click", () =>
      this.#blindness ? this.#refuse(this.#blindness) : files.click(),
    );
    files.addEventListener("change", () => {
      this.#add(imagesIn(files));
      files.value = "";
    });
    this.#draft.addEventListener("paste", (event) => {
      const images = imagesIn(event.clipboardData);
      if (images.length === 0) return;
      event.preventDefault();
      this.#add(images);
    });
    const over = (isOver) => this.#form.classList.toggle("over", isOver);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget ?? over(false));
    addEventListener("drop", (event) => {
      // A file dropped beside would replace the page.
      event.preventDefault();
      over(false);
      if (!document.querySelector("dialog[open]")) this.#add(imagesIn(event.dataTransfer));
    });
    this.#tray.addEventListener("click", (event) => {
      const index = event.target.closest("button")?.dataset.index;
      if (index === undefined) return;
      this.#images.splice(Number(index), 1);
      this.#showTray();
      this.#draft.focus();
    });
  }

  async #add(files) {
    if (files.length === 0) return;
    if (this.#blindness) {
      this.#refuse(this.#blindness);
      return;
    }
    this.#refuse("");
    for (const file of files) {
      if (this.#images.length >= IMAGES) {
        this.#refuse(`At most ${IMAGES} pictures go with a message.`);
        break;
      }
      try {
        this.#images.push(await toDataURL(file));
      } catch (error) {
        this.#refuse(error.message);
      }
    }
    this.#draw();
    this.#draft.focus();
  }

  #refuse(sentence) {
    this.#reason.textContent = sentence;
    this.#reason.hidden = sentence === "";
  }

  #showTray() {
    this.#refuse(this.#images.length > 0 ? this.#blindness : "");
    this.#draw();
  }

  #draw() {
    this.#tray.hidden = this.#images.length === 0;
    this.#tray.classList.toggle("refused", this.#blindness !== "");
    this.#tray.replaceChildren(
      ...this.#images.map((src, index) =>
        element(
          "li",
          {},
          element("img", { src, alt: `Picture ${index + 1}` }),
          element(
            "button",
            { type: "button", "data-index": index, title: "Remove the picture" },
            icon("close"),
            element("span", { class: "unseen" }, `Remove picture ${index + 1}`),
          ),
        ),
      ),
    );
    this.#fit();
  }

  #fit() {
    this.#send.disabled = this.#draft.value.trim() === "" && this.#images.length === 0;
    if (CSS.supports("field-sizing", "content")) return;
    this.#draft.style.height = "auto";
    this.#draft.style.height = `${this.#draft.scrollHeight}px`;
  }
}
