import { Call, readOptions } from "./call.js";
import { CoMindError, asCoMindError, badParam } from "./error.js";
import { init } from "./runtime.js";
import { ChatStream } from "./stream.js";

export { CoMindError, init };

// Half a minute more than the edge itself waits for a backend, so that its own answer comes first.
const DEFAULTS = { timeout: 330_000, maxRetries: 2 };

/** A client of one edge; its members are described in index.d.ts. */
export class CoMind {
  #baseURL;
  #token;
  #defaults;
  /** The core's half, made when it is first needed: a constructor cannot wait for wasm. */
  #client = null;

  constructor({ baseURL, token, ...options } = {}) {
    this.#baseURL = readBaseURL(baseURL);
    if (token !== undefined && (typeof token !== "string" || token === ""))
      throw badParam("token", "`token` must be a string.");
    this.#token = token;
    this.#defaults = readOptions(options, DEFAULTS);
  }

  auth = {
    login: (credentials, options) =>
      this.#ask("Login", { body: () => toJSON(credentials, "credentials") }, options),
  };

  models = {
    list: (options) => this.#ask("Models", {}, options),
    retrieve: (id, options) => this.#ask("Model", { id: encodeURIComponent(id) }, options),
  };

  chat = {
    completions: {
      create: (params, options) =>
        this.#ask(params?.stream ? "Stream" : "Complete", { body: () => toJSON(params, "params") }, options),
    },
  };

  capabilities(options) {
    return this.#ask("Capabilities", {}, options);
  }

  health(options) {
    return this.#ask("Health", {}, options);
  }

  async #ask(verb, { id, body }, options) {
    let call;
    try {
      call = new Call(readOptions(options, this.#defaults));
      const json = body?.();
      const { core, memory } = await init();
      this.#client ??= new core.Client(this.#baseURL, this.#token);
      const answer = await this.#client.ask(core.Verb[verb], id, json, call);
      // A stream lives on, and its call with it.
      if (verb === "Stream") return new ChatStream(answer, call, { core, memory });
      call.close();
      return answer;
    } catch (thrown) {
      call?.close();
      throw asCoMindError(thrown);
    }
  }
}

/** `https://host/v1/` and `https://host` mean the same edge. */
function readBaseURL(baseURL) {
  const url = URL.canParse(baseURL) ? new URL(baseURL) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    throw badParam("baseURL", "`baseURL` must be an http(s) URL without credentials, query or fragment.");
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

function toJSON(value, param) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new CoMindError("The parameters cannot be written as JSON.", {
      code: "bad_request",
      status: 400,
      param,
      cause,
    });
  }
  if (text === undefined) throw badParam(param, `\`${param}\` must be an object.`);
  return text;
}
