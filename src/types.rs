//! Every JSON shape that crosses the wire, once.
//!
//! The edge reads what the client writes and the other way round; TypeScript's declarations in
//! `pkg/` describe the same shapes. Unknown members of an answer are tolerated.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
#[cfg(feature = "contract")]
use alloc::{borrow::ToOwned, string::ToString}; // for what `TS` derives

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

#[cfg(feature = "contract")]
pub mod chat;

/// A value as JSON text. The shapes of this module cannot fail to serialise: their maps have string keys.
pub fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads JSON text from bytes; `None` for what is not UTF-8, not JSON or not of the shape.
///
/// All JSON is read as text, once checked to be UTF-8: the parser for bytes would be a second one in
/// every wasm file.
#[must_use]
pub fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    serde_json::from_str(core::str::from_utf8(bytes).ok()?).ok()
}

/// `{"error":{…}}`: the body of every failure, on every route and method.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub struct ErrorBody<'a> {
    /// The failure.
    #[serde(borrow)]
    pub error: ErrorDetail<'a>,
}

/// The inside of an [`ErrorBody`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub struct ErrorDetail<'a> {
    /// One sentence for a person.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    /// Whose fault it is: [`Kind::as_str`](crate::error::Kind::as_str).
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    /// [`Code::as_str`](crate::error::Code::as_str), or what a backend called it.
    #[serde(borrow)]
    pub code: Option<Cow<'a, str>>,
    /// The request field at fault.
    #[serde(borrow)]
    pub param: Option<Cow<'a, str>>,
    /// The scope that was missing.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub required_scope: Option<Cow<'a, str>>,
}

/// `{"status":"ok"}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct Health {
    /// `ok` while the edge answers at all.
    pub status: Cow<'static, str>,
}

/// The answer to a sign-in.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct LoginResponse {
    /// A JWT for `Authorization: Bearer`.
    #[cfg_attr(feature = "contract", ts(type = "string"), schemars(with = "String"))]
    pub access_token: Secret,
    /// A JWT that buys the next pair.
    #[cfg_attr(feature = "contract", ts(type = "string"), schemars(with = "String"))]
    pub refresh_token: Secret,
    /// `bearer`.
    #[cfg_attr(feature = "contract", ts(type = "\"bearer\""))]
    pub token_type: Cow<'static, str>,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// Who signed in.
    pub user: User,
}

/// A user, as sign-in shows one.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct User {
    /// `user_…`.
    pub id: String,
    /// The address.
    pub email: String,
    /// What the user may do beyond the ordinary: `admin`, ….
    pub privileges: Vec<String>,
    /// The organizations and groups the user belongs to.
    #[serde(rename = "groupMemberships")]
    pub group_memberships: Vec<String>,
    /// Goes up when every session of the user must end.
    #[serde(rename = "userVersion")]
    pub user_version: u32,
}

/// `{"object":"list","data":[…]}`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct List<T> {
    /// `list`.
    #[cfg_attr(feature = "contract", ts(type = "\"list\""))]
    pub object: Cow<'static, str>,
    /// The items.
    pub data: Vec<T>,
}

impl<T> List<T> {
    /// A list of these.
    #[must_use]
    pub const fn new(data: Vec<T>) -> Self {
        Self { object: Cow::Borrowed("list"), data }
    }
}

/// One model.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct Model {
    /// The name to ask for it by; may hold slashes.
    pub id: String,
    /// `model`.
    #[cfg_attr(feature = "contract", ts(type = "\"model\""))]
    pub object: Cow<'static, str>,
    /// Unix seconds.
    pub created: u64,
    /// The provider of the backend that serves it: `vllm`, `ollama`, `llamacpp`, `openai`.
    pub owned_by: String,
}

/// What a model or backend can do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
#[serde(default)]
pub struct Capabilities {
    /// `/v1/chat/completions`.
    pub chat: bool,
    /// `/v1/completions`.
    pub completions: bool,
    /// `/v1/embeddings`.
    pub embeddings: bool,
    /// Images in messages.
    pub vision: bool,
    /// `tools`.
    pub tool_calling: bool,
    /// `stream: true`.
    pub streaming: bool,
}

impl Capabilities {
    /// What either of the two can do.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            chat: self.chat || other.chat,
            completions: self.completions || other.completions,
            embeddings: self.embeddings || other.embeddings,
            vision: self.vision || other.vision,
            tool_calling: self.tool_calling || other.tool_calling,
            streaming: self.streaming || other.streaming,
        }
    }
}

/// What is stated about a model's capabilities; `None` where nothing is, and then it is found out.
///
/// `{"vision":true}` in `BACKENDS` overrides that one and leaves the others.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct StatedCapabilities {
    /// See [`Capabilities::chat`].
    pub chat: Option<bool>,
    /// See [`Capabilities::completions`].
    pub completions: Option<bool>,
    /// See [`Capabilities::embeddings`].
    pub embeddings: Option<bool>,
    /// See [`Capabilities::vision`].
    pub vision: Option<bool>,
    /// See [`Capabilities::tool_calling`].
    pub tool_calling: Option<bool>,
    /// See [`Capabilities::streaming`].
    pub streaming: Option<bool>,
}

impl StatedCapabilities {
    /// The stated ones over those found out.
    #[must_use]
    pub fn over(self, found: Capabilities) -> Capabilities {
        Capabilities {
            chat: self.chat.unwrap_or(found.chat),
            completions: self.completions.unwrap_or(found.completions),
            embeddings: self.embeddings.unwrap_or(found.embeddings),
            vision: self.vision.unwrap_or(found.vision),
            tool_calling: self.tool_calling.unwrap_or(found.tool_calling),
            streaming: self.streaming.unwrap_or(found.streaming),
        }
    }
}

/// Whether a backend answers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It answers.
    Up,
    /// It answers, not well.
    Degraded,
    /// It does not answer.
    Down,
}

/// One backend in the answer of `/v1/backends`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct BackendSummary {
    /// Its id in the configuration.
    pub id: String,
    /// Its kind: `vllm`, `ollama`, `llamacpp`, `openai`.
    pub provider: String,
    /// Whether it answers.
    pub status: Status,
    /// How many models it has.
    pub models: usize,
}

/// One backend in the answer of `/v1/backends/health`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct BackendHealth {
    /// Its kind: `vllm`, `ollama`, `llamacpp`, `openai`.
    pub provider: String,
    /// Its id in the configuration.
    pub backend: String,
    /// Whether it answers.
    pub status: Status,
    /// How long its last answer took, in milliseconds; `null` where there was none.
    pub latency_ms: Option<u64>,
    /// The HTTP status of its last answer; `null` where there was none.
    pub code: Option<u16>,
}

/// `{"backends":[…]}`: the answer of `/v1/backends/health`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct BackendsHealth {
    /// One a backend, in the order of the configuration.
    pub backends: Vec<BackendHealth>,
}

/// One backend in the answer of `/v1/capabilities`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct BackendCapabilities {
    /// Its kind: `vllm`, `ollama`, `llamacpp`, `openai`.
    pub provider: String,
    /// Its id in the configuration.
    pub backend: String,
    /// Whether it answers.
    pub status: Status,
    /// What at least one of its models can do.
    pub capabilities: Capabilities,
    /// Its models.
    pub models: Vec<ModelCapabilities>,
}

/// One model in a [`BackendCapabilities`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct ModelCapabilities {
    /// The model's id.
    pub id: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// A personal access token as a list shows it: never with its secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct ApiToken {
    /// The token's id, the public half of it.
    pub id: String,
    /// The name its owner gave it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// ISO 8601, UTC.
    pub created_at: String,
    /// ISO 8601, UTC.
    pub expires_at: String,
    /// ISO 8601, UTC.
    pub last_used_at: Option<String>,
    /// Past its time.
    pub is_expired: bool,
    /// Revoked by its owner.
    pub is_revoked: bool,
}

/// `{"scopes":[…],"is_admin":false}`: what a token of this user may be given.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
pub struct ScopeList {
    /// The scopes' spellings.
    pub scopes: Vec<Cow<'static, str>>,
    /// Whether the admin-only ones are among them.
    pub is_admin: bool,
}

/// What a completion cost, in tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "contract", derive(ts_rs::TS, schemars::JsonSchema))]
#[serde(default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

/// What is stated of one model: `{"capabilities":{"vision":true}}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct StatedModel {
    /// What it can do.
    pub capabilities: StatedCapabilities,
}

/// Model id → what is stated of it; the `models` member of a backend in `BACKENDS`.
pub type StatedModels = BTreeMap<String, StatedModel>;
