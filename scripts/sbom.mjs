// What the archive is made of, as CycloneDX 1.6: the crates in the wasm, workerd, and the console's packages.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const purl = (type, name, version) => `pkg:${type}/${name.replace("@", "%40")}@${version}`;

function component(type, { name, version, license }) {
  const reference = purl(type, name, version);
  return {
    type: "library",
    "bom-ref": reference,
    name,
    version,
    purl: reference,
    ...(license && { licenses: [{ expression: license.replaceAll("/", " OR ") }] }),
  };
}

/** The crates that the edge and the client are built from: normal dependencies, for wasm. */
function crates(root) {
  const text = execFileSync(
    "cargo",
    ["metadata", "--format-version", "1", "--locked", "--filter-platform", "wasm32-unknown-unknown"],
    { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 },
  );
  const { packages, resolve } = JSON.parse(text);
  const byId = new Map(packages.map((it) => [it.id, it]));
  const nodes = new Map(resolve.nodes.map((it) => [it.id, it]));
  const ours = packages.filter(({ name }) => ["comind-edge", "comind-client"].includes(name));
  const seen = new Set();
  const waiting = ours.map(({ id }) => id);
  while (waiting.length > 0) {
    const id = waiting.pop();
    if (seen.has(id)) continue;
    seen.add(id);
    for (const { pkg, dep_kinds } of nodes.get(id).deps)
      if (dep_kinds.some(({ kind }) => kind === null)) waiting.push(pkg);
  }
  return [...seen]
    .map((id) => byId.get(id))
    .filter(({ source }) => source)
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** What of an npm lock file is shipped. */
function packages(root, folder, isShipped) {
  const lock = JSON.parse(readFileSync(join(root, folder, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages)
    .filter(([path, it]) => path && isShipped(path.replace(/^.*node_modules\//, ""), it))
    .map(([path, { version, license }]) => ({
      name: path.replace(/^.*node_modules\//, ""),
      version,
      license,
    }));
}

export function sbom(root, version) {
  const workerd = packages(root, "tests", (name) => name === "workerd");
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": `comind-edge@${version}`,
        name: "comind-edge",
        version,
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components: [
      ...crates(root).map((it) => component("cargo", it)),
      ...workerd.map((it) => component("npm", it)),
      ...packages(root, "www", (_, { dev, link }) => !dev && !link).map((it) => component("npm", it)),
    ],
  };
}
