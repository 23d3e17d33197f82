// The contenders in a page: `sample(group, name, cut)` gives nanoseconds an event.
import { time } from "./contenders.js";
import { EVENTS, corpus } from "./corpus.js";

globalThis.sample = (group, name, cut) => time(group, name, corpus(cut), EVENTS);
document.title = "ready";
