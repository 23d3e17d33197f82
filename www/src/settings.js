//! What goes with every question of a conversation: a system prompt, the documented parameters, tools.

/** Numbers: what is sent, and how it is read. An empty field is not sent, and the model's own default holds. */
const NUMBERS = {
  temperature: Number.parseFloat,
  top_p: Number.parseFloat,
  max_tokens: Number,
  seed: Number,
};

export class Settings {
  #dialog;
  #form;
  #badge;
  #onChange;
  #settings = {};

  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLElement} badge marked when something is set
   * @param {(settings: object) => void} onChange
   */
  constructor(dialog, badge, onChange) {
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form.fields");
    this.#badge = badge;
    this.#onChange = onChange;
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", ({ target }) => {
      const twin = this.#form.querySelector(`[data-of="${target.dataset.of ?? target.name}"]`);
      if (target.dataset.of) this.#field(target.dataset.of).value = target.value;
      else if (twin) twin.value = target.value || twin.dataset.rest;
      this.#read();
    });
    dialog.querySelector("[data-do='reset']").addEventListener("click", () => {
      this.show({});
      this.#read();
    });
  }

  /** Fills the form with a conversation's settings. */
  show(settings) {
    this.#settings = settings;
    const { system = "", stop = [], tools, ...numbers } = settings;
    this.#field("system").value = system;
    this.#field("stop").value = stop.join("\n");
    this.#field("tools").value = tools ? JSON.stringify(tools, null, 2) : "";
    for (const name of Object.keys(NUMBERS)) {
      this.#field(name).value = numbers[name] ?? "";
      const twin = this.#form.querySelector(`[data-of="${name}"]`);
      if (twin) twin.value = numbers[name] ?? twin.dataset.rest;
    }
    this.#mark();
  }

  open() {
    this.#dialog.showModal();
  }

  #field(name) {
    return this.#form.elements[name];
  }

  /** What is written and can be meant; a field that cannot says why and keeps its last value out. */
  #read() {
    const settings = {};
    const system = this.#field("system").value.trim();
    if (system) settings.system = system;
    for (const [name, parse] of Object.entries(NUMBERS)) {
      const field = this.#field(name);
      this.#say(field, field.validity.valid ? "" : field.validationMessage);
      if (field.value !== "" && field.validity.valid) settings[name] = parse(field.value);
    }
    const stop = this.#field("stop").value.split("\n").filter(Boolean);
    this.#say(this.#field("stop"), stop.length > 4 ? "At most four." : "");
    if (stop.length > 0 && stop.length <= 4) settings.stop = stop;
    const { tools, problem } = readTools(this.#field("tools").value);
    this.#say(this.#field("tools"), problem);
    if (tools.length > 0) settings.tools = tools;
    this.#settings = settings;
    this.#mark();
    this.#onChange(settings);
  }

  #say(field, problem) {
    field.setAttribute("aria-invalid", String(problem !== ""));
    this.#form.querySelector(`#${field.getAttribute("aria-describedby")}`).textContent = problem;
  }

  #mark() {
    this.#badge.classList.toggle("marked", Object.keys(this.#settings).length > 0);
  }
}

/** `[{ "type": "function", "function": { "name": … } }]`, or the functions alone. */
function readTools(text) {
  if (text.trim() === "") return { tools: [], problem: "" };
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { tools: [], problem: `Not JSON yet: ${error.message}` };
  }
  const tools = [value].flat().map((tool) => (tool?.function ? tool : { type: "function", function: tool }));
  const isNamed = tools.every((tool) => typeof tool.function?.name === "string" && tool.function.name !== "");
  return isNamed ? { tools, problem: "" } : { tools: [], problem: "Every function needs a name." };
}
