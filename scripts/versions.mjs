// scripts/versions, for Node.
import { readFileSync } from "node:fs";

const text = readFileSync(new URL("./versions", import.meta.url), "utf8");

/** `{ WORKER_BUILD_VERSION: "…", COMPATIBILITY_DATE: "…", … }` */
export const versions = Object.fromEntries(
  text
    .split("\n")
    .filter((line) => /^[A-Z_]+=/.test(line))
    .map((line) => line.split("=", 2)),
);
