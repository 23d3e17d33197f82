//! Joins the chunks of a stream into one completion.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::value::RawValue;

use super::DONE;
use super::chunk::{ChoiceDelta, Chunk, Delta, Logprobs, string_of, text_of};
use super::failure::read_failure;
use super::memo::Memo;
use super::tool_call::{ToolCalls, Whole};
use crate::error::{Code, Error};
use crate::types::{Usage, to_json};

/// How many choices an answer may have: as many as OpenAI's `n` allows.
const CHOICES_LIMIT: usize = 128;

/// Turns `chat.completion.chunk` events into the `chat.completion` that they spell.
///
/// ```
/// # use comind::chat::Accumulator;
/// let mut answer = Accumulator::new(1 << 20);
/// answer.handle_data(r#"{"id":"c1","created":7,"model":"m","choices":[{"index":0,"delta":{"content":"Sili"}}]}"#)?;
/// answer.handle_data(r#"{"id":"c1","choices":[{"index":0,"delta":{"content":"con"},"finish_reason":"stop"}]}"#)?;
/// answer.handle_data("[DONE]")?;
/// assert!(answer.is_whole());
/// assert_eq!(
///     answer.to_json(),
///     r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Silicon"},"finish_reason":"stop"}]}"#
/// );
/// # Ok::<(), comind::error::Error>(())
/// ```
///
/// Joined are content, refusal, reasoning (under the name that the server uses), tool calls and
/// logprobs, each choice for itself; the last usage and finish reason count. What servers leave
/// out, send as null or repeat is tolerated.
#[derive(Clone, Debug)]
pub struct Accumulator {
    limit_bytes: usize,
    /// What is held, about: texts to the byte, and the size of each choice and call.
    held_bytes: usize,
    is_done: bool,
    id: String,
    created: Option<u64>,
    model: String,
    system_fingerprint: String,
    service_tier: String,
    usage: Option<Box<RawValue>>,
    /// In the order of their index.
    choices: Vec<Choice>,
    memo: Memo,
}

#[derive(Clone, Debug)]
struct Choice {
    index: u32,
    role: String,
    content: Option<String>,
    refusal: String,
    reasoning: String,
    reasoning_content: String,
    tool_calls: ToolCalls,
    logprobs: Option<JoinedLogprobs>,
    finish_reason: String,
}

/// Items of JSON, joined by commas, without brackets; `None` if the list was never sent.
#[derive(Clone, Debug, Default)]
struct JoinedLogprobs {
    content: Option<String>,
    refusal: Option<String>,
}

impl Accumulator {
    /// An accumulator before the first chunk. It holds at most about `limit_bytes`.
    #[must_use]
    pub const fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            held_bytes: 0,
            is_done: false,
            id: String::new(),
            created: None,
            model: String::new(),
            system_fingerprint: String::new(),
            service_tier: String::new(),
            usage: None,
            choices: Vec::new(),
            memo: Memo::new(),
        }
    }

    /// Takes the data of one event: a chunk, `[DONE]`, or the server's error.
    ///
    /// # Errors
    ///
    /// The server's own failure for `{"error":{…}}`, with its code if it is one of ours, else
    /// [`Code::UpstreamError`]. [`Code::ResponseMalformed`] for data that is no chunk, for an answer
    /// larger than the limit, of more than 128 choices or of more than 1024 tool calls in one.
    /// What was joined before stays readable.
    pub fn handle_data(&mut self, data: &str) -> Result<(), Error> {
        if let Some((index, text)) = self.memo.recall(data) {
            self.reserve(text.len())?;
            let choice = self.choice(index)?;
            choice.content.get_or_insert_default().push_str(&text);
            return Ok(());
        }
        if data == DONE {
            self.is_done = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_str(data).map_err(|_| {
            Error::new(Code::ResponseMalformed, "An event of the stream is not a chat completion chunk.")
        })?;
        self.add_chunk(&chunk)?;
        self.memo.learn(data, &chunk);
        Ok(())
    }

    /// Whether the answer is complete: `[DONE]` came, or every choice has its finish reason.
    ///
    /// A stream that ends before this was cut, however orderly its end looked.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let has_finished = |choice: &Choice| !choice.finish_reason.is_empty();
        self.is_done || (!self.choices.is_empty() && self.choices.iter().all(has_finished))
    }

    /// Whether `[DONE]` came: nothing comes after it, the end need not be waited for.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// The text of choice 0 so far.
    #[must_use]
    pub fn text(&self) -> &str {
        let first = self.choices.iter().find(|choice| choice.index == 0);
        first.and_then(|choice| choice.content.as_deref()).unwrap_or_default()
    }

    /// What the answer has cost, if the server said so.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        serde_json::from_str(self.usage.as_ref()?.get()).ok()
    }

    /// The completion so far, as JSON text of the shape that a call without `stream` gives.
    ///
    /// Choices stand in the order of their index. `content` is null where a message has only
    /// tool calls, a refusal or reasoning; `finish_reason` is null where none came.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(&Completion {
            id: &self.id,
            object: "chat.completion",
            created: self.created.unwrap_or_default(),
            model: &self.model,
            system_fingerprint: &self.system_fingerprint,
            service_tier: &self.service_tier,
            choices: self.choices.iter().map(WholeChoice::new).collect(),
            usage: self.usage.as_deref(),
        })
    }

    fn add_chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Error> {
        if let Some(error) = chunk.error {
            return Err(read_failure(error.get()));
        }
        for (field, member) in [
            (&mut self.id, &chunk.id),
            (&mut self.model, &chunk.model),
            (&mut self.system_fingerprint, &chunk.system_fingerprint),
            (&mut self.service_tier, &chunk.service_tier),
        ] {
            let text = text_of(member.as_ref());
            if field.is_empty() && text.len() <= self.limit_bytes {
                field.push_str(text);
            }
        }
        if self.created.is_none() {
            self.created = chunk.created.and_then(|at| serde_json::from_str(at.get()).ok());
        }
        if let Some(usage) = chunk.usage
            && usage.get().len() <= self.limit_bytes
        {
            self.usage = Some(usage.to_owned());
        }
        for choice in chunk.choices.as_deref().unwrap_or_default() {
            self.add_choice(choice)?;
        }
        Ok(())
    }

    fn add_choice(&mut self, piece: &ChoiceDelta<'_>) -> Result<(), Error> {
        let nothing = Delta::default();
        let delta = piece.delta.as_ref().unwrap_or(&nothing);
        let content = delta.content.map(|content| {
            string_of(content).ok_or_else(|| {
                Error::new(Code::ResponseMalformed, "The content of a chat completion chunk is not a string.")
            })
        });
        let content = content.transpose()?;
        let texts = [
            text_of(delta.refusal.as_ref()),
            text_of(delta.reasoning.as_ref()),
            text_of(delta.reasoning_content.as_ref()),
            text_of(piece.finish_reason.as_ref()),
        ];
        let logprobs = piece.logprobs.as_ref().map_or(0, Logprobs::bytes);
        let grows_by = texts.iter().map(|text| text.len()).sum::<usize>()
            + content.as_ref().map_or(0, |content| content.len())
            + logprobs;
        self.reserve(grows_by)?;

        let choice = self.choice(piece.index.unwrap_or(0))?;
        let [refusal, reasoning, reasoning_content, finish_reason] = texts;
        if choice.role.is_empty() {
            choice.role.push_str(text_of(delta.role.as_ref()));
        }
        if let Some(content) = content {
            choice.content.get_or_insert_default().push_str(&content);
        }
        choice.refusal.push_str(refusal);
        choice.reasoning.push_str(reasoning);
        choice.reasoning_content.push_str(reasoning_content);
        if let Some(logprobs) = &piece.logprobs {
            choice.logprobs.get_or_insert_default().add(logprobs);
        }
        if !finish_reason.is_empty() {
            choice.finish_reason.clear();
            choice.finish_reason.push_str(finish_reason);
        }
        let calls = delta.tool_calls.as_deref().unwrap_or_default();
        let call_bytes: Option<usize> = calls.iter().map(|call| choice.tool_calls.add(call)).sum();
        match call_bytes {
            Some(bytes) => self.reserve(bytes),
            None => Err(Error::new(Code::ResponseMalformed, "The answer has too many tool calls.")),
        }
    }

    /// The choice of this index, begun if there is none.
    fn choice(&mut self, index: u32) -> Result<&mut Choice, Error> {
        let found = self.choices.iter().position(|choice| choice.index == index);
        let at = match found {
            Some(at) => at,
            None if self.choices.len() == CHOICES_LIMIT => {
                return Err(Error::new(Code::ResponseMalformed, "The answer has too many choices."));
            }
            None => {
                self.reserve(size_of::<Choice>())?;
                let at = self.choices.iter().take_while(|choice| choice.index < index).count();
                self.choices.insert(at, Choice::new(index));
                at
            }
        };
        self.choices.get_mut(at).ok_or_else(|| Error::new(Code::InternalError, "A choice was lost."))
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        if self.held_bytes <= self.limit_bytes {
            return Ok(());
        }
        Err(Error::new(Code::ResponseMalformed, format!("The answer is larger than {} bytes.", self.limit_bytes)))
    }
}

impl Choice {
    const fn new(index: u32) -> Self {
        Self {
            index,
            role: String::new(),
            content: None,
            refusal: String::new(),
            reasoning: String::new(),
            reasoning_content: String::new(),
            tool_calls: ToolCalls::new(),
            logprobs: None,
            finish_reason: String::new(),
        }
    }
}

impl JoinedLogprobs {
    fn add(&mut self, piece: &Logprobs<'_>) {
        for (joined, items) in [(&mut self.content, &piece.content), (&mut self.refusal, &piece.refusal)] {
            let Some(items) = items else { continue };
            let joined = joined.get_or_insert_default();
            for item in items {
                if !joined.is_empty() {
                    joined.push(',');
                }
                joined.push_str(item.get());
            }
        }
    }

    /// The list as JSON; null if it was never sent.
    fn list(joined: Option<&String>) -> Option<Box<RawValue>> {
        RawValue::from_string(format!("[{}]", joined?)).ok()
    }
}

impl Logprobs<'_> {
    fn bytes(&self) -> usize {
        [&self.content, &self.refusal].into_iter().flatten().flatten().map(|item| item.get().len() + 1).sum()
    }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    system_fingerprint: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_tier: &'a str,
    choices: Vec<WholeChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: u32,
    message: Message<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<WholeLogprobs>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct WholeLogprobs {
    content: Option<Box<RawValue>>,
    refusal: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    refusal: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reasoning: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reasoning_content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Whole<'a>>>,
}

impl<'a> WholeChoice<'a> {
    fn new(choice: &'a Choice) -> Self {
        let tool_calls = choice.tool_calls.whole();
        let content = choice.content.as_deref();
        // Servers begin every stream with an empty content, also that of a tool call.
        let is_filler = tool_calls.is_some() || !choice.refusal.is_empty();
        Self {
            index: choice.index,
            message: Message {
                role: match &*choice.role {
                    "" => "assistant",
                    role => role,
                },
                content: content.filter(|content| !(is_filler && content.is_empty())),
                refusal: &choice.refusal,
                reasoning: &choice.reasoning,
                reasoning_content: &choice.reasoning_content,
                tool_calls,
            },
            logprobs: choice.logprobs.as_ref().map(|logprobs| WholeLogprobs {
                content: JoinedLogprobs::list(logprobs.content.as_ref()),
                refusal: JoinedLogprobs::list(logprobs.refusal.as_ref()),
            }),
            finish_reason: Some(&*choice.finish_reason).filter(|reason| !reason.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests;
