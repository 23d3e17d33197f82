import { badParam, failure } from "./error.js";
import { init, renew_at_ms } from "./runtime.js";

// Waiting longer for another page's renewal is no use: the edge gives the same pair twice for ten seconds, so that
// renewing beside it does no harm.
const LOCK_PATIENCE_MS = 8000;

// How long a page says that it has renewed, and how long another waits to see it, looking so often.
const MARK_MS = 10_000;
const STALE_MS = 2000;
const LOOK_MS = 10;

const PERSONAL = "cmnd_";

/** A token that stays the same. */
export class FixedToken {
  #token;

  constructor(token, mayBePersonal) {
    refusePersonal(token, mayBePersonal);
    this.#token = token;
  }

  async current() {
    return this.#token;
  }

  async renewAfter() {
    return false;
  }
}

/** Tokens that a function of the caller's gives: asked for when there is none, when one is about to end, and after a 401. */
export class TokenSource {
  #ask;
  #mayBePersonal;
  #token = null;
  #renewAt = 0;
  #asking = null;

  constructor(ask, mayBePersonal) {
    this.#ask = ask;
    this.#mayBePersonal = mayBePersonal;
  }

  async current() {
    if (this.#token === null || Date.now() >= this.#renewAt) await this.#renew();
    return this.#token;
  }

  async renewAfter(stale) {
    if (this.#token === stale) await this.#renew();
    return this.#token !== stale;
  }

  #renew() {
    this.#asking ??= this.#fetch().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #fetch() {
    const token = await this.#ask();
    if (typeof token !== "string" || token === "")
      throw badParam("token", "The `token` function must give a string.");
    refusePersonal(token, this.#mayBePersonal);
    const expiresAt = expiryOf(token);
    // A clock that is wrong costs a call of the function, not a failure.
    if (expiresAt !== null) await init();
    const receivedAt = Date.now();
    this.#renewAt =
      expiresAt === null ? Infinity : renew_at_ms(receivedAt, Math.max(0, expiresAt - receivedAt) / 1000);
    this.#token = token;
  }
}

/**
 * The tokens of a sign-in: renewed ahead of their end, once for all calls and, with a storage that pages share, once
 * for all pages.
 */
export class Session {
  #storage;
  #refresh;
  #text = null;
  #session = null;
  #renewing = null;
  #listeners = new Set();

  /** `refresh(refreshToken)` gives the answer of `/v1/auth/refresh`. */
  constructor(storage, refresh) {
    this.#storage = storage;
    this.#refresh = refresh;
    storage.subscribe?.(() => this.read().then(this.#tell, () => {}));
  }

  /** Calls back with each session that begins or is renewed, and with null when it ends. */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell = (session) => {
    for (const listener of this.#listeners) listener(session && { user: session.user });
  };

  async current() {
    const session = await this.read();
    if (session === null) return null;
    const now = Date.now();
    if (now < session.renewAt) return session.access;
    const renewed = this.#renew(session.access);
    if (now < session.expiresAt) {
      // The old one is still good: nobody waits. If this renewal fails, a later call tries again.
      renewed.catch(() => {});
      return session.access;
    }
    return (await renewed)?.access ?? null;
  }

  async renewAfter(stale) {
    const renewed = await this.#renew(stale).catch((error) => {
      // The session has ended: the caller hears why its own call failed.
      if (error.status === 401 || error.status === 403) return null;
      throw error;
    });
    return renewed !== null && renewed.access !== stale;
  }

  /** Renews now, whatever the time. */
  async renew() {
    const session = await this.read();
    if (session === null) throw failure("unauthorized", "There is no session to renew: sign in first.");
    const renewed = await this.#renew(session.access);
    if (renewed === null) throw failure("unauthorized", "The session has ended: sign in again.");
    return renewed;
  }

  #renew(stale) {
    this.#renewing ??= this.#alone((locks) => this.#buyNext(stale, locks)).finally(
      () => (this.#renewing = null),
    );
    return this.#renewing;
  }

  /** Holds the lock that all pages of this storage share, where the platform has one. */
  async #alone(work) {
    const { name } = this.#storage;
    const locks = globalThis.navigator?.locks;
    if (!name || !locks) return work(null);
    let isMine = false;
    try {
      const signal = AbortSignal.timeout(LOCK_PATIENCE_MS);
      return await locks.request(lockOf(name), { signal }, () => {
        isMine = true;
        return work(locks);
      });
    } catch (error) {
      if (isMine) throw error;
      return work(null);
    }
  }

  async #buyNext(stale, locks) {
    let session = await this.read();
    const { renewAt } = session ?? {};
    // Browsers do not promise that a page sees at once what another one has stored: a lock tells, which they share.
    if (session?.access === stale && (await isMarked(locks, this.#storage.name, renewAt)))
      session = await this.#readUntilNot(stale);
    // Another page was faster, or signed out.
    if (session === null || session.access !== stale) return session;
    try {
      const renewed = await this.keep(await this.#refresh(session.refresh), session);
      await mark(locks, this.#storage.name, renewAt);
      return renewed;
    } catch (error) {
      if (error.status === 401 || error.status === 403) await this.end();
      throw error;
    }
  }

  async #readUntilNot(stale) {
    let session;
    for (let waitedMs = 0; waitedMs < STALE_MS; waitedMs += LOOK_MS) {
      session = await this.read();
      if (session?.access !== stale) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return session;
  }

  /** Keeps the tokens of an answer of the form `{access_token, refresh_token, expires_in, user}`. */
  async keep({ access_token: access, refresh_token: refresh, expires_in: lifetimeSecs, user }, before) {
    if (![access, refresh].every((token) => typeof token === "string" && token) || !(lifetimeSecs > 0))
      throw failure("response_malformed", "The answer has no tokens.");
    await init();
    const receivedAt = Date.now();
    const session = {
      access,
      refresh,
      renewAt: renew_at_ms(receivedAt, lifetimeSecs),
      expiresAt: receivedAt + lifetimeSecs * 1000,
      user: { ...before?.user, ...user },
    };
    await this.#storage.set(JSON.stringify(session));
    this.#tell(session);
    return session;
  }

  async end() {
    await this.#storage.remove();
    this.#tell(null);
  }

  /** The session as the storage has it now: another page may have renewed or ended it. */
  async read() {
    const text = (await this.#storage.get()) ?? null;
    if (text === this.#text) return this.#session;
    let session = null;
    try {
      session = JSON.parse(text);
    } catch {}
    this.#text = text;
    this.#session = typeof session?.access === "string" ? session : null;
    return this.#session;
  }
}

const lockOf = (name, renewAt = "") => `co-mind:${name}:${renewAt}`;

/** Says to all pages, for a while, that the session which was to be renewed at this time has been. */
async function mark(locks, name, renewAt) {
  if (locks === null) return;
  await new Promise((resolve) => {
    const hold = () => {
      resolve();
      return new Promise((end) => setTimeout(end, MARK_MS)?.unref?.());
    };
    locks.request(lockOf(name, renewAt), { ifAvailable: true }, hold).catch(resolve);
  });
}

async function isMarked(locks, name, renewAt) {
  const { held = [] } = (await locks?.query()) ?? {};
  return held.some((lock) => lock.name === lockOf(name, renewAt));
}

/** Whoever can open a page can read what is in it. */
function refusePersonal(token, mayBePersonal) {
  if (mayBePersonal || !token.startsWith(PERSONAL) || !isPage()) return;
  throw badParam(
    "token",
    "A personal access token in a page belongs to whoever opens it. Sign the user in, give a function that fetches a short-lived token, or set `dangerouslyAllowBrowser: true`.",
  );
}

/** A page, or a worker of one: servers have neither a document nor a location. */
function isPage() {
  return "document" in globalThis || (typeof location === "object" && !("Deno" in globalThis));
}

/** When a JWT ends, in Unix milliseconds; null for any other token. */
function expiryOf(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    return claims.exp > 0 ? claims.exp * 1000 : null;
  } catch {
    return null;
  }
}
