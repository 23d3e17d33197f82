//! The one client of the page. Its server is where the page came from.

import { CoMind, init } from "@co-mind/client";

import { Keeper } from "./keeper.js";
import { Meter } from "./meter.js";

// The wasm arrives while the person still types the password. Should it fail, the first call tries again and says so.
init().catch(() => {});

export const keeper = new Keeper();
export const meter = new Meter();
export const client = new CoMind({ baseURL: location.origin, storage: keeper, fetch: meter.fetch });
