//! Keeps the newest words in sight, unless the reader has scrolled back.

/** So close to the end counts as being at it, in CSS pixels. */
const NEAR_PX = 48;

export class Follow {
  #scroll;
  #button;
  #isFollowing = true;

  /**
   * @param {HTMLElement} scroll what scrolls
   * @param {HTMLButtonElement} button leads back to the end
   */
  constructor(scroll, button) {
    this.#scroll = scroll;
    this.#button = button;
    scroll.addEventListener("scroll", () => {
      this.#isFollowing = this.#distance() < NEAR_PX;
      this.#mark();
    });
    button.addEventListener("click", () => this.jump());
  }

  /** The content has grown. */
  grown() {
    if (this.#isFollowing) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#mark();
  }

  /** To the end, whatever the reader looked at. */
  jump() {
    this.#isFollowing = true;
    this.grown();
  }

  #distance() {
    return this.#scroll.scrollHeight - this.#scroll.clientHeight - this.#scroll.scrollTop;
  }

  #mark() {
    this.#button.hidden = this.#isFollowing || this.#distance() < NEAR_PX;
  }
}
