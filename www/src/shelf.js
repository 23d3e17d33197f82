//! The conversations that this browser keeps, each under the person whose it is, and how fast models were.
//! IndexedDB; where that is forbidden, memory.

import { openDB } from "idb";

/** Answers whose speed is remembered for each person. */
const SPEEDS = 2000;

/**
 * A conversation as it is kept:
 * `{ id, owner, title, updatedAt, settings, draft, turns: [{ asked, answer }] }`, where `asked` is
 * `{ text, images: [data URL] }` or `{ results: [{ id, name, content }] }`, and `answer` what `Answer.record` says.
 *
 * @typedef {{ id: string, owner: string, title: string, updatedAt: number, settings: object, draft: string, turns: object[] }} Conversation
 */

export class Shelf {
  #db;
  #owner;
  #changed;

  /**
   * @param {string} owner the user's id
   * @param {() => void} onChange another page of this browser has changed something
   */
  static async open(owner, onChange) {
    const shelf = new Shelf();
    shelf.#owner = owner;
    shelf.#db = await openDatabase();
    shelf.#changed = new BroadcastChannel("comind.conversations");
    shelf.#changed.onmessage = onChange;
    return shelf;
  }

  close() {
    this.#changed.close();
    this.#db.close();
  }

  /** `[{ id, title, updatedAt }]`, the newest first. */
  async list() {
    const titles = await this.#db.getAllFromIndex("titles", "owner", this.#owner);
    return titles.toSorted((a, b) => b.updatedAt - a.updatedAt);
  }

  /** @returns {Promise<Conversation | undefined>} */
  async load(id) {
    const conversation = await this.#db.get("conversations", id);
    return conversation?.owner === this.#owner ? conversation : undefined;
  }

  /** @param {Conversation} conversation in place of what had this id */
  async save(conversation) {
    const { id, owner, title, updatedAt } = conversation;
    await this.#write(["conversations", "titles"], (stores) => [
      stores.conversations.put(conversation),
      stores.titles.put({ id, owner, title, updatedAt }),
    ]);
  }

  async remove(id) {
    await this.#write(["conversations", "titles"], (stores) => [
      stores.conversations.delete(id),
      stores.titles.delete(id),
    ]);
  }

  /** Forgets every conversation of this person. */
  async clear() {
    const titles = await this.list();
    const speeds = await this.#db.getAllKeysFromIndex("speeds", "owner", this.#owner);
    await this.#write(["conversations", "titles", "speeds"], (stores) => [
      ...titles.flatMap(({ id }) => [stores.conversations.delete(id), stores.titles.delete(id)]),
      ...speeds.map((key) => stores.speeds.delete(key)),
    ]);
  }

  /** @param {{ model: string, at: number, firstMs: number, rate: number | null }} speed of one answer */
  async noteSpeed(speed) {
    const keys = await this.#db.getAllKeysFromIndex("speeds", "owner", this.#owner);
    await this.#write(["speeds"], (stores) => [
      stores.speeds.add({ ...speed, owner: this.#owner }),
      ...keys.slice(0, Math.max(0, keys.length + 1 - SPEEDS)).map((key) => stores.speeds.delete(key)),
    ]);
  }

  /** All of them, oldest first. */
  speeds() {
    return this.#db.getAllFromIndex("speeds", "owner", this.#owner);
  }

  async #write(names, work) {
    const transaction = this.#db.transaction(names, "readwrite");
    const stores = Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)]));
    await Promise.all([...work(stores), transaction.done]);
    this.#changed.postMessage(null);
  }
}

/** Opens it; a database that cannot be opened is replaced by one that forgets. */
async function openDatabase() {
  try {
    return await openDB("comind", 1, {
      upgrade(db) {
        db.createObjectStore("conversations", { keyPath: "id" });
        db.createObjectStore("titles", { keyPath: "id" }).createIndex("owner", "owner");
        db.createObjectStore("speeds", { autoIncrement: true }).createIndex("owner", "owner");
      },
    });
  } catch {
    return forgetful;
  }
}

const nothing = async () => {};
const noStore = { put: nothing, add: nothing, delete: nothing };
const forgetful = {
  close() {},
  get: nothing,
  getAllFromIndex: async () => [],
  getAllKeysFromIndex: async () => [],
  transaction: () => ({ done: Promise.resolve(), objectStore: () => noStore }),
};
