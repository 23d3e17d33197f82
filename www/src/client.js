//! The one client of the page. Its server is where the page came from.

import { CoMind, init } from "@co-mind/client";

// The wasm arrives while the person still types the password. Should it fail, the first call tries again and says so.
init().catch(() => {});

export const client = new CoMind({ baseURL: location.origin });
