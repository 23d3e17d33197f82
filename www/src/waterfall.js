//! Where the time of an answer went: the edge's own stages, the way to the first token, the writing.

import { element } from "./element.js";
import { bar } from "./plot.js";

/** The edge's stages (`Server-Timing`), for people. */
const STAGES = {
  auth: "Check the session",
  admit: "Ask for the limits",
  route: "Choose a backend",
  upstream: "Backend's first byte",
};

/**
 * @param {{ firstMs: number, writingMs: number, timings?: { name: string, ms: number }[] }} figures
 * @returns {HTMLTableElement}
 */
export function waterfallOf({ firstMs, writingMs, timings = [] }) {
  const rows = [];
  let at = 0;
  for (const { name, ms } of timings) {
    rows.push([STAGES[name] ?? name, name, at, ms]);
    at += ms;
  }
  // What the edge does not see: the network, and whatever stands before the first word.
  if (firstMs > at) rows.push(["Network and first token", "network", at, firstMs - at]);
  const start = Math.max(at, firstMs);
  rows.push(["Writing", "writing", start, writingMs]);
  const whole = start + writingMs || 1;
  return element(
    "table",
    { class: "waterfall" },
    element("caption", { class: "unseen" }, "Where the time went"),
    element(
      "tbody",
      {},
      ...rows.map(([label, name, from, ms]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, label),
          element("td", { class: "track" }, bar(name, from / whole, ms / whole)),
          element("td", { class: "number" }, `${Math.round(ms)} ms`),
        ),
      ),
    ),
  );
}
