// Users by the million, as they lie on the disk: what signing up would take hours for.
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** How many objects the directory is spread over (worker/src/storage/directory.rs). */
const DIRECTORIES = 256;

/**
 * Makes the storage in `dataDir`, whose edge is stopped, that of so many users more. Each object of the directory that
 * there is gets its share of their addresses and names; each user gets a file beside those of accounts, empty,
 * since only its own requests open it. Returns how many rows and files were made.
 */
export function grow(dataDir, users) {
  let rows = 0;
  let files = 0;
  for (const { path, tables } of databases(join(dataDir, "objects"))) {
    if (tables.has("address")) rows += fillDirectory(path, Math.ceil(users / DIRECTORIES));
    else if (tables.has("api_token") && files === 0) files = fillFolder(path, users);
  }
  if (rows === 0 || files === 0) throw new Error("There is no directory, or no account, to grow from.");
  return { rows, files };
}

function* databases(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".sqlite")) continue;
    const path = join(entry.parentPath, entry.name);
    const database = new DatabaseSync(path);
    const rows = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    database.close();
    yield { path, tables: new Set(rows.map(({ name }) => name)) };
  }
}

function fillDirectory(path, count) {
  const database = new DatabaseSync(path);
  const address = database.prepare("INSERT INTO address (key, user_id) VALUES (?, ?)");
  const user = database.prepare("INSERT INTO user (key) VALUES (?)");
  database.exec("BEGIN");
  for (let at = 0; at < count; at += 1) {
    address.run(
      createHash("sha256").update(`address ${at}`).digest("hex"),
      `user_${randomBytes(16).toString("hex")}`,
    );
    user.run(createHash("sha256").update(`user ${at}`).digest("hex"));
  }
  database.exec("COMMIT");
  database.close();
  return 2 * count;
}

function fillFolder(account, count) {
  const folder = join(account, "..");
  mkdirSync(folder, { recursive: true });
  const names = randomBytes(32 * count);
  for (let at = 0; at < count; at += 1)
    writeFileSync(join(folder, `${names.toString("hex", 32 * at, 32 * at + 32)}.sqlite`), "");
  return count;
}
