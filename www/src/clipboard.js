//! Copying, where the browser allows it: only pages from https or this machine may.

import { icon } from "./element.js";

/** How long a button shows that it worked. */
const THANKS_MS = 1500;

export const canCopy = Boolean(navigator.clipboard);

/** Copies the text and lets the button say so. */
export async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  const old = button.querySelector(".icon");
  const done = icon("done");
  old.replaceWith(done);
  setTimeout(() => done.replaceWith(old), THANKS_MS);
}
