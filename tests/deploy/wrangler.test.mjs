// worker/wrangler.toml: accepted by wrangler, and the same worker that `make run` starts.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { unstable_readConfig as readConfig } from "wrangler";

import { SECRETS, SETTINGS } from "../../scripts/settings.mjs";
import { versions } from "../../scripts/versions.mjs";
import { COMPATIBILITY_FLAGS, OBJECTS } from "../../scripts/workerd-config.mjs";

const worker = fileURLToPath(new URL("../../worker", import.meta.url));
const config = readConfig({ config: join(worker, "wrangler.toml") }, { hideWarnings: true });

test("wrangler deploy --dry-run bundles the worker with its wasm", async () => {
  const out = await mkdtemp(join(tmpdir(), "deploy-"));
  try {
    const { stdout } = await promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", out], {
      cwd: worker,
      env: { ...process.env, CI: "true" },
    });
    for (const binding of [...Object.keys(OBJECTS), "ASSETS", "BACKENDS"]) {
      assert.match(stdout, new RegExp(`env\\.${binding}\\b`), stdout);
    }
    const files = await readdir(out);
    assert.ok(
      files.includes(basename(config.main)) && files.some((name) => name.endsWith(".wasm")),
      files.join(),
    );
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});

test("the compatibility date and flags are those of make run", () => {
  assert.equal(config.compatibility_date, versions.COMPATIBILITY_DATE);
  assert.deepEqual(config.compatibility_flags, COMPATIBILITY_FLAGS);
});

test("every object class is bound, and stores in SQLite", () => {
  assert.deepEqual(
    config.durable_objects.bindings.map(({ name, class_name }) => [name, class_name]),
    Object.entries(OBJECTS).map(([name, { className }]) => [name, className]),
  );
  assert.deepEqual(
    config.migrations.flatMap(({ new_sqlite_classes }) => new_sqlite_classes),
    Object.values(OBJECTS).map(({ className }) => className),
  );
});

test("its variables are settings, none of them secret", () => {
  for (const name of Object.keys(config.vars)) {
    assert.ok(SETTINGS.includes(name), `${name} is a setting`);
    assert.ok(!SECRETS.includes(name), `${name} is not a secret`);
  }
});
