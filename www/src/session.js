//! Signing in, and the ways to an account: registering, confirming, a new password by mail.

import { countDown } from "./countdown.js";
import { failureOf, problemOf } from "./failure.js";

/** What each step of the dialog says and does. `next`: the step after it; none: somebody is signed in. */
const STEPS = {
  "sign-in": {
    title: "Sign in to co-mind",
    fields: ["email", "password", "keep"],
    button: "Sign in",
    links: ["register", "forgot"],
    run: (client, { email, password }) => client.auth.login({ email, password }),
  },
  register: {
    title: "Create an account",
    fields: ["email", "new-password"],
    button: "Create the account",
    links: ["sign-in"],
    next: "confirm",
    run: (client, { email, "new-password": password }) => client.auth.register({ email, password }),
  },
  confirm: {
    title: "Confirm your address",
    reason: "A code is on its way to your mailbox.",
    fields: ["email", "code", "keep"],
    button: "Confirm",
    links: ["sign-in", "register"],
    run: (client, { email, code }) => client.auth.confirm({ email, code }),
  },
  forgot: {
    title: "A new password",
    reason: "If the address has an account, a code is mailed to it.",
    fields: ["email"],
    button: "Mail me a code",
    links: ["sign-in"],
    next: "reset",
    run: (client, { email }) => client.auth.requestPasswordReset({ email }),
  },
  reset: {
    title: "Set a new password",
    reason: "A code is on its way to your mailbox, if the address has an account.",
    fields: ["email", "code", "new-password"],
    button: "Set the password",
    links: ["sign-in", "forgot"],
    next: "sign-in",
    run: (client, { email, code, "new-password": newPassword }) =>
      client.auth.resetPassword({ email, code, newPassword }),
  },
};

const MISSING = {
  email: "Which e-mail address is yours?",
  password: "The password is missing.",
  "new-password": "The new password is missing.",
  code: "The code from the mail is missing.",
};

/** Where an answer that the route does not exist means that the operator has not switched it on. */
const CLOSED = {
  register: "Accounts on this server are made by its administrator. Ask for one.",
  confirm: "Accounts on this server are made by its administrator. Ask for one.",
  forgot: "This server cannot send mail. Your administrator can set a new password for you.",
  reset: "This server cannot send mail. Your administrator can set a new password for you.",
};

export class Session {
  #client;
  #keeper;
  #dialog;
  #form;
  #problem;
  #step = "sign-in";
  #pending = null;

  /**
   * @param {import("@co-mind/client").CoMind} client
   * @param {import("./keeper.js").Keeper} keeper
   * @param {HTMLDialogElement} dialog
   */
  constructor(client, keeper, dialog) {
    this.#client = client;
    this.#keeper = keeper;
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
    dialog.querySelector(".links").addEventListener("click", (event) => {
      const step = event.target.closest("button")?.dataset.step;
      if (step) this.#show(step, STEPS[step].reason ?? "");
    });
  }

  /** Who is signed in already: in another page, or from last time. */
  async resume() {
    const session = await this.#client.auth.session().catch(() => null);
    return session?.user ?? null;
  }

  /**
   * Asks until somebody is signed in, and gives the user. Asked twice at once, it asks the person once.
   *
   * @param {string} [reason] why, when it is not the first time
   */
  signIn(reason = "") {
    if (this.#pending) return this.#pending.promise;
    this.#pending = Promise.withResolvers();
    this.#dialog.classList.toggle("first", reason === "");
    this.#form.elements.password.value = "";
    // A phone's way back closes it all the same: it opens again.
    this.#dialog.onclose = () => this.#pending && this.#dialog.showModal();
    this.#dialog.showModal();
    this.#show("sign-in", reason);
    return this.#pending.promise;
  }

  /** Somebody is signed in, here or in another page. Says whether the dialog waited for it. */
  dismiss(user) {
    if (!this.#pending) return false;
    const { resolve } = this.#pending;
    this.#pending = null;
    for (const field of this.#form.querySelectorAll("[type='password'], [name='code']")) field.value = "";
    this.#dialog.close();
    resolve(user);
    return true;
  }

  #show(step, reason) {
    this.#step = step;
    const { title, fields, button, links } = STEPS[step];
    this.#dialog.querySelector("h2").textContent = title;
    this.#dialog.querySelector(".reason").textContent = reason;
    this.#problem.textContent = "";
    for (const field of this.#form.querySelectorAll("[data-field]"))
      field.hidden = !fields.includes(field.dataset.field);
    this.#submitButton.textContent = button;
    this.#submitButton.disabled = false;
    for (const link of this.#form.querySelectorAll("[data-step]"))
      link.hidden = !links.includes(link.dataset.step);
    this.#texts()
      .find((field) => field.value.trim() === "" || field.type === "password")
      ?.focus();
  }

  async #submit() {
    const fields = this.#texts();
    const missing = fields.find((field) => !field.value.trim());
    if (missing) {
      this.#refuse(MISSING[missing.name], missing);
      return;
    }
    const { button, run, next } = STEPS[this.#step];
    const values = Object.fromEntries(
      fields.map(({ name, type, value }) => [name, type === "password" ? value : value.trim()]),
    );
    this.#submitButton.disabled = true;
    this.#submitButton.textContent = "One moment…";
    this.#problem.textContent = "";
    try {
      if (!next) this.#keeper.keep(this.#form.elements.keep.checked);
      const answer = await run(this.#client, values);
      if (next) this.#show(next, next === "sign-in" ? "The password is set." : STEPS[next].reason);
      else this.dismiss(answer.user);
    } catch (error) {
      const isTooOften = error.code === "rate_limited";
      this.#refuse(this.#sentenceOf(error), fields.at(-1));
      countDown(this.#submitButton, button, isTooOften ? failureOf(error).waitMs : 0);
    }
  }

  #sentenceOf(error) {
    if (error.code === "rate_limited")
      return this.#step === "sign-in"
        ? "Too many tries with a wrong password. Wait a moment."
        : "Too many tries. Wait a moment.";
    if (error.code === "not_found" && this.#step in CLOSED) return CLOSED[this.#step];
    return problemOf(error);
  }

  #refuse(sentence, field) {
    this.#problem.textContent = sentence;
    field.focus();
    field.select();
  }

  /** The fields of this step that something is written into. */
  #texts() {
    const { fields } = STEPS[this.#step];
    return fields.filter((name) => name !== "keep").map((name) => this.#form.elements[name]);
  }

  get #submitButton() {
    return this.#form.querySelector(".primary");
  }
}
