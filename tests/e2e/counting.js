// Stands before the edge in a test: counts its calls of objects, and says how many there were since it
// was last asked (`GET /object-calls`).
import Edge, { Account, Directory, Throttle } from "entry.js";

export { Account, Directory, Throttle };

let calls = 0;

const counted = (namespace) =>
  new Proxy(namespace, {
    get(target, name) {
      if (name === "get") calls += 1;
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/object-calls") {
      const response = Response.json(calls);
      calls = 0;
      return response;
    }
    const namespaces = ["ACCOUNTS", "DIRECTORIES", "THROTTLES"].map((name) => [name, counted(env[name])]);
    const bindings = { ...env, ...Object.fromEntries(namespaces) };
    return Edge.prototype.fetch.call({ env: bindings, ctx }, request);
  },
};
