// Users, for the operator: `make user DO='…'`. Talks to the edge's own routes with the service token.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `make user DO='<command>', where a user is an e-mail address or an id:

  list                       all users
  create <email>             a new user; its password is printed, or taken from NEW_PASSWORD
  show <user>
  set <user>                 change what the options say
  suspend <user>             refuse everything of the user's until …
  resume <user>              … here
  password <user>            set a new password: printed, or taken from NEW_PASSWORD
  delete <user>              with sessions, tokens and data

options of create and set:
  --name 'Ann Lee'  --privileges admin,auditView  --groups main,research   (an empty list is '')

BASE_URL (http://localhost:8787) is the edge, SERVICE_TOKEN its service token; without one the token that
\`make run\` keeps in DATA_DIR (.data) is used.`;

const root = resolve(fileURLToPath(new URL(".", import.meta.url)), "..");
const baseURL = process.env.BASE_URL || "http://localhost:8787";

class Complaint extends Error {}

function serviceToken() {
  if (process.env.SERVICE_TOKEN) return process.env.SERVICE_TOKEN;
  const file = resolve(root, process.env.DATA_DIR || ".data", "service-token");
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new Complaint(`Set SERVICE_TOKEN: ${file} cannot be read.`);
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(new URL(path, baseURL), {
      method,
      headers: { authorization: `Bearer ${serviceToken()}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof Complaint) throw error;
    throw new Complaint(`The edge does not answer at ${baseURL}.`);
  }
  const answer = response.status === 204 ? undefined : await response.json();
  if (!response.ok) throw new Complaint(answer.error.message);
  return answer;
}

async function find(user) {
  if (!user) throw new Complaint("Which user? An e-mail address or an id.");
  if (user.startsWith("user_")) return call("GET", `/v1/auth/admin/users/${encodeURIComponent(user)}`);
  const { data } = await call("GET", `/v1/auth/admin/users?email=${encodeURIComponent(user)}`);
  if (!data.length) throw new Complaint("There is no such user.");
  return data[0];
}

const show = (user) => console.log(JSON.stringify(user, null, 2));
const names = (list) =>
  list
    ?.split(",")
    .map((name) => name.trim())
    .filter(Boolean);

/** A password from NEW_PASSWORD, or one that is printed this once. */
function choosePassword() {
  if (process.env.NEW_PASSWORD) return process.env.NEW_PASSWORD;
  const password = randomBytes(15).toString("base64url");
  console.log(`password ${password}`);
  return password;
}

const commands = {
  async list() {
    for (let after; ;) {
      const query = new URLSearchParams({ limit: 100, ...(after && { after }) });
      const page = await call("GET", `/v1/auth/admin/users?${query}`);
      for (const { id, email, privileges, suspended } of page.data) {
        console.log([id, email, privileges.join(",") || "-", suspended ? "suspended" : "active"].join("\t"));
      }
      if (!page.has_more) return;
      after = page.data.at(-1).id;
    }
  },
  async create(email, changes) {
    if (!email) throw new Complaint("Which address?");
    show(await call("POST", "/v1/auth/admin/users", { email, password: choosePassword(), ...changes }));
  },
  async show(user) {
    show(await find(user));
  },
  async set(user, changes) {
    show(await call("PATCH", `/v1/auth/admin/users/${(await find(user)).id}`, changes));
  },
  suspend: (user) => commands.set(user, { suspended: true }),
  resume: (user) => commands.set(user, { suspended: false }),
  async password(user) {
    const { id } = await find(user);
    await call("POST", "/v1/auth/admin/set-password", { user_id: id, newPassword: choosePassword() });
  },
  async delete(user) {
    await call("DELETE", `/v1/auth/users/${(await find(user)).id}`);
    console.log("deleted");
  },
};

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { name: { type: "string" }, privileges: { type: "string" }, groups: { type: "string" } },
  });
  const [command, user] = positionals;
  if (!Object.hasOwn(commands, command ?? "")) throw new Complaint(USAGE);
  const changes = {
    username: values.name,
    privileges: names(values.privileges),
    groupMemberships: names(values.groups),
  };
  await commands[command](user, changes);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
