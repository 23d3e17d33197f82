// Where the runtime enters: the settings are checked before anything is served. A throw of wasm's own
// would reach the operator as `Critical error`; this one says which variable is wrong.
import { DurableObject } from "cloudflare:workers";
import Edge, { AccountTables, AuditTables, DirectoryTables, ThrottleTables } from "./build/index.js";

// Every wait of wasm's ends in a microtask, and workerd's own way to ask for one costs 27 times a promise's.
globalThis.queueMicrotask = (run) => void Promise.resolve().then(run);

const complaint = Edge.prototype.complaint();
if (complaint) throw new Error(complaint);

/** An object is its tables: what it is asked it answers at once, and all of that is one transaction. */
const objectOf = (Tables) =>
  class extends DurableObject {
    #tables = new Tables(this.ctx.storage.sql);

    call(question) {
      return this.ctx.storage.transactionSync(() => this.#tables.call(question));
    }

    /** Leaves nothing behind, on the disk neither. */
    async forget() {
      await this.ctx.storage.deleteAll();
      this.#tables = new Tables(this.ctx.storage.sql);
    }
  };

export class Account extends objectOf(AccountTables) {}
export class Directory extends objectOf(DirectoryTables) {}
export class Throttle extends objectOf(ThrottleTables) {}
export class Audit extends objectOf(AuditTables) {}
export { Edge as default };
