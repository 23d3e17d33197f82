import { Call, DEFAULTS, readOptions } from "./call.js";
import { asCoMindError, badParam, failure } from "./error.js";
import { readJSON, send } from "./request.js";
import { init } from "./runtime.js";
import { memoryStorage } from "./storage.js";
import { AnswerStream, openStream } from "./stream.js";
import { FixedToken, Session, TokenSource } from "./tokens.js";

export * from "./error.js";
export { init } from "./runtime.js";
export * from "./storage.js";

/** A client of one edge; its members are described in index.d.ts. */
export class CoMind {
  #baseURL;
  #defaults;
  #session;
  /** Who gives the token of a call: what the constructor was given, until somebody signs in. */
  #tokens;

  constructor({ baseURL, token, storage, dangerouslyAllowBrowser, ...options } = {}) {
    this.#baseURL = readBaseURL(baseURL);
    this.#defaults = readOptions(options, DEFAULTS);
    this.#session = new Session(storage ?? memoryStorage(), (refresh_token) =>
      this.#ask("Refresh", { body: { refresh_token } }),
    );
    if (typeof token === "function") this.#tokens = new TokenSource(token, dangerouslyAllowBrowser);
    else if (typeof token === "string" && token)
      this.#tokens = new FixedToken(token, dangerouslyAllowBrowser);
    else if (token === undefined) this.#tokens = this.#session;
    else throw badParam("token", "`token` must be a string or a function that gives one.");
  }

  auth = {
    login: (credentials, options) => this.#signIn("Login", credentials, options),
    sso: (claims, options) => this.#signIn("Sso", claims, options),
    confirm: (code, options) => this.#signIn("Confirm", code, options),
    refresh: async () => ({ user: (await ours(this.#session.renew())).user }),
    logout: (options) => this.#signOut(options),
    session: async () => {
      const session = await ours(this.#session.read());
      return session && { user: session.user };
    },
    onChange: (listener) => this.#session.onChange(listener),
    me: (options) => this.#ask("Me", {}, options),
    checkRegistration: (email, options) =>
      this.#ask("CheckRegistration", { query: `?email=${encodeURIComponent(email)}` }, options),
    register: (account, options) => this.#ask("Register", { body: account }, options),
    changePassword: (passwords, options) => this.#ask("ChangePassword", { body: passwords }, options),
    requestPasswordReset: (account, options) => this.#ask("RequestPasswordReset", { body: account }, options),
    resetPassword: (reset, options) => this.#ask("ResetPassword", { body: reset }, options),
  };

  apiTokens = {
    scopes: (options) => this.#ask("ApiTokenScopes", {}, options),
    create: (token, options) => this.#ask("CreateApiToken", { body: token }, options),
    list: (options) => this.#ask("ApiTokens", {}, options),
    rotate: (id, options) => this.#ask("RotateApiToken", { id }, options),
    revoke: (id, options) => this.#ask("RevokeApiToken", { id }, options),
  };

  models = {
    list: (options) => this.#ask("Models", {}, options),
    retrieve: (id, options) => this.#ask("Model", { id }, options),
  };

  backends = {
    list: (options) => this.#ask("Backends", {}, options),
    health: (options) => this.#ask("BackendsHealth", {}, options),
  };

  chat = {
    completions: {
      create: (params, options) => this.#create("ChatCompletions", params, options),
      stream: (params, options) => this.#stream("ChatCompletions", params, options),
    },
  };

  completions = {
    create: (params, options) => this.#create("Completions", params, options),
    stream: (params, options) => this.#stream("Completions", params, options),
  };

  embeddings = {
    create: (params, options) => this.#ask("Embeddings", { body: params }, options),
  };

  capabilities(options) {
    return this.#ask("Capabilities", {}, options);
  }

  health(options) {
    return this.#ask("Health", {}, options);
  }

  async #ask(name, { body, ...request }, options) {
    let call;
    try {
      call = new Call(readOptions(options, this.#defaults));
      const json = body === undefined ? undefined : toJSON(body);
      const response = await send(this.#baseURL, name, { ...request, json }, call, this.#tokens);
      return await readJSON(response, call);
    } catch (thrown) {
      throw asCoMindError(thrown);
    } finally {
      call?.close();
    }
  }

  async #signIn(name, body, options) {
    const answer = await this.#ask(name, { body: body ?? null }, options);
    await ours(this.#session.keep(answer));
    this.#tokens = this.#session;
    return answer;
  }

  /** The session ends here in any case; the server is told so that its tokens die. */
  async #signOut(options) {
    const session = await ours(this.#session.read());
    if (session === null) return;
    await ours(this.#session.end());
    await this.#ask(
      "Logout",
      { body: { access_token: session.access, refresh_token: session.refresh } },
      options,
    );
  }

  async #create(name, params, options) {
    if (!params?.stream) return this.#ask(name, { body: params ?? null }, options);
    const stream = this.#stream(name, params, options);
    await stream[openStream]();
    return stream;
  }

  #stream(name, params, options) {
    const call = new Call(readOptions(options, this.#defaults));
    const json = toJSON({ ...params, stream: true });
    // The core is loaded while the request is on its way.
    init().catch(() => {});
    return new AnswerStream(send(this.#baseURL, name, { json }, call, this.#tokens), call);
  }
}

/** What a storage of the caller's throws is wrapped as well. */
function ours(promise) {
  return promise.catch((thrown) => {
    throw asCoMindError(thrown);
  });
}

/** `https://host/v1/` and `https://host` mean the same edge. */
function readBaseURL(baseURL) {
  let url = null;
  try {
    url = new URL(baseURL);
  } catch {}
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    throw badParam("baseURL", "`baseURL` must be an http(s) URL without credentials, query or fragment.");
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

function toJSON(params) {
  let text;
  try {
    text = JSON.stringify(params);
  } catch (cause) {
    throw failure("bad_request", "The parameters cannot be written as JSON.", { param: "params", cause });
  }
  if (typeof params !== "object" || params === null || text === undefined)
    throw badParam("params", "The parameters must be an object.");
  return text;
}
