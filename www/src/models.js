//! Which models there are, and which one is asked.

import { element } from "./element.js";

/** Where the choice is remembered; a model's name is no secret. */
const STORAGE_KEY = "comind.model";

export class ModelPicker {
  #select;

  /**
   * @param {HTMLSelectElement} select
   * @param {() => void} onChoice another model is chosen, by the person or for want of the last one
   */
  constructor(select, onChoice) {
    this.#select = select;
    this.onChoice = onChoice;
    select.addEventListener("change", () => {
      remember(select.value);
      onChoice();
    });
  }

  /** The chosen model's id; empty when there is none. */
  get chosen() {
    return this.#select.disabled ? "" : this.#select.value;
  }

  /**
   * Offers these models, grouped by who serves them; the last choice is kept if it is still there.
   *
   * @param {{ id: string, owned_by: string }[]} models
   * @param {(id: string) => boolean} canChat a model that cannot is listed and cannot be chosen
   */
  offer(models, canChat = () => true) {
    const groups = new Map();
    for (const { id, owned_by: owner } of models) {
      const option = element("option", { value: id }, id);
      option.disabled = !canChat(id);
      if (!groups.has(owner)) groups.set(owner, element("optgroup", { label: owner }));
      groups.get(owner).append(option);
    }
    const usable = models.filter(({ id }) => canChat(id)).map(({ id }) => id);
    this.#select.disabled = usable.length === 0;
    if (usable.length === 0) {
      this.#select.replaceChildren(element("option", {}, "No model is up"), ...groups.values());
      this.onChoice();
      return;
    }
    const wanted = [this.#select.value, recall()].find((id) => usable.includes(id));
    this.#select.replaceChildren(...groups.values());
    this.#select.value = wanted ?? usable[0];
    this.onChoice();
  }

  /** Chooses a model if it is offered. */
  choose(id) {
    const option = Array.from(this.#select.options).find(({ value, disabled }) => value === id && !disabled);
    if (!option || this.#select.disabled) return;
    this.#select.value = id;
    this.onChoice();
  }

  focus() {
    this.#select.focus();
  }
}

// Storage may be forbidden (private windows, policies): then nothing is remembered, and that is all.
function remember(id) {
  try {
    localStorage.setItem(STORAGE_KEY, id);
  } catch {
    return;
  }
}

function recall() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}
