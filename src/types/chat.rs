//! The shapes of inference: what callers send and what backends answer.
//!
//! The edge passes these bytes on and reads only what it decides on; so these types are made by nobody at run time.
//! They are the one description of the shapes for TypeScript (`pkg/contract.rs`), held to what real servers send by
//! a test over their recorded answers. Every other member may stand beside those that are named here.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use super::Usage;

/// What a message says, and who says it.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(tag = "role", rename_all = "lowercase")]
#[ts(optional_fields)]
pub enum Message {
    /// How the model is to behave.
    System {
        /// The text.
        content: TextContent,
        /// Who of several.
        name: Option<String>,
    },
    /// The same, as newer models call it.
    Developer {
        /// The text.
        content: TextContent,
        /// Who of several.
        name: Option<String>,
    },
    /// The person.
    User {
        /// Text, or parts of which some may be images.
        content: Content,
        /// Who of several.
        name: Option<String>,
    },
    /// The model, earlier.
    Assistant {
        /// The text; none where it only called tools.
        #[ts(optional = nullable)]
        content: Option<TextContent>,
        /// Why it would not answer.
        #[ts(optional = nullable)]
        refusal: Option<String>,
        /// The calls it made.
        #[ts(optional = nullable)]
        tool_calls: Option<Vec<ToolCall>>,
        /// Who of several.
        name: Option<String>,
    },
    /// What a tool gave.
    Tool {
        /// The result.
        content: TextContent,
        /// The call that this is the result of.
        tool_call_id: String,
    },
}

/// A text, or several.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(untagged)]
pub enum TextContent {
    /// One text.
    Text(String),
    /// Several.
    Parts(Vec<TextPart>),
}

/// A text, or parts of several kinds.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(untagged)]
pub enum Content {
    /// One text.
    Text(String),
    /// Several parts.
    Parts(Vec<ContentPart>),
}

/// `{"type":"text","text":"…"}`.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct TextPart {
    /// Always `text`.
    #[serde(rename = "type")]
    #[ts(type = "\"text\"")]
    pub kind: String,
    /// The text.
    pub text: String,
}

/// A part of a message, told apart by its `type`.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, for models with `vision`.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// `{"url":"data:image/png;base64,…"}`.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ImageUrl {
    /// An `https:` or `data:` URL.
    pub url: String,
    /// How closely to look.
    pub detail: Option<Detail>,
}

/// How closely to look at an image.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// As the server likes.
    Auto,
    /// In a small version.
    Low,
    /// In full.
    High,
}

/// Who answers.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Answerer {
    /// The model.
    Assistant,
}

/// What can be called.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ToolKind {
    /// A function of the caller's.
    Function,
}

/// A function that the model may call.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: ToolKind,
    /// Which.
    pub function: FunctionDefinition,
}

/// What a model is told of a function.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct FunctionDefinition {
    /// Its name.
    pub name: String,
    /// What it does and when to call it.
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    pub parameters: Option<Schema>,
    /// Whether the arguments must follow the schema to the letter.
    #[ts(optional = nullable)]
    pub strict: Option<bool>,
}

/// A JSON Schema.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(type = "Record<string, unknown>")]
pub struct Schema(pub Value);

/// What servers differ in.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(type = "unknown")]
pub struct Anything(pub Value);

/// A call that a model made, told apart by its `type`.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToolCall {
    /// A function of the caller's.
    Function {
        /// To be named by the message that has the result.
        id: String,
        /// Which, and with what.
        function: FunctionCall,
    },
}

/// A function and its arguments.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// JSON text, as the model wrote it: it may not be JSON at all.
    pub arguments: String,
}

/// Why a choice ended.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done, or met a stop sequence.
    Stop,
    /// `max_tokens` was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// The server keeps the rest back.
    ContentFilter,
    /// As `tool_calls`, in an older form.
    FunctionCall,
}

/// A whole answer.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ChatCompletion {
    /// The server's name for it.
    pub id: String,
    /// Always `chat.completion`.
    #[ts(type = "\"chat.completion\"")]
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// As many as `n` asked for.
    pub choices: Vec<ChatCompletionChoice>,
    /// What it cost.
    #[ts(optional = nullable)]
    pub usage: Option<Usage>,
    /// Which build of the server answered.
    #[ts(optional = nullable)]
    pub system_fingerprint: Option<String>,
}

/// One of the answers.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ChatCompletionChoice {
    /// Its place.
    pub index: u32,
    /// The answer.
    pub message: ChatCompletionMessage,
    /// Why it ended.
    #[ts(optional = false)]
    pub finish_reason: Option<FinishReason>,
    /// How likely each token was.
    #[ts(optional = nullable)]
    pub logprobs: Option<Logprobs>,
}

/// What a model answered.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ChatCompletionMessage {
    /// Always `assistant`.
    pub role: Answerer,
    /// The text; none where the model only calls tools.
    #[ts(optional = false)]
    pub content: Option<String>,
    /// Why it would not answer.
    #[ts(optional = nullable)]
    pub refusal: Option<String>,
    /// What a reasoning model thought, as vLLM and llama.cpp call it.
    #[ts(optional = nullable)]
    pub reasoning_content: Option<String>,
    /// The same, as Ollama calls it.
    #[ts(optional = nullable)]
    pub reasoning: Option<String>,
    /// The calls it makes.
    #[serde(default)]
    #[ts(optional = nullable)]
    pub tool_calls: Option<Vec<ToolCall>>,
}

/// Probabilities by token.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct Logprobs {
    /// Of the content.
    #[ts(optional = nullable)]
    pub content: Option<Vec<TokenLogprob>>,
    /// Of the refusal.
    #[ts(optional = nullable)]
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// One token's probability.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct TokenLogprob {
    /// The token.
    pub token: String,
    /// The logarithm of its probability.
    pub logprob: f64,
    /// Its bytes, where they are no text by themselves.
    #[ts(optional = nullable)]
    pub bytes: Option<Vec<u8>>,
    /// The likeliest in its place.
    pub top_logprobs: Option<Vec<Self>>,
}

/// A piece of an answer.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ChatCompletionChunk {
    /// The server's name for the answer.
    pub id: String,
    /// Always `chat.completion.chunk`.
    #[ts(type = "\"chat.completion.chunk\"")]
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model that answers.
    pub model: String,
    /// Empty in the chunk that brings `usage`.
    pub choices: Vec<ChatCompletionChunkChoice>,
    /// In the last chunk, when `stream_options.include_usage` asked for it.
    #[ts(optional = nullable)]
    pub usage: Option<Usage>,
    /// Which build of the server answers.
    #[ts(optional = nullable)]
    pub system_fingerprint: Option<String>,
}

/// What one of the answers has grown by.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ChatCompletionChunkChoice {
    /// Its place.
    pub index: u32,
    /// What is new.
    pub delta: Delta,
    /// Why it ended, once it has.
    #[ts(optional = false)]
    pub finish_reason: Option<FinishReason>,
    /// How likely each new token was.
    #[ts(optional = nullable)]
    pub logprobs: Option<Logprobs>,
}

/// New text, in one of its kinds.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct Delta {
    /// In the first chunk.
    pub role: Option<Answerer>,
    /// More of the text.
    #[ts(optional = nullable)]
    pub content: Option<String>,
    /// More of why it will not answer.
    #[ts(optional = nullable)]
    pub refusal: Option<String>,
    /// More of what it thinks, as vLLM and llama.cpp call it.
    #[ts(optional = nullable)]
    pub reasoning_content: Option<String>,
    /// The same, as Ollama calls it.
    #[ts(optional = nullable)]
    pub reasoning: Option<String>,
    /// More of the calls.
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// More of a call.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct ToolCallDelta {
    /// Which call.
    pub index: u32,
    /// In its first piece.
    pub id: Option<String>,
    /// In its first piece.
    #[serde(rename = "type")]
    pub kind: Option<ToolKind>,
    /// More of the function.
    pub function: Option<FunctionDelta>,
}

/// More of a function call.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct FunctionDelta {
    /// In its first piece.
    pub name: Option<String>,
    /// More of the JSON text.
    pub arguments: Option<String>,
}

/// A text continued; a piece of it when it streams.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct Completion {
    /// The server's name for it.
    pub id: String,
    /// Always `text_completion`.
    #[ts(type = "\"text_completion\"")]
    pub object: String,
    /// Unix seconds.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// As many as `n` asked for.
    pub choices: Vec<CompletionChoice>,
    /// What it cost.
    #[ts(optional = nullable)]
    pub usage: Option<Usage>,
}

/// One of the continuations.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
#[ts(optional_fields)]
pub struct CompletionChoice {
    /// Its place.
    pub index: u32,
    /// The text, or more of it.
    pub text: String,
    /// Why it ended.
    #[ts(optional = false)]
    pub finish_reason: Option<FinishReason>,
    /// How likely each token was.
    pub logprobs: Option<Anything>,
}

/// Texts as vectors.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct Embeddings {
    /// Always `list`.
    #[ts(type = "\"list\"")]
    pub object: String,
    /// One for each input.
    pub data: Vec<Embedding>,
    /// The model that made them.
    pub model: String,
    /// What they cost.
    pub usage: EmbeddingUsage,
}

/// One vector.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct Embedding {
    /// Always `embedding`.
    #[ts(type = "\"embedding\"")]
    pub object: String,
    /// Which input's.
    pub index: u32,
    /// Numbers; with `encoding_format: "base64"` their bytes as text.
    #[ts(type = "number[] | string")]
    pub embedding: Value,
}

/// What embeddings cost.
#[derive(Debug, Deserialize, JsonSchema, Serialize, TS)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

#[cfg(test)]
mod tests;
