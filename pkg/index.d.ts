/** A client of a co-mind edge. Wire shapes keep the names of the wire; everything else is camelCase. */

/** Where the edge is and how to call it. */
export interface CoMindOptions extends CallOptions {
  /** `https://host`; a path before `/v1` is kept, `/v1` itself and a slash at the end may stand or not. */
  baseURL: string;
  /** A personal access token (`cmnd_…`) or an access token. Kept in memory; `auth.login` replaces it. */
  token?: string;
  /** Used instead of the platform's: `env.EDGE.fetch.bind(env.EDGE)` for a service binding of a Worker. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What may be set for the client and, but for `signal`, overridden by each call. */
export interface CallOptions {
  /**
   * How long the server may be silent, in milliseconds: until it answers, and between two pieces of an answer.
   * Default 330 000, 0 for no limit, at most 2 147 483 647. A slow reader is not a silent server.
   */
  timeout?: number;
  /** How often a call is sent again after a failure that may pass, 0–10; only before an answer begins. Default 2. */
  maxRetries?: number;
}

/** What a single call takes besides its parameters. */
export interface RequestOptions extends CallOptions {
  /** Ends the call and closes its connection; it then fails with code `aborted`. */
  signal?: AbortSignal | null;
}

/** A client of one edge. Costs nothing until its first call, which loads the wasm. */
export class CoMind {
  /** @throws {CoMindError} `bad_request` for an option that cannot be meant. */
  constructor(options: CoMindOptions);

  auth: {
    /** Signs in; the calls that follow are made as this user. Never tried again after a refusal. */
    login(credentials: Credentials, options?: RequestOptions): Promise<Login>;
  };

  models: {
    /** The models that can answer now. Scope `models:read`. */
    list(options?: RequestOptions): Promise<List<Model>>;
    /** One model. Scope `models:read`. */
    retrieve(id: string, options?: RequestOptions): Promise<Model>;
  };

  chat: {
    completions: {
      /**
       * Asks a model. Scope `chat:write`.
       *
       * With `stream: true` the answer is iterated: `for await (const chunk of stream)`.
       * The edge checks the parameters that it knows; all others reach the backend as they are.
       */
      create(params: ChatParams & { stream: true }, options?: RequestOptions): Promise<ChatStream>;
      create(
        params: ChatParams & { stream?: false | null },
        options?: RequestOptions,
      ): Promise<ChatCompletion>;
      create(params: ChatParams, options?: RequestOptions): Promise<ChatCompletion | ChatStream>;
    };
  };

  /** What each backend and model can do. Scope `models:read`. */
  capabilities(options?: RequestOptions): Promise<List<BackendCapabilities>>;

  /** Whether the edge is up. Needs no token. */
  health(options?: RequestOptions): Promise<{ status: string }>;
}

/**
 * Loads the wasm ahead of the first call. Without `source` from where the platform's entry finds it; the `slim` entry
 * needs one. The first successful load counts, whoever asked for it.
 */
export function init(source?: WasmSource | Promise<WasmSource>): Promise<unknown>;

export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

/** An answer on its way. Iterate it, or have it added up; leaving the loop closes the connection. */
export interface ChatStream extends AsyncIterableIterator<ChatChunk> {
  /** The edge's name for the request. */
  readonly requestId: string | null;
  /** Ends the answer and closes the connection; the iteration then throws code `aborted`. */
  abort(): void;
  /** Reads what is left and gives the whole answer as if it had not been streamed. */
  finalCompletion(): Promise<ChatCompletion>;
  /** The message of the first choice of `finalCompletion()`. */
  finalMessage(): Promise<ChatCompletion["choices"][number]["message"]>;
}

/** Everything that can go wrong. A program branches on `code`; `message` is a sentence for a person. */
export class CoMindError extends Error {
  constructor(message: string, details: { code: ErrorCode; cause?: unknown } & Partial<CoMindError>);
  /** `CoMindError`; `AbortError` when the call was aborted, as `fetch` calls it. */
  name: "CoMindError" | "AbortError";
  code: ErrorCode;
  /** The HTTP status of the answer; the code's own where there was none, 0 if it has none. */
  status: number;
  /** The edge's name for the request (`x-request-id`), to find it in the logs. */
  requestId: string | null;
  /** How long the server asks to wait before the next try, in milliseconds. */
  retryAfterMs: number | null;
  /** The parameter at fault, in dotted form: `messages.0.role`. */
  param: string | null;
  /** The scope that the token lacks, with `insufficient_scope`. */
  requiredScope?: string;
  /** What had arrived of the answer, when a stream failed in its middle. */
  partial?: ChatCompletion;
  /** The platform's own error, where there is one. */
  cause?: unknown;
}

export type ErrorCode =
  | "bad_request"
  | "invalid_code"
  | "unauthorized"
  | "token_expired"
  | "token_revoked"
  | "invalid_credentials"
  | "email_not_confirmed"
  | "account_suspended"
  | "insufficient_scope"
  | "pat_not_allowed"
  | "admin_scopes_required"
  | "plan_required"
  | "not_found"
  | "model_not_found"
  | "method_not_allowed"
  | "capability_not_supported"
  | "duplicate"
  | "token_limit_reached"
  | "request_too_large"
  | "headers_too_large"
  | "unsupported_media_type"
  | "rate_limited"
  | "internal_error"
  | "upstream_error"
  | "no_backend_available"
  | "upstream_timeout"
  | "connection_failed"
  | "timeout"
  | "aborted"
  | "stream_truncated"
  | "response_malformed";

export interface Credentials {
  email: string;
  password: string;
}

export interface Login {
  access_token: string;
  refresh_token: string;
  token_type: "bearer";
  /** Life of the access token, in seconds. */
  expires_in: number;
  user: User;
}

export interface User {
  id: string;
  email: string;
  privileges: string[];
  groupMemberships: string[];
  userVersion: number;
}

export interface List<T> {
  object: "list";
  data: T[];
}

export interface Model {
  /** May hold slashes. */
  id: string;
  object: "model";
  /** Unix seconds. */
  created: number;
  /** The provider: `vllm`, `ollama`, `llamacpp`, `openai`. */
  owned_by: string;
}

export interface Capabilities {
  chat: boolean;
  completions: boolean;
  embeddings: boolean;
  vision: boolean;
  tool_calling: boolean;
  streaming: boolean;
}

export interface BackendCapabilities {
  provider: string;
  backend: string;
  status: "up" | "degraded" | "down";
  /** What at least one of its models can do. */
  capabilities: Capabilities;
  models: { id: string; capabilities: Capabilities }[];
}

/** The parameters that the edge looks at; every other one of the backend's may stand beside them. */
export interface ChatParams {
  model: string;
  messages: Message[];
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** 0–2. */
  temperature?: number | null;
  /** 0–1. */
  top_p?: number | null;
  /** At least 1. */
  max_tokens?: number | null;
  /** At least 1. */
  max_completion_tokens?: number | null;
  tools?: Tool[] | null;
  tool_choice?: "none" | "auto" | "required" | { type: "function"; function: { name: string } } | null;
  stop?: string | string[] | null;
  n?: number | null;
  seed?: number | null;
  [vendor: string]: unknown;
}

export type Message =
  | { role: "system" | "developer"; content: string | TextPart[]; name?: string }
  | { role: "user"; content: string | ContentPart[]; name?: string }
  | { role: "assistant"; content?: string | TextPart[] | null; tool_calls?: ToolCall[]; name?: string }
  | { role: "tool"; content: string | TextPart[]; tool_call_id: string };

export interface TextPart {
  type: "text";
  text: string;
}

export interface ImagePart {
  type: "image_url";
  /** An `https:` or `data:` URL. */
  image_url: { url: string; detail?: "auto" | "low" | "high" };
}

export type ContentPart = TextPart | ImagePart;

export interface Tool {
  type: "function";
  function: {
    name: string;
    description?: string;
    parameters?: Record<string, unknown>;
    strict?: boolean | null;
  };
}

export interface ToolCall {
  id: string;
  type: "function";
  /** The arguments are JSON text, as the model wrote it. */
  function: { name: string; arguments: string };
}

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** A whole answer. Backends add members of their own. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: {
      role: "assistant";
      content: string | null;
      refusal?: string | null;
      /** What a reasoning model thought, as vLLM and llama.cpp spell it. */
      reasoning_content?: string | null;
      tool_calls?: ToolCall[];
    };
    finish_reason: FinishReason | null;
    logprobs?: unknown;
  }[];
  usage?: Usage | null;
}

/** A piece of an answer. */
export interface ChatChunk {
  id: string;
  object: "chat.completion.chunk";
  /** Unix seconds. */
  created: number;
  model: string;
  /** Empty in the chunk that brings `usage`. */
  choices: {
    index: number;
    delta: {
      role?: "assistant";
      content?: string | null;
      refusal?: string | null;
      reasoning_content?: string | null;
      tool_calls?: {
        index: number;
        id?: string;
        type?: "function";
        function?: { name?: string; arguments?: string };
      }[];
    };
    finish_reason: FinishReason | null;
    logprobs?: unknown;
  }[];
  /** In the last chunk, when `stream_options.include_usage` asked for it. */
  usage?: Usage | null;
}
