//! What a screen reader hears: finished paragraphs, not every token.

export class Announcer {
  #region;

  constructor(region) {
    this.#region = region;
  }

  say(text) {
    // A new node each time: the same words twice are spoken twice.
    const line = document.createElement("span");
    line.textContent = text;
    this.#region.replaceChildren(line);
  }
}
