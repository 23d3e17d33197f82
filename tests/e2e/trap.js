// Stands before the edge in a test: on demand, WebAssembly falls over where it next asks for random bytes, as it would
// in a panic. `x-trap: 1` falls in the request's first step, `x-trap: 2` in a later one, behind an await.
import Edge, { Account, Audit, Directory, Throttle } from "entry.js";

export { Account, Audit, Directory, Throttle };

const real = crypto.getRandomValues.bind(crypto);
let due = 0;
crypto.getRandomValues = (bytes) => {
  if (due > 0 && --due === 0) throw new WebAssembly.RuntimeError("unreachable");
  return real(bytes);
};

export default class extends Edge {
  fetch(request) {
    due = Number(request.headers.get("x-trap") ?? due);
    return super.fetch(request);
  }
}
