// An OpenID provider with real keys, and everything that can be wrong with one.
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign as signWith } from "node:crypto";
import { once } from "node:events";
import http from "node:http";

const encode = (value) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const nowSecs = () => Math.floor(Date.now() / 1000);

/** A pair of keys with a name. */
export function makeKey(kid = randomUUID(), modulusLength = 2048) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength });
  return { kid, publicKey, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig" } };
}

/** A compact JWS with RS256, whatever its header says. Parts that are text already go in as they are. */
export function signRs256(header, claims, privateKey) {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${signWith("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
}

/** The same with HS256. */
export function signHs256(header, claims, secret) {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** What a public key looks like to whoever confuses it with a secret. */
export const publicPem = (key) => createPublicKey(key.privateKey).export({ type: "spki", format: "pem" });

/** One tenant: its keys, its users, what it publishes. */
class Tenant {
  /** Paths that were asked for, in order. */
  requests = [];
  /** What answers a request for one of the documents, when it is not the right one: `(response) => …`. */
  discovery = undefined;
  jwks = undefined;
  keys = [];

  constructor(authority) {
    this.tid = randomUUID();
    this.issuer = `${authority}/${this.tid}/v2.0`;
    this.jwksUri = `${authority}/${this.tid}/discovery/v2.0/keys`;
    this.rotate();
  }

  /** From now on there is one key, and no other. */
  rotate() {
    this.keys = [makeKey()];
    return this;
  }

  get key() {
    return this.keys[0];
  }

  /** How often the keys were asked for. */
  get fetches() {
    return this.requests.filter((path) => path.endsWith("/keys")).length;
  }

  get discoveryDocument() {
    return { issuer: this.issuer, jwks_uri: this.jwksUri, id_token_signing_alg_values_supported: ["RS256"] };
  }

  get jwksDocument() {
    // As Microsoft Entra ID does it, with more than anybody needs.
    const issuer = this.issuer.replace(this.tid, "{tenantid}");
    return { keys: this.keys.map(({ jwk }) => ({ ...jwk, x5c: ["AA=="], issuer })) };
  }

  /** What an ID token of this tenant says of somebody. */
  claims({ oid, upn }, audience, changes = {}) {
    const now = nowSecs();
    return {
      aud: audience,
      iss: this.issuer,
      iat: now,
      nbf: now,
      exp: now + 3600,
      name: "Somebody",
      oid,
      preferred_username: upn,
      sub: `sub of ${oid}`,
      tid: this.tid,
      ver: "2.0",
      ...changes,
    };
  }

  get header() {
    return { typ: "JWT", alg: "RS256", kid: this.key.kid };
  }

  /** An ID token. */
  token(user, audience, changes) {
    return signRs256(this.header, this.claims(user, audience, changes), this.key.privateKey);
  }

  answer(path, response) {
    this.requests.push(path);
    const isDiscovery = path === `/${this.tid}/v2.0/.well-known/openid-configuration`;
    const isJwks = path === `/${this.tid}/discovery/v2.0/keys`;
    if (isDiscovery) (this.discovery ?? sendJson(this.discoveryDocument))(response);
    else if (isJwks) (this.jwks ?? sendJson(this.jwksDocument))(response);
    else response.writeHead(404).end();
  }
}

/** Answers with this as JSON. */
export const sendJson =
  (value, { status = 200, type = "application/json; charset=utf-8", headers = {} } = {}) =>
  (response) =>
    response
      .writeHead(status, { "content-type": type, ...headers })
      .end(typeof value === "string" ? value : JSON.stringify(value));

class Provider {
  #server;
  #tenants = [];
  /** Requests for nothing that is published. */
  strays = [];

  constructor(server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${server.address().port}`;
    server.on("request", (request, response) => {
      request.resume();
      const tenant = this.#tenants.find(({ tid }) => request.url.startsWith(`/${tid}/`));
      if (tenant && request.method === "GET") tenant.answer(request.url, response);
      else {
        this.strays.push(`${request.method} ${request.url}`);
        response.writeHead(404).end();
      }
    });
  }

  makeTenant() {
    const tenant = new Tenant(this.url);
    this.#tenants.push(tenant);
    return tenant;
  }

  /** Every path that anybody asked for. */
  get requests() {
    return [...this.#tenants.flatMap(({ requests }) => requests), ...this.strays];
  }

  async close() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export async function startProvider() {
  const server = http.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return new Provider(server);
}
