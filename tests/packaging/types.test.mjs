// The packed types under TypeScript's strict rules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { DONE, chunk, event, startEdge } from "./edge.mjs";
import { importPackage, makeProject } from "./tarball.mjs";

const TSC = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));

/** The JavaScript of a document, block by block. */
async function blocksOf(path) {
  const text = await readFile(new URL(`../../${path}`, import.meta.url), "utf8");
  return Array.from(text.matchAll(/^```js\n(.*?)^```/gms), ([, code]) => code);
}

/** The package's README as one module. */
async function readReadme() {
  const blocks = await blocksOf("pkg/README.md");
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

/** What the recipes find in the program that they stand in. */
const AROUND = `
  declare module "react" { export const useCallback: any, useEffect: any, useRef: any, useState: any; }
  declare const client: import("@co-mind/client").CoMind;
  declare const baseURL: string, model: string, messages: import("@co-mind/client").Message[];
  declare const show: (text: string) => void, showPage: (user: unknown) => void;
  declare const button: { onclick: () => void };
  declare const process: { argv: string[]; env: Record<string, string>; stdout: { write(text: string): void } };`;

test("the recipes are right about the package, as far as types can tell", async (t) => {
  const blocks = [
    ...(await blocksOf("docs/client/recipes.md")),
    ...(await blocksOf("docs/client/coming-from-openai.md")),
  ];
  assert.ok(blocks.length >= 8);
  const names = blocks.map((_, at) => `recipe-${at}.js`);
  const compilerOptions = {
    module: "esnext",
    moduleResolution: "bundler",
    target: "es2022",
    lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    types: [],
    allowJs: true,
    checkJs: true,
    strict: true,
    noImplicitAny: false,
    useUnknownInCatchVariables: false,
    noEmit: true,
  };
  const folder = await makeProject(t, {
    ...Object.fromEntries(blocks.map((code, at) => [names[at], `${code}\nexport {};\n`])),
    "around.d.ts": AROUND,
    "tsconfig.json": JSON.stringify({ compilerOptions, files: ["around.d.ts", ...names] }),
  });
  const { status, stdout } = spawnSync(TSC, ["--project", folder], { encoding: "utf8" });
  assert.equal(stdout, "");
  assert.equal(status, 0);
});

test("the loop of tools answers with what the tools gave", async (t) => {
  const [recipe] = (await blocksOf("docs/client/recipes.md")).filter((code) => code.includes("get_weather"));
  const { CoMind } = await importPackage(t);
  const edge = await startEdge();
  t.after(() => edge.close());
  const client = new CoMind({ baseURL: edge.url, token: "t" });
  let said = "";
  const told = [];
  const program = new (async () => {}).constructor("client", "model", "show", `${recipe}\nreturn messages;`);
  const running = program(client, "m", (text) => (said += text));
  const call = (name, args) => ({ index: 0, id: "c", type: "function", function: { name, arguments: args } });
  for (const [name, args, expected] of [
    ["get_weather", '{"city":"Rome"}', /^{"city":"Rome","celsius":21}$/],
    ["get_weather", "{", /^{"error":"SyntaxError/],
    ["launch", "{}", /^{"error":"TypeError/],
  ]) {
    const asked = await edge.next();
    asked.stream().end(event(chunk({ tool_calls: [call(name, args)] }, "tool_calls")) + DONE);
    told.push(expected);
  }
  (await edge.next()).stream().end(event(chunk({ content: "Warm." }, "stop")) + DONE);
  const results = (await running).filter(({ role }) => role === "tool");
  assert.equal(results.length, told.length);
  for (const [at, { tool_call_id, content }] of results.entries()) {
    assert.equal(tool_call_id, "c");
    assert.match(content, told[at]);
  }
  assert.equal(said, "Warm.");
});
