/**
 * The client of a co-mind edge. Shapes of the wire keep the wire's names; everything else is camelCase.
 *
 * @module
 */
import type {
  ApiToken,
  BackendCapabilities,
  BackendSummary,
  BackendsHealth,
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionMessage,
  Completion,
  Embeddings,
  ErrorCode,
  Health,
  List,
  LoginResponse,
  Message,
  Model,
  ScopeList,
  Tool,
  Usage,
  User,
} from "./wasm/types.js";

export type * from "./wasm/types.js";

/** Where the edge is, who asks, and how. */
export interface CoMindOptions extends CallOptions {
  /** `https://host`; a path before `/v1` is kept, `/v1` itself and a slash at the end may stand or not. */
  baseURL: string;
  /**
   * A personal access token (`cmnd_…`), an access token, or a function that fetches one: called when there is none,
   * when the one it gave is about to end (as its `exp` says), and after a 401; never twice at once.
   * Without it, `auth.login` and its like begin a session.
   */
  token?: string | (() => string | Promise<string>);
  /** Where a session is kept. Default {@link memoryStorage}: in this page alone. */
  storage?: TokenStorage;
  /** Lets a personal access token into a page, which otherwise is refused: whoever opens the page can read it. */
  dangerouslyAllowBrowser?: boolean;
  /** Used instead of the platform's: `env.EDGE.fetch.bind(env.EDGE)` for a service binding of a Worker. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What may be set for the client and, by each call, for itself. */
export interface CallOptions {
  /** Time limits in milliseconds; a number sets `connect`, `firstByte` and `stall`. */
  timeout?: number | Timeouts;
  /**
   * How often a call is sent again after a failure that may pass (408, 429, 5xx, no connection), 0–10. Default 2.
   * Never once an answer has begun, never a refused sign-in, never after a time limit; what the edge has tried counts.
   */
  maxRetries?: number;
  /** Headers beside `authorization` and `content-type`. A page on another origin may send them only if the edge allows. */
  headers?: Record<string, string>;
}

/** Each in milliseconds, 0 for none, at most 2 147 483 647; a limit ends a call at most an eighth late. */
export interface Timeouts {
  /** From the request to the head of the answer. Default 330 000: the edge answers first, after 300 s. */
  connect?: number;
  /** From the head to the first byte of the answer. Default 330 000. */
  firstByte?: number;
  /** Between two pieces of an answer; the edge's heartbeats are pieces. Default 330 000. */
  stall?: number;
  /** Between two parts of a stream's answer; heartbeats are none. Time that the reader takes does not count. Default 0. */
  progress?: number;
  /** The whole call, with all its tries and waits. Default 0. */
  total?: number;
}

/** What a single call takes besides its parameters. */
export interface RequestOptions extends CallOptions {
  /** Ends the call and closes its connection; it then fails with {@link AbortError}. */
  signal?: AbortSignal | null;
  /** Sent as `idempotency-key`. The edge hands it to nobody yet: for servers behind it that know it. */
  idempotencyKey?: string;
}

/** A client of one edge. Costs nothing until its first call. */
export class CoMind {
  /** @throws {CoMindError} `bad_request` for an option that cannot be meant. */
  constructor(options: CoMindOptions);

  readonly auth: Auth;
  readonly apiTokens: ApiTokens;
  readonly models: Models;
  readonly backends: Backends;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly embeddings: EmbeddingsResource;

  /** What each backend and model can do. Scope `models:read`. */
  capabilities(options?: RequestOptions): Promise<List<BackendCapabilities>>;
  /** Whether the edge is up. Needs no token. */
  health(options?: RequestOptions): Promise<Health>;
}

/** Signing in and out. A session renews itself ahead of its end, once for all calls that wait for it. */
export interface Auth {
  /** Begins a session: the calls that follow are this user's. Never tried again after a refusal. */
  login(credentials: { email: string; password: string }, options?: RequestOptions): Promise<LoginResponse>;
  /** Begins a session with the ID token of a tenant's identity provider. */
  sso(
    claims: { oid: string; tid: string; upn: string; id_token: string },
    options?: RequestOptions,
  ): Promise<LoginResponse>;
  /** Renews the session now; it does so by itself. */
  refresh(): Promise<SessionInfo>;
  /** Ends the session, here in any case and then at the edge. */
  logout(options?: RequestOptions): Promise<void>;
  /** Who is signed in, as far as this page knows; asks nobody. */
  session(): Promise<SessionInfo | null>;
  /** Calls back when a session begins, is renewed or ends, also in another page of a shared storage; gives how to stop. */
  onChange(listener: (session: SessionInfo | null) => void): () => void;
  /** Who the caller is. */
  me(options?: RequestOptions): Promise<Account>;
  /** Whether an address has an account, where anybody may register. */
  checkRegistration(email: string, options?: RequestOptions): Promise<{ registered: boolean }>;
  /** Asks for an account; a code is mailed. */
  register(
    account: { email: string; password: string; username?: string },
    options?: RequestOptions,
  ): Promise<{ message: string }>;
  /** Makes the account with that code and begins a session. */
  confirm(code: { email: string; code: string }, options?: RequestOptions): Promise<LoginResponse>;
  /** Changes one's own password; all other sessions end. */
  changePassword(
    passwords: { currentPassword: string; newPassword: string },
    options?: RequestOptions,
  ): Promise<{ message: string }>;
  /** Asks for a code to set a new password. */
  requestPasswordReset(account: { email: string }, options?: RequestOptions): Promise<{ message: string }>;
  /** Sets a new password with that code; all sessions end. */
  resetPassword(
    reset: { email: string; code: string; newPassword: string },
    options?: RequestOptions,
  ): Promise<{ message: string }>;
}

/** What a page may know of its session: not its tokens. */
export interface SessionInfo {
  user: User;
}

/** A user, as `/v1/auth/me` shows one. */
export interface Account extends User {
  username: string;
  confirmed: boolean;
  /** ISO 8601, UTC. */
  created_at: string;
}

/** Personal access tokens of the user who is signed in. */
export interface ApiTokens {
  /** The scopes that a token may be given. */
  scopes(options?: RequestOptions): Promise<ScopeList>;
  /** Makes a token. The answer is the only place where it can be read. Not tried again: the lost answer had it. */
  create(
    token: { name: string; scopes: string[]; expires_in_days?: number },
    options?: RequestOptions,
  ): Promise<NewApiToken>;
  /** The user's tokens, without their secrets. */
  list(options?: RequestOptions): Promise<ApiToken[]>;
  /** Puts a new token in the place of one, which dies at once. Not tried again. */
  rotate(id: string, options?: RequestOptions): Promise<NewApiToken>;
  /** Ends a token at once; again does no harm. */
  revoke(id: string, options?: RequestOptions): Promise<void>;
}

/** A token that was just made. */
export interface NewApiToken {
  /** `cmnd_…`; shown this once. */
  token: string;
  id: string;
  name: string;
  scopes: string[];
  /** ISO 8601, UTC. */
  created_at: string;
  /** ISO 8601, UTC. */
  expires_at: string;
}

/** Scope `models:read`. */
export interface Models {
  /** The models that can answer now. */
  list(options?: RequestOptions): Promise<List<Model>>;
  /** One model; its id may hold slashes. */
  retrieve(id: string, options?: RequestOptions): Promise<Model>;
}

/** Scope `models:read`. */
export interface Backends {
  /** The backends, and how many models each has. */
  list(options?: RequestOptions): Promise<List<BackendSummary>>;
  /** How each answered last. */
  health(options?: RequestOptions): Promise<BackendsHealth>;
}

/** Scope `chat:write`. */
export interface ChatCompletions {
  /** Asks a model. The edge checks the parameters that it knows; all others reach the backend as they are. */
  create(params: ChatParams & { stream: true }, options?: RequestOptions): Promise<ChatStream>;
  /** The whole answer. */
  create(params: ChatParams & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
  /** What `stream` says. */
  create(params: ChatParams, options?: RequestOptions): Promise<ChatCompletion | ChatStream>;
  /** Asks for a stream and gives it at once; what goes wrong is thrown to whoever reads it. */
  stream(params: ChatParams, options?: RequestOptions): ChatStream;
}

/** Scope `chat:write`. */
export interface Completions {
  /** Has a text continued. */
  create(params: CompletionParams & { stream: true }, options?: RequestOptions): Promise<CompletionStream>;
  /** The whole text. */
  create(params: CompletionParams & { stream?: false | null }, options?: RequestOptions): Promise<Completion>;
  /** What `stream` says. */
  create(params: CompletionParams, options?: RequestOptions): Promise<Completion | CompletionStream>;
  /** Asks for a stream and gives it at once. */
  stream(params: CompletionParams, options?: RequestOptions): CompletionStream;
}

/** Scope `chat:write`. */
export interface EmbeddingsResource {
  /** Turns texts into vectors. What is not said is not sent: servers differ in what they understand. */
  create(params: EmbeddingParams, options?: RequestOptions): Promise<Embeddings>;
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

/** As {@link ChatParams}, for a text. */
export interface CompletionParams {
  model: string;
  prompt: string | string[] | number[] | number[][];
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** At least 1; 16 where it is not said. */
  max_tokens?: number | null;
  /** 0–2. */
  temperature?: number | null;
  /** 0–1. */
  top_p?: number | null;
  [vendor: string]: unknown;
}

/** What to embed. */
export interface EmbeddingParams {
  model: string;
  input: string | string[] | number[] | number[][];
  encoding_format?: "float" | "base64";
  dimensions?: number;
  [vendor: string]: unknown;
}

/**
 * An answer on its way, to be read once and in one way: iterate it for chunks or its `textStream` for text, hand
 * `forEach` or `forEachText` a function, or have it added up. Leaving a loop closes the connection, and the model stops.
 */
export interface AnswerStream<Chunk, Whole> extends AsyncIterableIterator<Chunk, undefined> {
  /** The edge's name for the request; null until the answer has begun. */
  readonly requestId: string | null;
  /** What choice 0 says, in pieces as the network brings them: up to many tokens a piece. */
  readonly textStream: AsyncIterableIterator<string, undefined>;
  /** Calls back with each chunk at once; for many chunks a piece it is the fastest way. */
  forEach(callback: (chunk: Chunk) => void): Promise<void>;
  /** Calls back with each piece of text at once. */
  forEachText(callback: (text: string) => void): Promise<void>;
  /** Ends the answer and closes the connection; whoever reads gets {@link AbortError}. */
  abort(): void;
  /** The whole answer, as if it had not been streamed: reads what is left; whoever else is reading misses nothing. */
  finalCompletion(): Promise<Whole>;
  /** The text of choice 0, once it is whole. */
  finalText(): Promise<string>;
  /** The answer so far. */
  readonly snapshot: Whole | null;
  /** What the answer has cost; null until the server says, which `stream_options.include_usage` asks for. */
  readonly usage: Usage | null;
  /** The chunks as lines of JSON, in bytes, to hand on as the body of another answer. */
  toReadableStream(): ReadableStream<Uint8Array>;
}

export interface ChatStream extends AnswerStream<ChatCompletionChunk, ChatCompletion> {
  /** The message of the first choice, once it is whole. */
  finalMessage(): Promise<ChatCompletionMessage>;
}

export interface CompletionStream extends AnswerStream<Completion, Completion> {}

/**
 * Loads the core ahead of the first stream, and says as what: JavaScript where WebAssembly is forbidden. Without
 * `source` from where the platform's entry finds it; the `slim` entry needs one. The first successful load counts.
 */
export function init(source?: WasmSource | Promise<WasmSource>): Promise<"wasm" | "javascript">;

/** Where the WebAssembly is, or what it is. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

/** Where a session is kept: one text. */
export interface TokenStorage {
  /** Set if other pages share it: they take turns in renewing under this name. */
  readonly name?: string;
  /** The text, if there is one. */
  get(): string | null | Promise<string | null>;
  /** Keeps a text in the place of the last. */
  set(text: string): void | Promise<void>;
  /** Forgets it. */
  remove(): void | Promise<void>;
  /** Tells of changes that others make; gives how to stop. */
  subscribe?(changed: () => void): () => void;
}

/** Memory of this page: gone with it. */
export function memoryStorage(): TokenStorage;

/** `localStorage` or `sessionStorage`: survives a reload. Whatever script runs in the page can read it, also later. */
export function webStorage(area: Storage, key?: string): TokenStorage;

/** Memory that the open pages of an origin share: signed in once is signed in everywhere, and nothing is written. */
export function tabStorage(name?: string): TokenStorage;

/** Everything that can go wrong. A program branches on `code`; `message` is a sentence for a person. */
export class CoMindError extends Error {
  constructor(message: string, details: { code: ErrorCode; cause?: unknown } & Partial<CoMindError>);
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

/** The server answered, and the answer is an error. */
export class APIError extends CoMindError {}
/** No answer came. `code` is `connection_failed`. */
export class ConnectionError extends CoMindError {}
/** The server took longer than the call allows. `code` is `timeout`. */
export class TimeoutError extends CoMindError {}
/** The caller ended the call. `code` is `aborted`, `name` what `fetch` calls it. */
export class AbortError extends CoMindError {}
/** The answer had begun and was cut; `partial` has what came. `code` says why, `stream_truncated` where nobody knows. */
export class StreamTruncatedError extends CoMindError {}
