// The packed types under TypeScript's strict rules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { makeProject } from "./tarball.mjs";

const TSC = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));

/** The package's README as one module. */
async function readReadme() {
  const text = await readFile(new URL("../../pkg/README.md", import.meta.url), "utf8");
  const blocks = Array.from(text.matchAll(/^```js\n(.*?)^```/gms), ([, code]) => code);
  assert.ok(blocks.length >= 2);
  const around =
    "declare function show(text: string): void; declare function wait(ms: number | null): Promise<void>;";
  return `${around}\n${blocks.join("\n")}`.replaceAll("catch (error)", "catch (error: any)");
}

test("a strict TypeScript project and the README compile against the package, in each way of resolving it", async (t) => {
  const readme = await readReadme();
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
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    const folder = await makeProject(t, {
      "sample.ts": sample,
      "readme.ts": readme,
      "tsconfig.json": JSON.stringify({ compilerOptions, files: ["sample.ts", "readme.ts"] }),
    });
    const { status, stdout } = spawnSync(TSC, ["--project", folder], { encoding: "utf8" });
    assert.equal(stdout, "", moduleResolution);
    assert.equal(status, 0);
  }
});
