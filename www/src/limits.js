//! How much of the limits is left, as two meters beside the composer. Full again when the edge said they would be.

import { element } from "./element.js";

/** Below this share of a limit it is worth a look. */
const LOW = 0.2;

export class Limits {
  #root;
  #meter;
  #timer;

  /**
   * @param {HTMLElement} root filled by this object alone
   * @param {import("./meter.js").Meter} meter
   */
  constructor(root, meter) {
    this.#root = root;
    this.#meter = meter;
    meter.addEventListener("limits", () => this.#show());
  }

  #show() {
    clearTimeout(this.#timer);
    const now = performance.now();
    const shown = Object.entries(this.#meter.limits).filter(([, limit]) => limit);
    this.#root.replaceChildren(...shown.map(([what, limit]) => limitNode(what, limit, now)));
    this.#root.hidden = shown.length === 0;
    const waits = shown.map(([, { resetAt }]) => resetAt - now).filter((wait) => wait > 0);
    if (waits.length > 0) this.#timer = setTimeout(() => this.#show(), Math.min(...waits) + 50);
  }
}

function limitNode(what, { limit, remaining, resetAt }, now) {
  const left = now >= resetAt ? limit : Math.min(remaining, limit);
  const words = `${left.toLocaleString("en")} of ${limit.toLocaleString("en")} ${what} left this minute`;
  return element(
    "span",
    { class: left < limit * LOW ? "limit low" : "limit", title: words },
    element("meter", { min: 0, max: limit, low: limit * LOW, value: left, "aria-label": words }),
    element("span", { "aria-hidden": "true" }, `${compact(left)} ${what}`),
  );
}

const compactly = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function compact(number) {
  return compactly.format(number);
}
