// Every way to hold a request wrong, each with a secret in it. `plant` makes a secret that says what it is.
import { gzipSync } from "node:zlib";

/** Every member that some route reads, and some that one might think of. */
const MEMBERS = [
  ...["email", "password", "username", "code", "currentPassword", "newPassword", "user_id"],
  ...["id_token", "oid", "tid", "upn"],
  ...["access_token", "refresh_token", "token", "authorization", "secret", "api_key"],
  ...["privileges", "groups", "groupMemberships", "suspended", "status"],
  ...["name", "scopes", "expires_in_days"],
  ...["model", "messages", "prompt", "input", "stream", "tools", "user", "metadata"],
];

/** Every way to hold a body wrong, each with a secret of its own in it. */
export function* bodies(plant, limitBytes) {
  const all = (value) => JSON.stringify(Object.fromEntries(MEMBERS.map((member) => [member, value(member)])));
  const json = { "content-type": "application/json" };
  yield { body: all((member) => plant(member)) };
  yield { body: all((member) => [plant(`list of ${member}`)]) };
  yield { body: all((member) => ({ [plant(`name in ${member}`)]: plant(`value in ${member}`) })) };
  for (const member of MEMBERS) yield { body: JSON.stringify({ [member]: plant(`${member} alone`) }) };
  yield { body: JSON.stringify({ [plant("unknown member")]: 1 }) };
  yield { body: `{"password":"${plant("twice")}","password":"${plant("twice, again")}"}` };
  yield { body: `{"email":"a@example.com","password":"${plant("never closed")}` };
  yield { body: `{"email":${plant("not quoted")}}` };
  yield { body: `{"password":"${plant("bad escape")}\\x"}` };
  yield { body: JSON.stringify([plant("list")]) };
  yield { body: JSON.stringify(plant("text")) };
  yield { body: plant("not JSON"), headers: json };
  yield {
    body: Buffer.concat([Buffer.from(`{"password":"${plant("not UTF-8")}`), Buffer.from([0xff, 0x22, 0x7d])]),
  };
  yield { body: plant("plain text"), headers: { "content-type": "text/plain" } };
  yield {
    body: `password=${plant("form")}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  };
  yield { body: "{}", headers: { "content-type": `application/json; x=${plant("type")}` } };
  yield {
    body: gzipSync(JSON.stringify({ password: plant("compressed") })),
    headers: { ...json, "content-encoding": "gzip" },
  };
  yield { body: JSON.stringify({ password: plant("too large"), x: "x".repeat(limitBytes) }) };
}

/** Every place for a secret besides the body. */
export function* places(plant, path) {
  const query = ["token", "access_token", "password", "code", "email"].map(
    (name) => `${name}=${plant(name)}`,
  );
  yield { path: `${path}?${query.join("&")}` };
  yield { path: `${path}?${plant("bare query")}` };
  yield { path: `${path}/${plant("path")}` };
  yield { path: `${path}%00${plant("path behind a NUL")}` };
  const id = plant("request id");
  yield { path, headers: { "x-request-id": id }, may: [id] }; // The caller's own, given back.
  yield { path, headers: { "x-request-id": `${plant("bad request id")} "` } };
  const names = [
    "user-agent",
    "referer",
    "origin",
    "cookie",
    "x-client",
    "x-api-key",
    "x-service-token",
    "accept",
  ];
  yield { path, headers: Object.fromEntries(names.map((name) => [name, plant(name)])) };
  yield { path, headers: { [plant("name of a header")]: "1" } };
}

/** Credentials that are none. */
export function* credentials(plant, good) {
  yield `Bearer ${plant("token")}`;
  yield plant("no scheme");
  yield `${plant("scheme")} token`;
  yield `Basic ${Buffer.from(`ada:${plant("basic")}`).toString("base64")}`;
  yield `Bearer cmnd_${plant("personal id")}.sk_${plant("personal secret")}`;
  for (const token of good) yield `Bearer ${token}${plant("something behind")}`;
  yield `Bearer eyJhbGciOiJIUzI1NiJ9.${Buffer.from(`{"sub":"${plant("claim")}"}`).toString("base64url")}.c2ln`;
}
