//! The one client of the page. Its server is where the page came from.

import { CoMind } from "@co-mind/client";

export const client = new CoMind({ baseURL: location.origin });
