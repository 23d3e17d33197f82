//! API tokens: made, shown once, listed, rotated and revoked; each with the lines that use it.

import { copy } from "./clipboard.js";
import { CodeBlock } from "./code.js";
import { element } from "./element.js";
import { isSignedOut, problemOf } from "./failure.js";
import { snippetsOf } from "./snippets.js";

/** What a scope lets a program do; one that is not listed says it itself. */
const SCOPES = {
  "chat:write": "Chat, complete texts, embed",
  "chat:read": "Read chat sessions",
  "models:read": "See models, backends, capabilities",
  "knowledgebases:read": "Read knowledge bases",
  "knowledgebases:write": "Write knowledge bases",
  "files:read": "Read files",
  "files:write": "Write files",
};
/** Ticked from the start: what a first script needs. */
const USUAL = new Set(["chat:write", "models:read"]);

export class Tokens {
  #client;
  #dialog;
  #form;
  #list;
  #made;
  #problem;
  #model;
  #onSignedOut;

  /**
   * @param {import("@co-mind/client").CoMind} client
   * @param {HTMLDialogElement} dialog
   * @param {{ model: () => string, onSignedOut: () => Promise<void> }} handlers
   */
  constructor(client, dialog, { model, onSignedOut }) {
    this.#client = client;
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form.fields");
    this.#list = dialog.querySelector(".tokens");
    this.#made = dialog.querySelector(".made");
    this.#problem = dialog.querySelector(".problem");
    this.#model = model;
    this.#onSignedOut = onSignedOut;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(event.submitter, () => this.#create());
    });
    this.#list.addEventListener("click", (event) => this.#act(event.target.closest("button")));
    this.#made.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.do === "copy-secret") copy(this.#made.querySelector("output").textContent, button);
      if (button?.dataset.do === "copy-code")
        copy(button.closest("figure").querySelector("pre").textContent, button);
      if (button?.role === "tab") this.#select(button);
    });
    this.#made.addEventListener("keydown", (event) => this.#arrow(event));
    // What was shown once is gone with the dialog.
    dialog.addEventListener("close", () => this.#made.replaceChildren());
  }

  async open() {
    this.#dialog.showModal();
    this.#say("");
    this.#list.textContent = "Asking for your tokens…";
    await this.#do(null, async () => {
      const { scopes } = await this.#client.apiTokens.scopes();
      this.#showScopes(scopes);
      await this.#refresh();
    });
  }

  async #create() {
    const { name, days } = this.#form.elements;
    const scopes = Array.from(this.#form.querySelectorAll("[name='scope']:checked"), ({ value }) => value);
    if (name.value.trim() === "") return this.#refuse("The token needs a name.", name);
    if (scopes.length === 0)
      return this.#refuse(
        "A token that may do nothing is of no use: tick a scope.",
        this.#form.querySelector("[name='scope']"),
      );
    const made = await this.#client.apiTokens.create({
      name: name.value.trim(),
      scopes,
      expires_in_days: Number(days.value),
    });
    name.value = "";
    this.#reveal(made);
    await this.#refresh();
  }

  /** What the buttons of the list do: ending a token asks once more, in its own place. */
  #act(button) {
    if (!button) return;
    const { id, do: deed } = button.dataset;
    if (button.dataset.sure === undefined) {
      button.dataset.sure = "";
      button.textContent = deed === "rotate" ? "The old one dies: rotate" : "Revoke for good";
      button.addEventListener(
        "blur",
        () => {
          delete button.dataset.sure;
          button.textContent = deed === "rotate" ? "Rotate" : "Revoke";
        },
        { once: true },
      );
      return;
    }
    this.#do(button, async () => {
      if (deed === "rotate") this.#reveal(await this.#client.apiTokens.rotate(id));
      else await this.#client.apiTokens.revoke(id);
      await this.#refresh();
    });
  }

  /** Runs a deed; what goes wrong is said in the dialog. */
  async #do(button, deed) {
    if (button) button.disabled = true;
    this.#say("");
    try {
      await deed();
    } catch (error) {
      if (isSignedOut(error)) {
        this.#dialog.close();
        await this.#onSignedOut();
        return this.open();
      }
      this.#say(problemOf(error));
    } finally {
      if (button) button.disabled = false;
    }
  }

  #refuse(sentence, field) {
    this.#say(sentence);
    field.focus();
  }

  #say(sentence) {
    this.#problem.textContent = sentence;
  }

  #showScopes(scopes) {
    const ticked = new Set(
      Array.from(this.#form.querySelectorAll("[name='scope']:checked"), ({ value }) => value),
    );
    const wanted = ticked.size > 0 ? ticked : USUAL;
    this.#form.querySelector(".scopes").replaceChildren(
      ...scopes.map((scope) => {
        const box = element("input", { type: "checkbox", name: "scope", value: scope });
        box.checked = wanted.has(scope);
        return element(
          "label",
          {},
          box,
          element("code", {}, scope),
          element("span", {}, SCOPES[scope] ?? ""),
        );
      }),
    );
  }

  async #refresh() {
    const tokens = await this.#client.apiTokens.list();
    const living = tokens.filter(({ is_revoked: isRevoked }) => !isRevoked);
    this.#list.replaceChildren(
      living.length > 0
        ? element("ul", {}, ...living.map(tokenRow))
        : element(
            "p",
            {},
            "You have none. A token lets a program do what you tick above, until it expires or you revoke it.",
          ),
    );
  }

  #reveal({ token, name, scopes, expires_at: expiresAt }) {
    const given = {
      origin: location.origin,
      token,
      model: this.#model() || "MODEL",
      canChat: scopes.includes("chat:write"),
    };
    const snippets = snippetsOf(given);
    this.#made.replaceChildren(
      element("h3", { tabindex: "-1" }, `“${name}” is ready`),
      element("p", {}, `Copy it now: it is shown this once. It works until ${day(expiresAt)}.`),
      element(
        "p",
        { class: "secret" },
        element("output", {}, token),
        element("button", { type: "button", class: "primary", "data-do": "copy-secret" }, "Copy the token"),
      ),
      element(
        "div",
        { role: "tablist", "aria-label": "How to use it" },
        ...snippets.map(([language], index) =>
          element(
            "button",
            { type: "button", role: "tab", id: `snippet-tab-${index}`, "aria-controls": `snippet-${index}` },
            language,
          ),
        ),
      ),
      ...snippets.map(([, language, text], index) => {
        const block = new CodeBlock(language);
        block.show(text);
        block.finish();
        return element(
          "div",
          {
            role: "tabpanel",
            id: `snippet-${index}`,
            "aria-labelledby": `snippet-tab-${index}`,
            class: "prose",
          },
          block.node,
        );
      }),
    );
    this.#select(this.#made.querySelector("[role='tab']"));
    this.#made.querySelector("h3").focus();
  }

  #select(chosen) {
    for (const tab of this.#made.querySelectorAll("[role='tab']")) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      this.#made.querySelector(`#${tab.getAttribute("aria-controls")}`).hidden = !isChosen;
    }
  }

  /** Tabs are one stop of the Tab key; the arrows go between them (WAI-ARIA, tabs pattern). */
  #arrow({ key, target }) {
    if (target.role !== "tab" || !["ArrowLeft", "ArrowRight"].includes(key)) return;
    const tabs = Array.from(this.#made.querySelectorAll("[role='tab']"));
    const next = tabs.at((tabs.indexOf(target) + (key === "ArrowRight" ? 1 : -1)) % tabs.length);
    this.#select(next);
    next.focus();
  }
}

function tokenRow({
  id,
  name,
  scopes,
  expires_at: expiresAt,
  last_used_at: lastUsedAt,
  is_expired: isExpired,
}) {
  const button = (deed, label) =>
    element(
      "button",
      { type: "button", class: "plain", "data-do": deed, "data-id": id, "aria-label": `${label} ${name}` },
      label,
    );
  return element(
    "li",
    { class: isExpired ? "expired" : null },
    element(
      "div",
      {},
      element("b", {}, name),
      element("p", {}, scopes.join(", ")),
      element(
        "p",
        {},
        `${lastUsedAt ? `Last used ${ago(lastUsedAt)}` : "Never used"} · ${isExpired ? "expired" : "expires"} ${day(expiresAt)}`,
      ),
    ),
    element(
      "div",
      { class: "deeds" },
      ...(isExpired ? [] : [button("rotate", "Rotate")]),
      button("revoke", "Revoke"),
    ),
  );
}

function day(iso) {
  return new Date(iso).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `5 minutes ago`: the largest unit that says it. */
function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  const units = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ];
  const [unit, length] = units.find(([, length]) => -seconds >= length) ?? ["second", 1];
  return unit === "second" ? "just now" : relative.format(Math.round(seconds / length), unit);
}
