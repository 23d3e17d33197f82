// The package as users get it: packed by npm, installed from the tarball.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL("../../pkg", import.meta.url));

/** Packs; gives the tarball's path and what npm says is in it. The folder goes when the test has ended. */
export async function pack(test) {
  const folder = await mkdtemp(join(tmpdir(), "co-mind-pack-"));
  test.after(() => rm(folder, { recursive: true, force: true }));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder, PACKAGE]);
  const report = JSON.parse(stdout);
  // npm 12 answers an object by package name where earlier ones answer a list.
  const [{ filename, files }] = Array.isArray(report) ? report : Object.values(report);
  return {
    path: join(folder, filename.replace(/^@/, "").replace("/", "-")),
    files: files.map(({ path }) => path),
  };
}

/** A new project with the tarball installed and these files in it. */
export async function makeProject(test, files = {}) {
  const { path } = await pack(test);
  const folder = await mkdtemp(join(tmpdir(), "co-mind-project-"));
  test.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", path], { cwd: folder });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** The installed package, imported by its name as Node finds it; and `memory`, which it keeps to itself. */
export async function importPackage(test, name = "@co-mind/client") {
  const folder = await makeProject(test, {
    "main.js":
      `export * from ${JSON.stringify(name)};\n` +
      `export { memory } from "./node_modules/@co-mind/client/runtime.js";\n`,
  });
  return import(pathToFileURL(join(folder, "main.js")));
}
