//! The shape of a `chat.completion.chunk`, as leniently as its many authors need.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A string that borrows from the chunk where it can. (`Option<Cow<str>>` never does, in serde.)
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// `{"id":"…","created":1,"model":"…","choices":[…],"usage":{…}}`; every member may be missing or null.
#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    /// Unix seconds; some servers write a fraction, which is not worth refusing an answer for.
    #[serde(borrow, default)]
    pub(super) created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) system_fingerprint: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<ChoiceDelta<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

/// One of `choices`.
#[derive(Deserialize)]
pub(super) struct ChoiceDelta<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<Logprobs<'a>>,
}

/// What a choice has grown by.
#[derive(Default, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(super) role: Option<Text<'a>>,
    /// A string; raw, so that its place in the chunk is known.
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<ToolCallDelta<'a>>>,
}

/// A piece of a tool call.
#[derive(Deserialize)]
pub(super) struct ToolCallDelta<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<FunctionDelta<'a>>,
}

/// A piece of a function call.
#[derive(Default, Deserialize)]
pub(super) struct FunctionDelta<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    /// A string that holds JSON, or (some servers) the JSON itself.
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
}

/// `{"content":[…],"refusal":[…]}`: lists that are joined, their items untouched.
#[derive(Deserialize)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Vec<&'a RawValue>>,
}

/// The text of an optional member; empty if it is missing.
pub(super) fn text_of<'t>(member: Option<&'t Text<'_>>) -> &'t str {
    member.map_or("", |text| &text.0)
}

/// The string that a raw value is; `None` for anything else.
pub(super) fn string_of<'a>(value: &'a RawValue) -> Option<Cow<'a, str>> {
    serde_json::from_str::<Text<'a>>(value.get()).ok().map(|text| text.0)
}
