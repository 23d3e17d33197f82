//! Small pictures of numbers, as SVG: a line that grows, a row of bars, dots over time. Colours come from the styles.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A line without axes that shows how a number went; `show` draws it anew. */
export class Sparkline {
  #line = shape("polyline", { class: "line" });
  node = shape(
    "svg",
    { class: "sparkline", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
    this.#line,
  );

  /** @param {number[]} values at least two make a line; oldest first */
  show(values) {
    const most = Math.max(...values, 1);
    const points = values.map(
      (value, index) =>
        `${((index * 100) / (values.length - 1)).toFixed(1)},${(23 - (value / most) * 22).toFixed(1)}`,
    );
    this.#line.setAttribute("points", values.length < 2 ? "" : points.join(" "));
  }
}

/** A bar within a whole of 100 %: from `start`, `length` long, both as shares; too short ones stay visible. */
export function bar(name, start, length) {
  const width = Math.max(0.8, length * 100);
  const x = Math.min(start * 100, 100 - width);
  return shape(
    "svg",
    { class: `bar-of ${name}`, viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { x: x.toFixed(2), y: 0, width: width.toFixed(2), height: 8 }),
  );
}

/** One dot a value, oldest first, the newest marked; the top is the largest value. */
export function dots(values, label) {
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = values.length > 1 ? 192 / (values.length - 1) : 0;
  const marks = values.map((value, index) =>
    shape("circle", {
      cx: (4 + index * step).toFixed(1),
      cy: (36 - (value / most) * 32).toFixed(1),
      r: index === values.length - 1 ? 3 : 2,
      class: index === values.length - 1 ? "newest" : "dot",
    }),
  );
  return shape("svg", { class: "dots", viewBox: "0 0 200 40", role: "img", "aria-label": label }, ...marks);
}
