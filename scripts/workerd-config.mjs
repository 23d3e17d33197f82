// What workerd is told: the edge, its objects on disk, the console beside it, one socket.
import { join, relative } from "node:path";
import { versions } from "./versions.mjs";

/** Durable Object classes by binding. A class's key names its folder on disk: it never changes. */
export const OBJECTS = {
  ACCOUNTS: { className: "Account", uniqueKey: "comind-account" },
  DIRECTORIES: { className: "Directory", uniqueKey: "comind-directory" },
  THROTTLES: { className: "Throttle", uniqueKey: "comind-throttle" },
  AUDIT: { className: "Audit", uniqueKey: "comind-audit" },
};

/** Whether the wrangler.toml beside the worker asks for more than the defaults of the date. */
export const COMPATIBILITY_FLAGS = [];

// Cap'n Proto's text form has C's escapes; JSON's are among them, but for \u.
const text = (value) => JSON.stringify(value).replace(/\\u00([0-9a-f]{2})/g, "\\x$1");
const list = (items) => `[${items.map((item) => `\n    ${item},`).join("")}\n  ]`;

/**
 * The configuration as text, for a file in `folder`: `embed` takes paths relative to it.
 *
 * No value of a setting is in the text: each is read from workerd's own environment, which only its
 * user can look into. `isolates` edges share one storage, each on a socket of its own (`http`, `http-2`, …); `entries` are
 * modules that stand before the edge's own, each as `[name, path]`; the first is where the runtime enters.
 */
export function workerdConfig({
  folder,
  root,
  objectsDir,
  consoleDir,
  port,
  bindings,
  trustedCertificates = [],
  isolates = 1,
  entries = [],
}) {
  const embed = (...path) => `embed ${text(relative(folder, join(root, ...path)))}`;
  const module = (name, kind) => `(name = ${text(name)}, ${kind} = ${embed("worker", ...name.split("/"))})`;
  const modules = [
    ...entries.map(([name, path]) => `(name = ${text(name)}, esModule = ${embed(...path.split("/"))})`),
    module("entry.js", "esModule"),
    module("build/index.js", "esModule"),
    module("build/index_bg.wasm", "wasm"),
  ];
  const edgeBindings = (namespaceOf) => [
    ...bindings.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
    ...Object.entries(OBJECTS).map(
      ([name, { className }]) =>
        `(name = ${text(name)}, durableObjectNamespace = ${namespaceOf(text(className))})`,
    ),
    ...(consoleDir ? ['(name = "ASSETS", service = "console")'] : []),
  ];
  const others = Array.from({ length: isolates - 1 }, (_, at) => at + 2);
  const namespaces = Object.values(OBJECTS).map(
    ({ className, uniqueKey }) =>
      `(className = ${text(className)}, uniqueKey = ${text(uniqueKey)}, enableSql = true)`,
  );
  const services = [
    '(name = "edge", worker = .edge)',
    ...others.map((at) => `(name = "edge-${at}", worker = .other)`),
    // Inference servers stand on this machine or near it.
    `(name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true, trustedCertificates = [${trustedCertificates.map(text).join(", ")}])))`,
    `(name = "objects", disk = (path = ${text(objectsDir)}, writable = true))`,
    ...(consoleDir
      ? ['(name = "console", worker = .console)', `(name = "files", disk = (path = ${text(consoleDir)}))`]
      : []),
  ];
  const date = `compatibilityDate = ${text(versions.COMPATIBILITY_DATE)}`;
  const sockets = ["http", ...others.map((at) => `http-${at}`)].map(
    (name, at) =>
      `(name = "${name}", address = "127.0.0.1:${at ? 0 : port}", http = (), service = "${name.replace("http", "edge")}")`,
  );
  const worker = (name, namespaceOf, objects) => `
const ${name} :Workerd.Worker = (
  ${date},
  compatibilityFlags = [${COMPATIBILITY_FLAGS.map(text).join(", ")}],
  modules = ${list(modules)},
  bindings = ${list(edgeBindings(namespaceOf))},
${objects});
`;
  const objects = `  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = "objects"),
`;
  const consoleWorker = `
const console :Workerd.Worker = (
  ${date},
  modules = [ (name = "static.js", esModule = ${embed("scripts", "static.js")}) ],
  bindings = [ (name = "FILES", service = "files") ],
);
`;
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = ${list(services)},
  sockets = ${list(sockets)},
);
${worker("edge", (className) => className, objects)}${
    others.length
      ? worker("other", (className) => `(className = ${className}, serviceName = "edge")`, "")
      : ""
  }${consoleDir ? consoleWorker : ""}`;
}
