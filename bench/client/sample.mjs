// One contender once, in a process of its own: node sample.mjs GROUP NAME CUT; prints nanoseconds an event.
import { EVENTS, corpus } from "./corpus.js";
import { time } from "./contenders.js";

const [group, name, cut] = process.argv.slice(2);
console.log(await time(group, name, corpus(Number(cut)), EVENTS));
