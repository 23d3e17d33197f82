// What the edge has acknowledged, and must therefore know: users, tokens that live, tokens that are dead.

/** Entries that are written when the answer is there, and looked up whenever somebody wonders. */
export class Ledger {
  /** address → password */
  users = new Map();
  /** token → { id, owner } */
  alive = new Map();
  dead = new Set();
  /** Asked for, and no answer came: either is right. */
  unsure = new Set();

  made(token, entry) {
    this.alive.set(token, entry);
  }

  revoked(token) {
    this.alive.delete(token);
    this.unsure.delete(token);
    this.dead.add(token);
  }

  /** The revocation has been sent, and not yet been answered. */
  doubted(token) {
    this.alive.delete(token);
    this.unsure.add(token);
  }

  get size() {
    return this.users.size + this.alive.size + this.dead.size;
  }
}

/** So many of a collection, by chance. */
export function some(collection, count) {
  const all = [...collection];
  return Array.from(
    { length: Math.min(count, all.length) },
    () => all[Math.floor(Math.random() * all.length)],
  );
}
