// Bundles the console into www/dist: static files with content-hashed names, their sizes on stdout.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const WWW = dirname(fileURLToPath(import.meta.url));
const DIST = join(WWW, "dist");
/** What a first visit may transfer, gzipped, the client package included. */
const BUDGET_BYTES = 150_000;

const { build } = createRequire(join(WWW, "../tests/package.json"))("esbuild");

if (!existsSync(join(WWW, "node_modules"))) fail("The console's packages are missing: run `make setup`.");
if (!existsSync(join(WWW, "node_modules/@co-mind/client/wasm"))) {
  fail("The client package is not built: run `make pkg`.");
}

rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST);
const assets = await bundle();
writePage(assets);
cpSync(join(WWW, "_headers"), join(DIST, "_headers"));
cpSync(join(WWW, "favicon.svg"), join(DIST, "favicon.svg"));
compress();
report();

/** Bundles scripts, styles and wasm into dist/assets; gives what each source file became. */
async function bundle() {
  const { metafile } = await build({
    absWorkingDir: WWW,
    entryPoints: { main: "src/main.js", console: "styles/console.css" },
    outdir: join(DIST, "assets"),
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    publicPath: "/assets",
    bundle: true,
    format: "esm",
    splitting: true, // the core as JavaScript is fetched only where there is no WebAssembly
    platform: "browser",
    target: ["chrome123", "firefox121", "safari17.5"],
    loader: { ".wasm": "file" },
    legalComments: "linked",
    minify: true,
    metafile: true,
    plugins: [wasmByUrl()],
    logLevel: "warning",
  });
  const urls = new Map();
  for (const [path, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
    const [source] = entryPoint ? [entryPoint] : Object.keys(inputs);
    if (source) urls.set(basename(source), `/assets/${basename(path)}`);
  }
  return urls;
}

/** What Vite and webpack do by themselves: `new URL("./x.wasm", import.meta.url)` names a file to ship. */
function wasmByUrl() {
  return {
    name: "wasm-by-url",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]pkg[\\/].*\.js$/ }, ({ path }) => {
        let imports = "";
        const contents = readFileSync(path, "utf8").replace(
          /new URL\((["'])((?:\.\/)?[^"']+\.wasm)\1, *import\.meta\.url\)/g,
          (_, __, file) => {
            const name = `wasmUrl${imports.length}`;
            imports += `import ${name} from "./${file.replace(/^\.\//, "")}";\n`;
            return `new URL(${name}, import.meta.url)`;
          },
        );
        return { contents: imports + contents, loader: "js" };
      });
    },
  };
}

/** index.html, its `{{main.js}}` replaced by what that file is called now. */
function writePage(urls) {
  const page = readFileSync(join(WWW, "index.html"), "utf8").replace(/\{\{(.+?)\}\}/g, (_, name) => {
    return urls.get(name) ?? fail(`index.html asks for ${name}, which the bundle does not have.`);
  });
  writeFileSync(join(DIST, "index.html"), page);
}

/** A `.gz` beside each file that it makes smaller; Cloudflare compresses by itself and is told to leave them. */
function compress() {
  for (const path of shipped()) {
    const bytes = readFileSync(join(DIST, path));
    const zipped = gzipSync(bytes, { level: 9 });
    if (zipped.length < bytes.length * 0.9) writeFileSync(join(DIST, `${path}.gz`), zipped);
  }
  writeFileSync(join(DIST, ".assetsignore"), "*.gz\n");
}

/** What a page is made of. */
function shipped() {
  return readdirSync(DIST, { recursive: true })
    .filter((path) => /\.(html|js|css|wasm|svg)$/.test(path))
    .sort();
}

function report() {
  let total = 0;
  for (const path of shipped()) {
    const bytes = readFileSync(join(DIST, path));
    const zipped = gzipSync(bytes, { level: 9 }).length;
    // Fetched only where there is no WebAssembly, which then is not.
    if (!basename(path).startsWith("core_asm")) total += zipped;
    console.log(
      `${path.padEnd(36)} ${String(bytes.length).padStart(8)} B  gzip ${String(zipped).padStart(7)} B`,
    );
  }
  console.log(
    `${"console, first visit".padEnd(36)} ${"".padStart(10)}  gzip ${String(total).padStart(7)} B of ${BUDGET_BYTES}`,
  );
  if (total > BUDGET_BYTES) fail("The console is over its budget.");
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
