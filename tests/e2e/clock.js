// Stands before the edge in a test: its clock is off by as many milliseconds as `x-clock` said last. Timers run as ever.
import Edge, { Account, Audit, Directory, Throttle } from "entry.js";

export { Account, Audit, Directory, Throttle };

const now = Date.now;
let offset = 0;
Date.now = () => now() + offset;

export default class extends Edge {
  fetch(request) {
    offset = Number(request.headers.get("x-clock") ?? offset);
    return super.fetch(request);
  }
}
