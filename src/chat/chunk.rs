//! The shape of a `chat.completion.chunk` and of a streamed `text_completion`, as leniently as its many authors need.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::json::{Malformed, Read, Reader};

/// A text that may be missing or null.
pub(super) type Text<'a> = Option<Cow<'a, str>>;

/// `{"id":"…","created":1,"model":"…","choices":[…],"usage":{…}}`; every member may be missing or null.
#[derive(Default)]
pub(super) struct Chunk<'a> {
    pub(super) id: Text<'a>,
    /// Unix seconds; some servers write a fraction, which is not worth refusing an answer for.
    pub(super) created: Option<&'a str>,
    pub(super) model: Text<'a>,
    pub(super) system_fingerprint: Text<'a>,
    pub(super) service_tier: Text<'a>,
    pub(super) choices: Vec<ChoiceDelta<'a>>,
    pub(super) usage: Option<&'a str>,
    pub(super) error: Option<&'a str>,
}

/// One of `choices`.
#[derive(Default)]
pub(super) struct ChoiceDelta<'a> {
    pub(super) index: u32,
    pub(super) delta: Delta<'a>,
    /// The content stood in `text`: this is a completion of a text.
    pub(super) is_text: bool,
    pub(super) finish_reason: Text<'a>,
    pub(super) logprobs: Option<Logprobs<'a>>,
}

/// What a choice has grown by.
#[derive(Default)]
pub(super) struct Delta<'a> {
    pub(super) role: Text<'a>,
    pub(super) content: Option<Content<'a>>,
    pub(super) refusal: Text<'a>,
    pub(super) reasoning: Text<'a>,
    pub(super) reasoning_content: Text<'a>,
    pub(super) tool_calls: Vec<ToolCallDelta<'a>>,
}

/// A text, and where in the chunk its quotes stand.
pub(super) struct Content<'a> {
    pub(super) text: Cow<'a, str>,
    /// The offset of the opening quote.
    pub(super) start: usize,
    /// The offset behind the closing quote.
    pub(super) end: usize,
}

/// A piece of a tool call.
#[derive(Default)]
pub(super) struct ToolCallDelta<'a> {
    pub(super) index: Option<u32>,
    pub(super) id: Text<'a>,
    pub(super) kind: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) arguments: Option<Cow<'a, str>>,
}

/// `{"content":[…],"refusal":[…]}`: lists that are joined, their items untouched.
#[derive(Default)]
pub(super) struct Logprobs<'a> {
    pub(super) content: Option<Vec<&'a str>>,
    pub(super) refusal: Option<Vec<&'a str>>,
}

impl<'a> Chunk<'a> {
    pub(super) fn parse(data: &'a str) -> Read<Self> {
        Reader::whole(data, |reader| {
            let mut chunk = Self::default();
            reader.object(|reader, name| {
                match name {
                    "id" => chunk.id = reader.optional_string()?,
                    "created" => chunk.created = reader.optional_raw()?,
                    "model" => chunk.model = reader.optional_string()?,
                    "system_fingerprint" => chunk.system_fingerprint = reader.optional_string()?,
                    "service_tier" => chunk.service_tier = reader.optional_string()?,
                    "choices" => chunk.choices = list(reader, ChoiceDelta::read)?.unwrap_or_default(),
                    "usage" => chunk.usage = reader.optional_raw()?,
                    "error" => chunk.error = reader.optional_raw()?,
                    _ => reader.skip()?,
                }
                Ok(())
            })?;
            Ok(chunk)
        })
    }
}

impl<'a> ChoiceDelta<'a> {
    fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let mut choice = Self::default();
        reader.object(|reader, name| {
            match name {
                "index" => choice.index = reader.optional_u32()?.unwrap_or(0),
                "delta" => choice.delta = Delta::read(reader)?,
                "text" => {
                    choice.delta.content = Content::read(reader)?;
                    choice.is_text = true;
                }
                "finish_reason" => choice.finish_reason = reader.optional_string()?,
                "logprobs" => choice.logprobs = Logprobs::read(reader)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(choice)
    }
}

impl<'a> Delta<'a> {
    fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let mut delta = Self::default();
        if reader.peek() == Some(b'n') {
            return reader.null().map(|()| delta);
        }
        reader.object(|reader, name| {
            match name {
                "role" => delta.role = reader.optional_string()?,
                "content" => delta.content = Content::read(reader)?,
                "refusal" => delta.refusal = reader.optional_string()?,
                "reasoning" => delta.reasoning = reader.optional_string()?,
                "reasoning_content" => delta.reasoning_content = reader.optional_string()?,
                "tool_calls" => delta.tool_calls = list(reader, ToolCallDelta::read)?.unwrap_or_default(),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(delta)
    }
}

impl<'a> Content<'a> {
    fn read(reader: &mut Reader<'a>) -> Read<Option<Self>> {
        let start = reader.position();
        let text = reader.optional_string()?;
        let end = start + reader.since(start).len();
        Ok(text.map(|text| Self { text, start, end }))
    }
}

impl<'a> ToolCallDelta<'a> {
    fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let mut call = Self::default();
        reader.object(|reader, name| {
            match name {
                "index" => call.index = reader.optional_u32()?,
                "id" => call.id = reader.optional_string()?,
                "type" => call.kind = reader.optional_string()?,
                "function" => call.read_function(reader)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(call)
    }

    fn read_function(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        if reader.peek() == Some(b'n') {
            return reader.null();
        }
        reader.object(|reader, name| {
            match name {
                "name" => self.name = reader.optional_string()?,
                // A string that holds JSON, or (some servers) the JSON itself.
                "arguments" if reader.peek() == Some(b'"') => self.arguments = Some(reader.string()?),
                "arguments" => self.arguments = reader.optional_raw()?.map(Cow::Borrowed),
                _ => reader.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> Logprobs<'a> {
    fn read(reader: &mut Reader<'a>) -> Read<Option<Self>> {
        if reader.peek() == Some(b'n') {
            return reader.null().map(|()| None);
        }
        let mut logprobs = Self::default();
        reader.object(|reader, name| {
            match name {
                "content" => logprobs.content = list(reader, Reader::raw)?,
                "refusal" => logprobs.refusal = list(reader, Reader::raw)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(Some(logprobs))
    }

    /// What its items take.
    pub(super) fn bytes(&self) -> usize {
        [&self.content, &self.refusal].into_iter().flatten().flatten().map(|item| item.len() + 1).sum()
    }
}

/// A list or null.
fn list<'a, T>(reader: &mut Reader<'a>, read: impl Fn(&mut Reader<'a>) -> Read<T>) -> Read<Option<Vec<T>>> {
    match reader.peek() {
        Some(b'[') => {
            let mut items = Vec::new();
            reader.array(|reader| {
                items.push(read(reader)?);
                Ok(())
            })?;
            Ok(Some(items))
        }
        Some(b'n') => reader.null().map(|()| None),
        _ => Err(Malformed),
    }
}

/// The text of an optional member; empty if it is missing.
pub(super) fn text_of<'t>(member: &'t Text<'_>) -> &'t str {
    member.as_deref().unwrap_or_default()
}
