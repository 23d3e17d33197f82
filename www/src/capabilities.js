//! What each backend and model can do, as a matrix, with how each backend is now; and how fast models were here.

import { element } from "./element.js";
import { rounded } from "./figures.js";
import { dots } from "./plot.js";

/** The columns: the contract's key, and the word for it. */
const COLUMNS = [
  ["chat", "Chat"],
  ["completions", "Complete"],
  ["embeddings", "Embed"],
  ["vision", "Vision"],
  ["tool_calling", "Tools"],
  ["streaming", "Stream"],
];

const PROVIDERS = { vllm: "vLLM", ollama: "Ollama", llamacpp: "llama.cpp", openai: "OpenAI API" };

/** Answers a plot shows for each model. */
const PLOTTED = 50;

/**
 * Whether some backend's model can do this (`chat`, `vision`, …), by an answer of `/v1/capabilities`; a model it
 * does not know is taken to.
 */
export function isAble(capabilities, id, what) {
  const known = capabilities.data.flatMap(({ models }) => models).filter((model) => model.id === id);
  return known.length === 0 || known.some((model) => model.capabilities[what]);
}

/** The matrix for answers of `/v1/capabilities` and `/v1/backends/health`. */
export function matrixOf(capabilities, { backends }) {
  if (capabilities.data.length === 0) return element("p", {}, "No backend is configured.");
  const latencies = new Map(backends.map(({ backend, latency_ms: latencyMs }) => [backend, latencyMs]));
  return element(
    "table",
    { role: "table" },
    element(
      "thead",
      { role: "rowgroup" },
      element(
        "tr",
        { role: "row" },
        element("th", { role: "columnheader", scope: "col" }, element("span", { class: "unseen" }, "Model")),
        ...COLUMNS.map(([, word]) => element("th", { role: "columnheader", scope: "col" }, word)),
      ),
    ),
    ...capabilities.data.map((backend) => backendRows(backend, latencies.get(backend.backend))),
  );
}

function backendRows({ backend, provider, status, models }, latencyMs) {
  const heading = element(
    "tr",
    { role: "row", class: "backend" },
    element(
      "th",
      { role: "rowheader", scope: "rowgroup", colspan: COLUMNS.length + 1 },
      element("b", {}, backend),
      element("span", { class: "provider" }, PROVIDERS[provider] ?? provider),
      element("span", { class: `status ${status}` }, status),
      element("span", { class: "latency" }, Number.isFinite(latencyMs) ? `answers in ${latencyMs} ms` : ""),
    ),
  );
  const none = element(
    "tr",
    { role: "row" },
    element("td", { role: "cell", class: "none", colspan: COLUMNS.length + 1 }, "No models to see"),
  );
  const rows = models.length > 0 ? models.map(modelRow) : [none];
  return element("tbody", { role: "rowgroup" }, heading, ...rows);
}

function modelRow({ id, capabilities }) {
  return element(
    "tr",
    { role: "row" },
    element("th", { role: "rowheader", scope: "row" }, id),
    ...COLUMNS.map(([key]) => mark(capabilities[key])),
  );
}

function mark(isAble) {
  const word = element("span", { class: "unseen" }, isAble ? "yes" : "no");
  return element("td", { role: "cell", class: isAble ? "yes" : "no" }, word);
}

/** A plot for each model that has answered here; null if none has. */
export function speedsOf(speeds) {
  const models = Map.groupBy(speeds, ({ model }) => model);
  if (models.size === 0) return null;
  return element(
    "section",
    { class: "speeds" },
    element("h3", {}, "How fast they answered you"),
    ...Array.from(models, ([model, of]) => speedRow(model, of)),
  );
}

function speedRow(model, speeds) {
  const rates = speeds.map(({ rate }) => rate).filter(Boolean);
  const waits = speeds.map(({ firstMs }) => firstMs);
  return element(
    "div",
    { class: "speed" },
    element("h4", {}, model),
    element("p", {}, `${speeds.length} ${speeds.length === 1 ? "answer" : "answers"}`),
    rates.length > 0 ? plot(rates, "tokens/s", rounded) : "",
    plot(waits, "to first token", (ms) => `${(ms / 1000).toFixed(2)} s`),
  );
}

function plot(values, unit, write) {
  const recent = values.slice(-PLOTTED);
  const middle = recent.toSorted((a, b) => a - b)[Math.floor(recent.length / 2)];
  const words = `${write(middle)} ${unit}`;
  return element(
    "figure",
    {},
    recent.length > 1 ? dots(recent, `${words}, median of ${recent.length}`) : "",
    element("figcaption", {}, element("b", {}, write(middle)), ` ${unit}, median`),
  );
}
