//! Who is signed in. The tokens live in the client's memory alone: a reload asks again.

import { countDown } from "./countdown.js";
import { failureOf } from "./failure.js";

export class Session {
  #client;
  #dialog;
  #form;
  #problem;
  #pending = null;

  constructor(client, dialog) {
    this.#client = client;
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form");
    this.#problem = dialog.querySelector(".problem");
    // Nothing behind the dialog works without a session, so Esc does not leave it.
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.preventDefault();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /**
   * Asks for e-mail and password until they are right. Asked twice at once, it asks the person once.
   *
   * @param {string} [reason] why, when it is not the first time
   */
  signIn(reason = "") {
    if (this.#pending) return this.#pending.promise;
    this.#pending = withResolver();
    const isFirst = reason === "";
    this.#dialog.classList.toggle("first", isFirst);
    this.#dialog.querySelector(".reason").textContent = reason;
    this.#problem.textContent = "";
    this.#form.elements.password.value = "";
    // A phone's way back closes it all the same: it opens again.
    this.#dialog.onclose = () => this.#pending && this.#dialog.showModal();
    this.#dialog.showModal();
    (this.#form.elements.email.value ? this.#form.elements.password : this.#form.elements.email).focus();
    return this.#pending.promise;
  }

  /** Drops the tokens, and with them all that was on the page. */
  signOut() {
    location.reload();
  }

  async #submit() {
    const { email, password } = this.#form.elements;
    const missing = [email, password].find((field) => !field.value.trim());
    if (missing) {
      this.#refuse(
        missing === email ? "Which e-mail address is yours?" : "The password is missing.",
        missing,
      );
      return;
    }
    const button = this.#form.querySelector("button");
    button.disabled = true;
    button.textContent = "Signing in…";
    this.#problem.textContent = "";
    try {
      await this.#client.auth.login({ email: email.value.trim(), password: password.value });
      button.disabled = false;
      button.textContent = "Sign in";
      const { resolve } = this.#pending;
      this.#pending = null;
      password.value = "";
      this.#dialog.close();
      resolve();
    } catch (error) {
      const { sentence, waitMs } = failureOf(error);
      const isTooOften = error.code === "rate_limited";
      this.#refuse(isTooOften ? "Too many tries with a wrong password. Wait a moment." : sentence, password);
      countDown(button, "Sign in", isTooOften ? waitMs : 0);
    }
  }

  #refuse(sentence, field) {
    this.#problem.textContent = sentence;
    field.focus();
    field.select();
  }
}

function withResolver() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
