// Stands before the edge in a test: counts its calls of objects and what `tally.js` counts, and says how many there were
// since it was last asked (`GET /counts`).
import { tally } from "tally.js";
import Edge, { Account, Audit, Directory, Throttle } from "entry.js";

export { Account, Audit, Directory, Throttle };

const counted = (namespace) =>
  new Proxy(namespace, {
    get(target, name) {
      if (name === "get") tally.objectCalls += 1;
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/counts") {
      const response = Response.json(tally);
      for (const name of Object.keys(tally)) tally[name] = 0;
      return response;
    }
    const namespaces = ["ACCOUNTS", "DIRECTORIES", "THROTTLES", "AUDIT"].map((name) => [
      name,
      counted(env[name]),
    ]);
    const bindings = { ...env, ...Object.fromEntries(namespaces) };
    return Edge.prototype.fetch.call({ env: bindings, ctx }, request);
  },
};
