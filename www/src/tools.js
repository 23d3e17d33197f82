//! The tools a model wants used: each call with its arguments, and a place for its result.

import { element } from "./element.js";

export class ToolCalls {
  #root;
  #isOpen = false;

  /** @param {HTMLElement} root filled by this object alone */
  constructor(root) {
    this.#root = root;
  }

  /** Shows the calls so far; a streaming one's arguments grow. */
  show(calls) {
    this.#root.hidden = calls.length === 0;
    while (this.#root.children.length < calls.length) {
      this.#root.append(
        element(
          "section",
          { class: "call" },
          element("h3"),
          element("pre", { tabindex: "0", "aria-label": "Arguments", role: "region" }),
        ),
      );
    }
    calls.forEach(({ function: { name, arguments: text } }, index) => {
      const section = this.#root.children[index];
      section.querySelector("h3").textContent = name;
      section.querySelector("pre").textContent = pretty(text);
    });
  }

  /**
   * Asks for the result of each call.
   *
   * @param {(results: { id: string, name: string, content: string }[]) => void} onResults
   */
  ask(calls, onResults) {
    if (this.#isOpen || calls.length === 0) return;
    this.#isOpen = true;
    const areas = calls.map(({ function: { name } }, index) => {
      const area = element("textarea", {
        rows: 2,
        spellcheck: "false",
        placeholder: "Its result, as the model is to read it",
      });
      const label = element("label", { class: "result" }, element("span", {}, `Result of ${name}`), area);
      this.#root.children[index].append(label);
      return area;
    });
    const send = element(
      "button",
      { type: "button", class: "primary" },
      calls.length > 1 ? "Send the results" : "Send the result",
    );
    send.addEventListener("click", () => {
      const missing = areas.find((area) => area.value.trim() === "");
      if (missing) {
        missing.focus();
        return;
      }
      this.close();
      onResults(
        calls.map(({ id, function: { name } }, index) => ({ id, name, content: areas[index].value })),
      );
    });
    this.#root.append(send);
  }

  /** The conversation went on. */
  close() {
    this.#isOpen = false;
    for (const node of this.#root.querySelectorAll(".result, .primary")) node.remove();
  }
}

/** JSON with lines and indents; what is no JSON (yet) stays as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
