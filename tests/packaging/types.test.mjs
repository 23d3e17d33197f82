// The packed types under TypeScript's strict rules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { makeProject } from "./tarball.mjs";

const TSC = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));

test("a strict TypeScript project compiles against the package, in each way of resolving it", async (t) => {
  const sample = await readFile(new URL("sample.ts", import.meta.url), "utf8");
  for (const [module, moduleResolution] of [
    ["esnext", "bundler"],
    ["nodenext", "nodenext"],
  ]) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2022",
      lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
      types: [],
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    const folder = await makeProject(t, {
      "sample.ts": sample,
      "tsconfig.json": JSON.stringify({ compilerOptions, files: ["sample.ts"] }),
    });
    const { status, stdout } = spawnSync(TSC, ["--project", folder], { encoding: "utf8" });
    assert.equal(stdout, "", moduleResolution);
    assert.equal(status, 0);
  }
});
