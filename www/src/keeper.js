//! Where the session is: in the memory that this browser's open pages share, and gone with them; in `localStorage`
//! only if the person ticked "Stay signed in".

import { memoryStorage, tabStorage, webStorage } from "@co-mind/client";

/** A storage of `@co-mind/client` that can be told to keep what it has. */
export class Keeper {
  name = "comind.session";
  #isToKeep = false;
  #shared = tabStorage(this.name);
  #kept = storageOf(() => webStorage(localStorage, this.name));

  /** Whether the next session survives the last page. */
  keep(isToKeep) {
    this.#isToKeep = isToKeep;
    if (!isToKeep) this.#kept.remove();
  }

  get() {
    return this.#kept.get() ?? this.#shared.get();
  }

  set(text) {
    const isKept = this.#isToKeep || this.#kept.get() !== null;
    return (isKept ? this.#kept : this.#shared).set(text);
  }

  remove() {
    this.#isToKeep = false;
    this.#kept.remove();
    return this.#shared.remove();
  }

  subscribe(changed) {
    const ends = [this.#kept.subscribe?.(changed), this.#shared.subscribe(changed)];
    return () => ends.forEach((end) => end?.());
  }
}

/** Storage may be forbidden (private windows, policies): then nothing is kept, and that is all. */
function storageOf(make) {
  try {
    const storage = make();
    storage.get();
    return storage;
  } catch {
    return memoryStorage();
  }
}
