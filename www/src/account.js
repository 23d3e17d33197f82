//! One's own account: who is signed in, another password, what this browser keeps, signing out.

import { isSignedOut, problemOf } from "./failure.js";

export class Account {
  #client;
  #dialog;
  #form;
  #onSignedOut;

  /**
   * @param {import("@co-mind/client").CoMind} client
   * @param {HTMLDialogElement} dialog
   * @param {{ onForget: () => Promise<void>, onSignOut: () => Promise<void>, onSignedOut: () => Promise<void> }} handlers
   *   `onForget`: everything this browser keeps of the person is to go
   */
  constructor(client, dialog, { onForget, onSignOut, onSignedOut }) {
    this.#client = client;
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form.fields");
    this.#onSignedOut = onSignedOut;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change(event.submitter);
    });
    dialog.querySelector("[data-do='sign-out']").addEventListener("click", onSignOut);
    const forget = dialog.querySelector("[data-do='forget']");
    const label = forget.textContent;
    forget.addEventListener("click", async () => {
      if (forget.dataset.sure === undefined) {
        forget.dataset.sure = "";
        forget.textContent = "Delete them for good";
        return;
      }
      await onForget();
      this.#calm(forget, label);
      forget.textContent = "Deleted";
    });
    forget.addEventListener("blur", () => this.#calm(forget, label));
  }

  async open(user) {
    this.#dialog.querySelector(".who").textContent = user.email;
    const rights = [...user.privileges, ...user.groupMemberships];
    this.#dialog.querySelector(".rights").textContent = rights.join(", ");
    this.#form.elements.username.value = user.email;
    this.#say("", "");
    this.#dialog.showModal();
  }

  #calm(button, label) {
    delete button.dataset.sure;
    button.textContent = label;
  }

  async #change(button) {
    const { current, next } = this.#form.elements;
    for (const field of [current, next]) {
      if (field.value !== "") continue;
      this.#say(
        field === current ? "Your password as it is now is missing." : "The new password is missing.",
        "",
      );
      field.focus();
      return;
    }
    button.disabled = true;
    this.#say("", "");
    try {
      await this.#client.auth.changePassword({ currentPassword: current.value, newPassword: next.value });
      current.value = next.value = "";
      this.#say("", "The password is changed. Your other sessions have ended.");
    } catch (error) {
      if (isSignedOut(error)) {
        this.#dialog.close();
        await this.#onSignedOut();
      }
      const isWrong = error.code === "invalid_credentials";
      this.#say(isWrong ? "That is not your password as it is now." : problemOf(error), "");
    } finally {
      button.disabled = false;
    }
  }

  #say(problem, success) {
    this.#form.querySelector(".problem").textContent = problem;
    this.#form.querySelector(".success").textContent = success;
  }
}
