// `make dist`: the edge as one archive for machines without Node, Rust or a compiler.
//
// target/dist/comind-edge-<version>-<platform>.tar.gz holds a folder with workerd, the worker, the console, the launcher,
// a systemd unit, a Containerfile, and what it is made of (sbom.cdx.json).
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { sbom } from "./sbom.mjs";
import { SETTINGS } from "./settings.mjs";
import { workerdConfig } from "./workerd-config.mjs";

const scripts = dirname(fileURLToPath(import.meta.url));
const root = join(scripts, "..");
const out = join(root, "target", "dist");
const version = /^version = "(.+)"$/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"))[1];
const platform = `linux-${process.arch === "arm64" ? "arm64" : "x64"}`;
const name = `comind-edge-${version}`;
const folder = join(out, name);

rmSync(folder, { recursive: true, force: true });
mkdirSync(join(folder, "bin"), { recursive: true });
const copy = (from, to) => cpSync(join(root, from), join(folder, to), { recursive: true });
cpSync(process.env.WORKERD_BIN, join(folder, "bin", "workerd"));
copy("worker/entry.js", "worker/entry.js");
copy("worker/build/index.js", "worker/build/index.js");
copy("worker/build/index_bg.wasm", "worker/build/index_bg.wasm");
copy("www/dist", "www");
copy("scripts/static.js", "scripts/static.js");
for (const file of ["comind-edge", "comind-edge.service", "edge.env", "Containerfile"])
  copy(`scripts/dist/${file}`, file);
for (const file of ["README.md", "CHANGELOG.md", "LICENSE"]) copy(file, file);
for (const file of ["operations.md", "security.md", "scale.md", "api.md", "grafana.json"])
  copy(`docs/${file}`, `docs/${file}`);
writeFileSync(join(folder, "VERSION"), `${version}\n`);
writeFileSync(join(folder, "sbom.cdx.json"), `${JSON.stringify(sbom(root, version), null, 1)}\n`);
writeFileSync(join(folder, "workerd.capnp"), config());
for (const program of ["bin/workerd", "comind-edge"]) chmodSync(join(folder, program), 0o755);

const archive = join(out, `${name}-${platform}.tar.gz`);
// The same bytes for the same content: names in order, no owner, one time.
execFileSync("bash", [
  "-c",
  'tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@0" -cf - -C "$1" "$2" | gzip -n -6 >"$3"',
  "-",
  out,
  name,
  archive,
]);
const bytes = readFileSync(archive);
const digest = createHash("sha256").update(bytes).digest("hex");
writeFileSync(`${archive}.sha256`, `${digest}  ${name}-${platform}.tar.gz\n`);
console.log(`${archive}: ${(bytes.length / 1e6).toFixed(1)} MB, sha256 ${digest}`);

/** Every setting is bound; the launcher adds the names that BACKENDS gives to keys, and says where the folders are. */
function config() {
  const text = workerdConfig({
    folder,
    root: folder,
    objectsDir: "objects",
    consoleDir: "www",
    port: 8787,
    bindings: SETTINGS,
  });
  // Found by the launcher's -I, wherever the configuration itself is written.
  const found = text.replaceAll('embed "', 'embed "/');
  const bindings = found.indexOf("bindings = [") + "bindings = [".length;
  return `${found.slice(0, bindings)}\n    # keys of backends${found.slice(bindings)}`;
}
