// Where the runtime enters: the settings are checked before anything is served. A throw of wasm's own
// would reach the operator as `Critical error`; this one says which variable is wrong.
import Edge, { Account, Directory, Throttle } from "./build/index.js";

const complaint = Edge.prototype.complaint();
if (complaint) throw new Error(complaint);

export { Account, Directory, Throttle, Edge as default };
