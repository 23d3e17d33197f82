//! What each backend and model can do, as a matrix.

import { element } from "./element.js";

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

/** Whether the model can chat, by this answer of `/v1/capabilities`; a model it does not know can. */
export function canChat(capabilities, id) {
  const known = capabilities.data.flatMap(({ models }) => models).filter((model) => model.id === id);
  return known.length === 0 || known.some((model) => model.capabilities.chat);
}

/** The matrix for an answer of `/v1/capabilities`. */
export function matrixOf(capabilities) {
  if (capabilities.data.length === 0) return element("p", {}, "No backend is configured.");
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
    ...capabilities.data.map(backendRows),
  );
}

function backendRows({ backend, provider, status, models }) {
  const heading = element(
    "tr",
    { role: "row", class: "backend" },
    element(
      "th",
      { role: "rowheader", scope: "rowgroup", colspan: COLUMNS.length + 1 },
      element("b", {}, backend),
      element("span", { class: "provider" }, PROVIDERS[provider] ?? provider),
      element("span", { class: `status ${status}` }, status),
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
