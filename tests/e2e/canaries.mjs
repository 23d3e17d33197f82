// Planted secrets, and finding them again however they were written down.
import { randomBytes } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

const percent = (text) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

const escaped = (text) =>
  text.replace(/[^]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** The characters that a text has in base64 wherever it stands in what is encoded: three ways to begin. */
function base64(text, before) {
  const whole = Buffer.concat([Buffer.alloc(before), Buffer.from(text)]);
  const isWhole = [Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6)];
  return whole.toString("base64").slice(...isWhole);
}

const base64url = (text, before) => base64(text, before).replaceAll("+", "-").replaceAll("/", "_");

const PLAIN = "as it is";

/** How a text can be written down. */
const FORMS = {
  [PLAIN]: (text) => text,
  backwards: (text) => [...text].reverse().join(""),
  "UTF-16, little end first": (text) => Buffer.from(text, "utf16le"),
  "UTF-16, big end first": (text) => Buffer.from(text, "utf16le").swap16(),
  hexadecimal: (text) => Buffer.from(text).toString("hex"),
  "hexadecimal in capitals": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  "percent-encoded": encodeURIComponent,
  "percent-encoded, every byte": percent,
  "percent-encoded, every byte, in capitals": (text) => percent(text).toUpperCase(),
  "JSON with escapes": escaped,
  "base64, 0 bytes in": (text) => base64(text, 0),
  "base64, 1 byte in": (text) => base64(text, 1),
  "base64, 2 bytes in": (text) => base64(text, 2),
  "base64url, 0 bytes in": (text) => base64url(text, 0),
  "base64url, 1 byte in": (text) => base64url(text, 1),
  "base64url, 2 bytes in": (text) => base64url(text, 2),
};

/** `[form, bytes]`, each form once. */
export function forms(text) {
  const seen = new Map();
  for (const [form, write] of Object.entries(FORMS)) {
    const bytes = Buffer.from(write(text));
    const key = bytes.toString("latin1");
    if (!seen.has(key)) seen.set(key, [form, bytes]);
  }
  return [...seen.values()];
}

/**
 * What was planted. All of our own making share a mark, so that looking for any of them is looking for one
 * thing; what the edge makes (tokens, codes) is looked for one by one.
 */
export class Canaries {
  #mark = `kanarie${randomBytes(4).toString("hex")}`;
  #markForms = forms(this.#mark);
  #ours = new Map();
  #others = new Map();

  /** A new secret that says what it is. */
  plant(name) {
    const text = `${this.#mark}-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}-${randomBytes(6).toString("hex")}`;
    this.#ours.set(text, name);
    return text;
  }

  /** An address that is one. */
  plantEmail(name) {
    return `${this.plant(name)}@example.com`;
  }

  /** From now on this is looked for as well. */
  add(name, text) {
    if (text.length < 16) throw new Error(`${name} is too short to be found by its looks`);
    this.#others.set(text, { name, written: forms(text) });
    return text;
  }

  get count() {
    return this.#ours.size + this.#others.size;
  }

  /** What of it these bytes hold: `[{ name, form, text }]`. */
  find(content) {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(content);
    const found = [];
    for (const [form, mark] of this.#markForms) {
      if (!bytes.includes(mark)) continue;
      const before = found.length;
      const texts = form === PLAIN ? this.#readAll(bytes) : this.#ours.keys();
      for (const text of texts)
        if (bytes.includes(Buffer.from(FORMS[form](text))))
          found.push({ name: this.#ours.get(text), form, text });
      if (found.length === before) found.push({ name: "a part of something", form, text: this.#mark });
    }
    for (const [text, { name, written }] of this.#others)
      for (const [form, one] of written) if (bytes.includes(one)) found.push({ name, form, text });
    return found;
  }

  /** Those that stand there as they are: to read them is quicker than to look for each. */
  #readAll(bytes) {
    const whole = new RegExp(`${this.#mark}-[a-z0-9-]*?-[0-9a-f]{12}`, "g");
    const read = bytes.toString("latin1").match(whole) ?? [];
    return new Set(read.filter((text) => this.#ours.has(text)));
  }
}

/** All files of a folder: `[{ path, bytes }]`, paths relative to it. */
export async function readFolder(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(
    files.map(async (entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      return { path: path.slice(folder.length + 1), bytes: await readFile(path) };
    }),
  );
}
