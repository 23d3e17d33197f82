// JSON Web Tokens of our own making, good and bad.
import { createHmac } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (part) => JSON.parse(Buffer.from(part, "base64url").toString());

/** `{ header, claims }` of a token, unverified. */
export function read(token) {
  const [header, claims] = token.split(".");
  return { header: decode(header), claims: decode(claims) };
}

/** An HS256 token. */
export function sign(claims, secret, header = { alg: "HS256", typ: "JWT" }) {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A token of the same header, with some claims changed, signed with this secret. */
export function changed(token, claims, secret) {
  const original = read(token);
  return sign({ ...original.claims, ...claims }, secret, original.header);
}

/** A token that says it needs no signature. */
export function unsigned(token, alg = "none") {
  const { header, claims } = read(token);
  return `${encode({ ...header, alg })}.${encode(claims)}.`;
}
