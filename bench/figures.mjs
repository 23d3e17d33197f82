// What the benchmarks' figures have in common.
import { cpus } from "node:os";

/** The machine, for the top of a table: a figure without one says nothing. */
export const machine = `${cpus().length} × ${cpus()[0].model.trim()}, Linux, Node ${process.versions.node}`;

/** The middle one. */
export const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
