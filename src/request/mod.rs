//! Requests: those about accounts in [`account`]; inference requests are checked, and read for what
//! decides their way, but never rewritten.
//!
//! The body goes on to the backend as the caller's own bytes; whatever is not named here
//! (`stop`, `seed`, `response_format`, vendor fields, …) is not looked at.

pub mod account;
pub(crate) mod members;
mod message;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Code, Error};
use crate::types::Capabilities;
use message::Messages;

/// What a chat completion request says about its own way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChatRequest {
    /// Which model is to answer.
    pub model: String,
    /// Whether the answer comes as an event stream.
    pub stream: bool,
    /// Whether a message holds an image.
    pub has_images: bool,
    /// Whether `tools` holds any.
    pub has_tools: bool,
    /// How many choices were asked for; 1 unless said.
    pub choices: u32,
}

/// Every field that is checked, as the JSON text that stands in the body.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Checks the body of `POST /v1/chat/completions` and reads what decides.
    ///
    /// ```
    /// # use comind::request::ChatRequest;
    /// let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":7}"#;
    /// assert_eq!(ChatRequest::parse(body).unwrap().model, "m");
    /// ```
    ///
    /// `model` and `messages` are required; `temperature` is 0–2, `top_p` 0–1, `max_tokens` and
    /// `max_completion_tokens` ≥ 1, `n` ≥ 1. `null` stands for absent, as with the `OpenAI` API. Two members
    /// of one of these names are refused, since two parsers could take different ones.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`], with the field at fault in `param` when there is one.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let fields: Fields<'_> = read_object(body)?;
        let model: Cow<'_, str> = required(fields.model, "model", "a string")?;
        if model.is_empty() {
            return Err(Error::bad_param("model", "`model` must not be empty."));
        }
        let messages = Messages::parse(fields.messages)?;
        in_range(fields.temperature, "temperature", 0, 2)?;
        in_range(fields.top_p, "top_p", 0, 1)?;
        at_least_one(fields.max_tokens, "max_tokens")?;
        at_least_one(fields.max_completion_tokens, "max_completion_tokens")?;
        let tools: Option<alloc::vec::Vec<&RawValue>> = optional(fields.tools, "tools", "an array")?;
        Ok(Self {
            model: model.into_owned(),
            stream: optional(fields.stream, "stream", "true or false")?.unwrap_or(false),
            has_images: messages.has_images,
            has_tools: tools.is_some_and(|tools| !tools.is_empty()),
            choices: at_least_one(fields.n, "n")?.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        })
    }

    /// Whether a model of these capabilities can answer.
    ///
    /// # Errors
    ///
    /// [`Code::CapabilityNotSupported`], naming the capability and where to look them up.
    pub fn check_capabilities(&self, capabilities: &Capabilities) -> Result<(), Error> {
        let asked = [
            (true, capabilities.chat, "messages", "chat completions"),
            (self.has_images, capabilities.vision, "messages", "images (vision)"),
            (self.has_tools, capabilities.tool_calling, "tools", "tools (tool_calling)"),
            (self.stream, capabilities.streaming, "stream", "streaming"),
        ];
        for (is_asked, is_supported, param, name) in asked {
            if is_asked && !is_supported {
                let message = format!(
                    "The model `{}` does not support {name}. See GET /v1/capabilities for what each model can do.",
                    shown(&self.model)
                );
                return Err(Error { param: Some(param.into()), ..Error::new(Code::CapabilityNotSupported, message) });
            }
        }
        Ok(())
    }
}

/// A caller's own words in a message: cut, and without control characters.
#[must_use]
pub fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 100;
    text.chars().filter(|char| !char.is_control()).take(MAX_CHARS).collect()
}

/// Reads a JSON object of a known shape out of a request body.
///
/// # Errors
///
/// [`Code::BadRequest`] that says where the JSON breaks, never what stands there.
pub fn read_object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Error::new(Code::BadRequest, "The request body must be a JSON object."));
    }
    let text = core::str::from_utf8(body)
        .map_err(|_| Error::new(Code::BadRequest, "The request body is not valid JSON: it is not UTF-8."))?;
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => describe_data_error(&error.to_string(), &place),
            _ => Error::new(Code::BadRequest, format!("The request body is not valid JSON ({place}).")),
        }
    })
}

/// Names the field of a missing or doubled member; the parser's own words may quote the body, so
/// nothing else of them is passed on.
fn describe_data_error(words: &str, place: &str) -> Error {
    let named = |prefix: &str| {
        let (name, _) = words.strip_prefix(prefix)?.strip_prefix('`')?.split_once('`')?;
        Some(name.to_string())
    };
    if let Some(name) = named("missing field ") {
        let message = format!("`{name}` is required.");
        return Error::bad_param(name, message);
    }
    if let Some(name) = named("duplicate field ") {
        let message = format!("`{name}` is given twice.");
        return Error::bad_param(name, message);
    }
    Error::new(Code::BadRequest, format!("The request body is not of the documented form ({place})."))
}

/// A field's value, or `None` when it is absent or `null`.
fn optional<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = value.filter(|value| value.get() != "null") else { return Ok(None) };
    let read = serde_json::from_str(value.get());
    read.map(Some).map_err(|_| Error::bad_param(name, format!("`{name}` must be {expected}.")))
}

fn required<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    name: &'static str,
    expected: &str,
) -> Result<T, Error> {
    optional(value, name, expected)?.ok_or_else(|| Error::bad_param(name, format!("`{name}` is required.")))
}

fn in_range(value: Option<&RawValue>, name: &'static str, low: u8, high: u8) -> Result<(), Error> {
    let number: Option<f64> = optional(value, name, "a number")?;
    if number.is_none_or(|number| (f64::from(low)..=f64::from(high)).contains(&number)) {
        return Ok(());
    }
    Err(Error::bad_param(name, format!("`{name}` must be between {low} and {high}.")))
}

fn at_least_one(value: Option<&RawValue>, name: &'static str) -> Result<Option<u64>, Error> {
    let number: Option<i64> = optional(value, name, "a whole number")?;
    let Some(number) = number else { return Ok(None) };
    match u64::try_from(number) {
        Ok(number) if number >= 1 => Ok(Some(number)),
        _ => Err(Error::bad_param(name, format!("`{name}` must be at least 1."))),
    }
}

#[cfg(test)]
mod tests;
