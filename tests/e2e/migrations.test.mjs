// Data of every earlier version is taken over; that of a later one is left alone.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";

import { assertFailure, EMAIL, openScene } from "./scene.mjs";
import { changed } from "./tokens.mjs";

/** Class of object by folder: where its schema stands. */
const CLASSES = {
  "comind-account": "account/mod.rs",
  "comind-directory": "directory.rs",
  "comind-throttle": "throttle.rs",
};

/** The steps of a schema, as the source has them: one for each version. */
function stepsOf(file) {
  const source = readFileSync(new URL(`../../worker/src/storage/${file}`, import.meta.url), "utf8");
  const list = /const SCHEMA: &\[&str\] = &\[(.*?)\n\];/s.exec(source)[1].replace(/^\s*\/\/.*$/gm, "");
  return Array.from(list.matchAll(/"(.*?)"/gs), ([, step]) => step);
}

const steps = Object.fromEntries(Object.entries(CLASSES).map(([folder, file]) => [folder, stepsOf(file)]));
const newest = Math.max(...Object.values(steps).map(({ length }) => length));

/** Does something with every object's tables. */
function forEachDatabase(scene, work) {
  let count = 0;
  for (const folder of Object.keys(CLASSES)) {
    const path = join(scene.dataDir, "objects", folder);
    for (const file of readdirSync(path).filter(
      (name) => name.endsWith(".sqlite") && name !== "metadata.sqlite",
    )) {
      const database = new DatabaseSync(join(path, file));
      const has = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").get();
      if (has) {
        work(database, folder);
        count += 1;
      }
      database.close();
    }
  }
  assert.ok(count >= 3, `${count} objects with tables`);
}

const columnsOf = (database, table) =>
  database
    .prepare(`SELECT name FROM pragma_table_info(?)`)
    .all(table)
    .map(({ name }) => name);

/** Makes the tables what they would be if an edge of that version had written the same facts. */
function turnBack(database, folder, version) {
  const tables = database
    .prepare(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
    )
    .all()
    .map(({ name }) => name);
  const facts = tables.map((table) => [table, database.prepare(`SELECT * FROM ${table}`).all()]);
  for (const table of tables) database.exec(`DROP TABLE ${table}`);
  database.exec("CREATE TABLE schema_version (version INTEGER NOT NULL)");
  for (const step of steps[folder].slice(0, version)) database.exec(step);
  for (const [table, rows] of facts) {
    if (table === "schema_version") continue;
    const columns = columnsOf(database, table);
    for (const row of rows) {
      const values = columns.map((name) => row[name] ?? null);
      const places = columns.map(() => "?").join(", ");
      database.prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`).run(...values);
    }
  }
  database.prepare("INSERT INTO schema_version VALUES (?)").run(Math.min(version, steps[folder].length));
}

const versionsIn = (scene) => {
  const versions = [];
  forEachDatabase(scene, (database, folder) => {
    versions.push([folder, database.prepare("SELECT version FROM schema_version").get().version]);
  });
  return versions;
};

test("the schemas are read from the source", () => {
  for (const [folder, list] of Object.entries(steps)) {
    assert.ok(list.length >= 2, folder);
    const database = new DatabaseSync(":memory:");
    for (const step of list) database.exec(step);
    database.close();
  }
});

for (let version = 1; version < newest; version += 1) {
  describe(`data of version ${version}`, () => {
    let scene;
    after(() => scene?.abandon());

    test("is taken over", async () => {
      scene = await openScene({ settings: { LOGIN_FREE_FAILURES: "2", LOGIN_MAX_DELAY_SECS: "60" } });
      const caller = await scene.signIn();
      const { refresh_token } = scene.login;
      const token = await scene.makeToken(caller, ["models:read"]);
      const revoked = await scene.makeToken(caller, ["models:read"]);
      await caller.delete(`/v1/api-tokens/${revoked.id}`);
      const wrong = { email: "guessed@example.com", password: "wrong" };
      for (let at = 0; at < 2; at += 1) await scene.anonymous.post("/v1/auth/login", wrong);
      await scene.stop();
      forEachDatabase(scene, (database, folder) => {
        turnBack(database, folder, version);
        if (folder === "comind-account" && version === 1) {
          // The first version had users without organization and without a name.
          database.exec("UPDATE user SET groups = ''");
          assert.ok(!columnsOf(database, "user").includes("username"));
        }
      });
      await scene.start();
      const now = ({ token }) => scene.anonymous.as(token);
      assertFailure(await scene.anonymous.post("/v1/auth/login", wrong), 429, "rate_limited");
      // Its tokens named no generation.
      const old = changed(refresh_token, { gen: undefined }, scene.settings.JWT_SECRET);
      assert.equal((await scene.anonymous.post("/v1/auth/refresh", { refresh_token: old })).status, 200);
      assert.equal((await now(caller).get("/v1/models")).status, 200);
      assert.equal((await now(token).get("/v1/models")).status, 200);
      assertFailure(await now(revoked).get("/v1/models"), 401, "token_revoked");
      const me = (await (await scene.signIn()).get("/v1/auth/me")).json;
      assert.deepEqual([me.email, me.username, me.groupMemberships], [EMAIL, "ada", ["main"]]);
      assert.equal(
        (await now(caller).post("/v1/api-tokens", { name: "new", scopes: ["chat:write"] })).status,
        201,
      );
    });

    test("is of the newest version afterwards", async () => {
      await scene.stop({ abruptly: true });
      const versions = versionsIn(scene).filter(([folder]) => folder === "comind-account");
      assert.ok(
        versions.some(([folder, found]) => found === steps[folder].length),
        JSON.stringify(versions),
      );
      await scene.start();
      assert.equal((await scene.signIn()).token.length > 0, true);
      await scene.close();
      scene = null;
    });
  });
}

test("data of a later version is refused and left as it is", async () => {
  const scene = await openScene({});
  const caller = await scene.signIn();
  await scene.stop();
  forEachDatabase(scene, (database) => database.exec("UPDATE schema_version SET version = 99"));
  await scene.start();
  for (const answer of [
    await scene.anonymous.as(caller.token).get("/v1/models"),
    await scene.anonymous.post("/v1/auth/login", { email: EMAIL, password: "wrong" }),
  ]) {
    assertFailure(answer, 500, "internal_error", "server_error");
  }
  assert.match(scene.edge.log(), /newer version of the edge/);
  await scene.stop();
  for (const [, version] of versionsIn(scene)) assert.equal(version, 99);
  await scene.start();
  await scene.close();
});
