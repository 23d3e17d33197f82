// Where the runtime enters: the settings are checked before anything is served. A throw of wasm's own
// would reach the operator as `Critical error`; this one says which variable is wrong.
import { DurableObject, env } from "cloudflare:workers";
import Edge, { AccountTables, AuditTables, DirectoryTables, ThrottleTables } from "./build/index.js";

// Every wait of wasm's ends in a microtask, and workerd's own way to ask for one costs 27 times a promise's.
globalThis.queueMicrotask = (run) => void Promise.resolve().then(run).catch(reportError);

/** What is under way: each can be answered at once when WebAssembly falls over, since nothing of it will go on. */
const underWay = new Set();

// A panic ends the instance; the next call gets a new one (wasm-bindgen sees to that).
addEventListener("error", ({ error }) => {
  const cause = error?.cause ?? error;
  if (!(cause instanceof WebAssembly.RuntimeError)) return;
  const message = `WebAssembly has fallen over (${cause.message}): ${underWay.size} requests are ended`;
  console.error(JSON.stringify({ level: "error", place: "wasm", message }));
  for (const fail of underWay) fail();
});

const complaint = Edge.prototype.complaint();
if (complaint) throw new Error(complaint);

/** What is answered then: asked for while there is somebody to ask. */
const FAILURE = Edge.prototype.fallen();

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

export default class extends Edge {
  async fetch(request) {
    let fail;
    const answer = await new Promise((resolve) => {
      fail = resolve;
      underWay.add(fail);
      const report = (error) => {
        reportError(error);
        fail();
      };
      try {
        super.fetch(request).then(resolve, report);
      } catch (error) {
        report(error);
      }
    });
    underWay.delete(fail);
    // In the request's own time: whoever failed it may have been another one.
    return answer ?? failure(request);
  }
}

function failure(request) {
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "retry-after": "1",
    vary: "origin",
  };
  const origin = request.headers.get("origin");
  const isAllowed = (env.ALLOWED_ORIGINS ?? "").split(",").some((allowed) => allowed.trim() === origin);
  if (isAllowed) headers["access-control-allow-origin"] = origin;
  const name = request.headers.get("x-request-id");
  headers["x-request-id"] = /^[\w.-]{1,128}$/.test(name) ? name : `req_${crypto.randomUUID()}`;
  return new Response(FAILURE, { status: 500, headers });
}
