//! Requests: those about accounts in [`account`]; inference requests are checked, and read for what
//! decides their way.
//!
//! The body goes on to the backend as the caller's own bytes, but for one [`Edit`] where a backend must
//! be asked for what a stream costs, or would stumble; whatever is not named here (`stop`, `seed`,
//! `response_format`, vendor fields, …) is not looked at.

pub mod account;
pub(crate) mod members;
mod message;
mod options;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::backend::{Quirks, hash};
use crate::error::{Code, Error};
use crate::json::{Read, Reader};
use crate::types::Capabilities;
use message::Messages;
pub use options::{Edit, StreamOptions};

/// What an inference request asks a model to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// `/v1/chat/completions`.
    ChatCompletion,
    /// `/v1/completions`.
    Completion,
    /// `/v1/embeddings`.
    Embedding,
}

impl Operation {
    /// The path, with us and with every backend.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletion => "/v1/chat/completions",
            Self::Completion => "/v1/completions",
            Self::Embedding => "/v1/embeddings",
        }
    }
}

/// What an inference request says about its own way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InferenceRequest {
    /// What is asked for.
    pub operation: Operation,
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
    /// What was said of the usage of a stream.
    pub stream_options: StreamOptions,
    /// Whether an embedding is to come as base64.
    pub wants_base64: bool,
    /// A hash of the model and of how the conversation begins: the same for all of its turns. `None` where
    /// no cache of prefixes could help.
    pub beginning: Option<u64>,
    /// Where `encoding_format` is `null`, which vLLM refuses and the `OpenAI` API takes for absent.
    null_encoding: Option<Range<usize>>,
}

/// Every member that is looked at, as the JSON text that stands in the body.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a str>,
    messages: Option<&'a str>,
    prompt: Option<&'a str>,
    input: Option<&'a str>,
    stream: Option<&'a str>,
    stream_options: Option<&'a str>,
    tools: Option<&'a str>,
    temperature: Option<&'a str>,
    top_p: Option<&'a str>,
    max_tokens: Option<&'a str>,
    max_completion_tokens: Option<&'a str>,
    n: Option<&'a str>,
    encoding_format: Option<&'a str>,
    dimensions: Option<&'a str>,
    /// What `messages` says, where it is an array.
    said: Messages<'a>,
    /// One that is given twice.
    doubled: Option<Error>,
}

impl<'a> Fields<'a> {
    /// Finds them, in one pass over the body.
    fn read(body: &'a [u8], nesting_limit: u32) -> Result<Self, Error> {
        // What it says of a body that it does not like is said of the place where it breaks.
        let malformed = || {
            let known = read_object::<IgnoredAny>(body).err();
            known.unwrap_or_else(|| Error::new(Code::BadRequest, "The request body is not valid JSON."))
        };
        let text = core::str::from_utf8(body).map_err(|_| malformed())?;
        let mut fields = Self::default();
        let mut reader = Reader::within(text, nesting_limit);
        let read = reader.object(|reader, name| fields.read_member(reader, name)).and_then(|()| reader.end());
        match (read, fields.doubled.take()) {
            (Err(_), _) if reader.is_too_deep() => {
                let message = format!("The request body is nested deeper than the limit of {nesting_limit} levels.");
                Err(Error::new(Code::BadRequest, message))
            }
            (Err(_), _) => Err(malformed()),
            (Ok(()), Some(error)) => Err(error),
            (Ok(()), None) => Ok(fields),
        }
    }

    fn read_member(&mut self, reader: &mut Reader<'a>, name: &str) -> Read<()> {
        let start = reader.position();
        if name == "messages" && reader.peek() == Some(b'[') {
            self.said = Messages::read(reader)?;
        } else {
            reader.skip()?;
        }
        if let Some(slot) = self.slot(name)
            && slot.replace(reader.since(start)).is_some()
        {
            self.doubled = Some(Error::bad_param(name.to_string(), format!("`{name}` is given twice.")));
        }
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        Some(match name {
            "model" => &mut self.model,
            "messages" => &mut self.messages,
            "prompt" => &mut self.prompt,
            "input" => &mut self.input,
            "stream" => &mut self.stream,
            "stream_options" => &mut self.stream_options,
            "tools" => &mut self.tools,
            "temperature" => &mut self.temperature,
            "top_p" => &mut self.top_p,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "n" => &mut self.n,
            "encoding_format" => &mut self.encoding_format,
            "dimensions" => &mut self.dimensions,
            _ => return None,
        })
    }

    /// What `messages` says.
    fn messages(&self) -> Result<&Messages<'a>, Error> {
        match self.messages {
            None | Some("null") => Err(Error::bad_param("messages", "`messages` is required.")),
            Some(text) if !text.starts_with('[') => {
                Err(Error::bad_param("messages", "`messages` must be an array of messages."))
            }
            Some(_) if self.said.count == 0 => {
                Err(Error::bad_param("messages", "`messages` must hold at least one message."))
            }
            Some(_) => self.said.wrong.clone().map_or(Ok(&self.said), Err),
        }
    }
}

impl InferenceRequest {
    /// Checks the body of an inference request and reads what decides.
    ///
    /// ```
    /// # use comind::request::{InferenceRequest, Operation};
    /// let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":7}"#;
    /// assert_eq!(InferenceRequest::parse(Operation::ChatCompletion, body, 64)?.model, "m");
    /// # Ok::<(), comind::error::Error>(())
    /// ```
    ///
    /// `model` is required, and with it `messages`, `prompt` or `input`; `temperature` is 0–2, `top_p` 0–1,
    /// `max_tokens`, `max_completion_tokens`, `n` and `dimensions` ≥ 1, `encoding_format` `float` or
    /// `base64`. `null` stands for absent, as with the `OpenAI` API. Two members of one of these names are
    /// refused, since two parsers could take different ones. Members that belong to another operation
    /// are not looked at. Arrays and objects may be nested `nesting_limit` levels deep, since a backend's
    /// parser may recurse, and fall.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`], with the field at fault in `param` when there is one.
    pub fn parse(operation: Operation, body: &[u8], nesting_limit: u32) -> Result<Self, Error> {
        let fields = Fields::read(body, nesting_limit)?;
        let model: String = required(fields.model, "model", "a string")?;
        if model.is_empty() {
            return Err(Error::bad_param("model", "`model` must not be empty."));
        }
        let mut request = Self {
            operation,
            model,
            stream: false,
            has_images: false,
            has_tools: false,
            choices: 1,
            stream_options: StreamOptions::default(),
            wants_base64: false,
            beginning: None,
            null_encoding: None,
        };
        match operation {
            Operation::ChatCompletion => {
                let messages = fields.messages()?;
                request.has_images = messages.has_images;
                request.beginning = Some(hash_beginning(&request.model, messages.beginning));
                if let Some(tools) = fields.tools.filter(|&tools| tools != "null") {
                    let tools = items(tools).ok_or_else(|| Error::bad_param("tools", "`tools` must be an array."))?;
                    request.has_tools = !tools.is_empty();
                }
                at_least_one(fields.max_completion_tokens, "max_completion_tokens")?;
            }
            Operation::Completion => {
                request.choices = texts(fields.prompt, "prompt")?;
                let prompt = fields.prompt.unwrap_or_default();
                let beginning = prompt.get(..prompt.floor_char_boundary(BEGINNING_BYTES)).unwrap_or(prompt);
                request.beginning = Some(hash_beginning(&request.model, beginning));
            }
            Operation::Embedding => {
                texts(fields.input, "input")?;
                at_least_one(fields.dimensions, "dimensions")?;
                let format: Option<Cow<'_, str>> = optional(fields.encoding_format, "encoding_format", ENCODINGS)?;
                request.wants_base64 = format.as_deref() == Some("base64");
                request.null_encoding = fields.encoding_format.filter(|&value| value == "null").map(|value| {
                    let at = value.as_ptr().addr().saturating_sub(body.as_ptr().addr());
                    at..at + value.len()
                });
                if format.is_some_and(|format| !matches!(format.as_ref(), "float" | "base64")) {
                    return Err(Error::bad_param("encoding_format", format!("`encoding_format` must be {ENCODINGS}.")));
                }
                return Ok(request);
            }
        }
        in_range(fields.temperature, "temperature", 0, 2)?;
        in_range(fields.top_p, "top_p", 0, 1)?;
        at_least_one(fields.max_tokens, "max_tokens")?;
        let n = at_least_one(fields.n, "n")?.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX));
        request.choices = request.choices.saturating_mul(n);
        request.stream = optional(fields.stream, "stream", "true or false")?.unwrap_or(false);
        if request.stream {
            request.stream_options = StreamOptions::parse(fields.stream_options, body);
        }
        Ok(request)
    }

    /// What to change in the body for a backend of these quirks; nearly always nothing but, in a stream,
    /// that it is to say what it has cost.
    #[must_use]
    pub fn edit(&self, quirks: Quirks) -> Option<Edit> {
        if self.stream {
            return self.stream_options.edit(quirks.stream_usage);
        }
        self.null_encoding.clone().map(|range| Edit { range, text: "\"float\"".to_string() })
    }

    /// Whether a model of these capabilities can answer.
    ///
    /// # Errors
    ///
    /// [`Code::CapabilityNotSupported`], naming the capability and where to look them up.
    pub fn check_capabilities(&self, capabilities: &Capabilities) -> Result<(), Error> {
        let (is_supported, param, name) = match self.operation {
            Operation::ChatCompletion => (capabilities.chat, "messages", "chat completions (chat)"),
            Operation::Completion => (capabilities.completions, "prompt", "completions (completions)"),
            Operation::Embedding => (capabilities.embeddings, "input", "embeddings (embeddings)"),
        };
        let asked = [
            (true, is_supported, param, name),
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

/// So much of a prompt tells it from others; ours: vLLM's blocks are 16 tokens.
const BEGINNING_BYTES: usize = 1024;

/// The same for all turns of a conversation, in a time that does not grow with it: of a long beginning the
/// first part, the last and the length count.
fn hash_beginning(model: &str, beginning: &str) -> u64 {
    const FIRST_BYTES: usize = 16 * 1024;
    const LAST_BYTES: usize = 1024;
    let bytes = beginning.as_bytes();
    let first = bytes.get(..FIRST_BYTES).unwrap_or(bytes);
    let last = bytes.get(bytes.len().saturating_sub(LAST_BYTES)..).unwrap_or_default();
    hash(&[model.as_bytes(), first, last, &bytes.len().to_le_bytes()])
}

const ENCODINGS: &str = "`float` or `base64`";

/// A text, texts, tokens, or texts as tokens: how many texts they are. What is in them is the backend's to check.
fn texts(value: Option<&str>, name: &'static str) -> Result<u32, Error> {
    let expected = "a string, or an array of strings or tokens";
    let value = value.filter(|&value| value != "null");
    let text = value.ok_or_else(|| Error::bad_param(name, format!("`{name}` is required.")))?;
    if text.starts_with('"') {
        return Ok(1);
    }
    let wrong = || Error::bad_param(name, format!("`{name}` must be {expected}."));
    let items = items(text).ok_or_else(wrong)?;
    let kind = |item: &&str| item.bytes().next().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    match items.first().and_then(kind) {
        None => Err(Error::bad_param(name, format!("`{name}` must not be empty."))),
        first if !items.iter().all(|item| kind(item) == first) => Err(wrong()),
        Some(b'"' | b'[') => Ok(u32::try_from(items.len()).unwrap_or(u32::MAX)),
        Some(b'0') => Ok(1),
        Some(_) => Err(wrong()),
    }
}

/// The items of an array, each as it stands there.
fn items(array: &str) -> Option<Vec<&str>> {
    let mut items = Vec::new();
    Reader::whole(array, |reader| reader.array(|reader| reader.raw().map(|item| items.push(item)))).ok()?;
    Some(items)
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
    value: Option<&'a str>,
    name: &'static str,
    expected: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = value.filter(|&value| value != "null") else { return Ok(None) };
    let read = serde_json::from_str(value);
    read.map(Some).map_err(|_| Error::bad_param(name, format!("`{name}` must be {expected}.")))
}

fn required<'a, T: Deserialize<'a>>(value: Option<&'a str>, name: &'static str, expected: &str) -> Result<T, Error> {
    optional(value, name, expected)?.ok_or_else(|| Error::bad_param(name, format!("`{name}` is required.")))
}

fn in_range(value: Option<&str>, name: &'static str, low: u8, high: u8) -> Result<(), Error> {
    let number: Option<f64> = optional(value, name, "a number")?;
    if number.is_none_or(|number| (f64::from(low)..=f64::from(high)).contains(&number)) {
        return Ok(());
    }
    Err(Error::bad_param(name, format!("`{name}` must be between {low} and {high}.")))
}

fn at_least_one(value: Option<&str>, name: &'static str) -> Result<Option<u64>, Error> {
    let number: Option<i64> = optional(value, name, "a whole number")?;
    let Some(number) = number else { return Ok(None) };
    match u64::try_from(number) {
        Ok(number) if number >= 1 => Ok(Some(number)),
        _ => Err(Error::bad_param(name, format!("`{name}` must be at least 1."))),
    }
}

#[cfg(test)]
mod tests;
