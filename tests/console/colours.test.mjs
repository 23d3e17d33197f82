// The palette keeps its promise: WCAG 2.2 AA contrast, in light and in dark.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../../www/styles/tokens.css", import.meta.url), "utf8");
const colours = Object.fromEntries(
  Array.from(css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g), ([, name, light, dark]) => [
    name,
    [light, dark],
  ]),
);

/** Ground → what is written on it. SC 1.4.3: at least 4.5. */
const TEXT = {
  ground: ["ink", "quiet", "accent"],
  raised: ["ink", "quiet", "accent", "code-word", "code-text", "code-value", "code-name", "bad"],
  hover: ["ink"],
  sunken: ["ink", "quiet"],
  tint: ["ink", "accent"],
  "bad-tint": ["bad", "quiet"],
  accent: ["on-accent"],
};

/** Ground → what a control is told by. SC 1.4.11: at least 3. */
const CONTROLS = { ground: ["edge", "accent"], raised: ["edge", "accent"] };

/** WCAG 2.2, "contrast ratio" and "relative luminance". */
function contrast(one, other) {
  const [dark, light] = [one, other].map(luminance).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const value = Number.parseInt(hex.slice(start, start + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

for (const [index, scheme] of ["light", "dark"].entries()) {
  for (const [pairs, least, what] of [
    [TEXT, 4.5, "text"],
    [CONTROLS, 3, "controls"],
  ]) {
    test(`${what} in ${scheme} has a contrast of ${least} or more`, () => {
      for (const [ground, marks] of Object.entries(pairs)) {
        for (const mark of marks) {
          const ratio = contrast(colours[ground][index], colours[mark][index]);
          assert.ok(ratio >= least, `${mark} on ${ground}: ${ratio.toFixed(2)}`);
        }
      }
    });
  }
}
