//! Joins the chunks of a stream into one completion.

use alloc::string::String;
use alloc::vec::Vec;

use super::DONE;
use super::chunk::{ChoiceDelta, Chunk, Logprobs, text_of};
use super::failure::read_failure;
use super::memo::Memo;
use super::tool_call::ToolCalls;
use crate::error::{Code, Error};
use crate::json::{push_number, push_string};

/// How many choices an answer may have: as many as OpenAI's `n` allows.
const CHOICES_LIMIT: usize = 128;

/// What an event turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen<'d> {
    /// A chunk.
    Chunk,
    /// A chunk that says nothing but a text: later ones may differ from it in that text alone.
    Model,
    /// Such a later one: the chunk is the last [`Model`](Self::Model) but for its text, this JSON string.
    Text(&'d str),
    /// `[DONE]`.
    Done,
}

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
/// The pieces of a streamed `text_completion` it turns into a whole one, but for their logprobs.
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
    /// A text is being continued: `text_completion`.
    is_text: bool,
    id: String,
    created: Option<u64>,
    model: String,
    system_fingerprint: String,
    service_tier: String,
    /// JSON text; empty if none came.
    usage: String,
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
            is_text: false,
            id: String::new(),
            created: None,
            model: String::new(),
            system_fingerprint: String::new(),
            service_tier: String::new(),
            usage: String::new(),
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
    pub fn handle_data<'d>(&mut self, data: &'d str) -> Result<Seen<'d>, Error> {
        if let Some((index, text)) = self.memo.recall(data) {
            self.reserve(text.len())?;
            let choice = self.choice(index)?;
            choice.content.get_or_insert_default().push_str(&text);
            return Ok(Seen::Text(self.memo.quoted(data)));
        }
        if data == DONE {
            self.is_done = true;
            return Ok(Seen::Done);
        }
        let chunk = Chunk::parse(data).map_err(|_| {
            Error::new(Code::ResponseMalformed, "An event of the stream is not a chat completion chunk.")
        })?;
        self.add_chunk(&chunk)?;
        Ok(if self.memo.learn(data, &chunk) { Seen::Model } else { Seen::Chunk })
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

    /// What the answer has cost, as the server's JSON text; empty if it did not say.
    #[must_use]
    pub fn usage(&self) -> &str {
        &self.usage
    }

    /// The completion so far, as JSON text of the shape that a call without `stream` gives.
    ///
    /// Choices stand in the order of their index. `content` is null where a message has only
    /// tool calls, a refusal or reasoning; `finish_reason` is null where none came.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::from(r#"{"id":"#);
        push_string(&mut json, &self.id);
        json.push_str(if self.is_text { r#","object":"text_completion""# } else { r#","object":"chat.completion""# });
        json.push_str(r#","created":"#);
        push_number(&mut json, self.created.unwrap_or_default());
        json.push_str(r#","model":"#);
        push_string(&mut json, &self.model);
        push_member(&mut json, "system_fingerprint", &self.system_fingerprint);
        push_member(&mut json, "service_tier", &self.service_tier);
        json.push_str(r#","choices":["#);
        for (place, choice) in self.choices.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            choice.push_json(&mut json, self.is_text);
        }
        json.push(']');
        if !self.usage.is_empty() {
            json.push_str(r#","usage":"#);
            json.push_str(&self.usage);
        }
        json.push('}');
        json
    }

    fn add_chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Error> {
        if let Some(error) = chunk.error {
            return Err(read_failure(error));
        }
        for (field, member) in [
            (&mut self.id, &chunk.id),
            (&mut self.model, &chunk.model),
            (&mut self.system_fingerprint, &chunk.system_fingerprint),
            (&mut self.service_tier, &chunk.service_tier),
        ] {
            let text = text_of(member);
            if field.is_empty() && text.len() <= self.limit_bytes {
                field.push_str(text);
            }
        }
        if self.created.is_none() {
            self.created = chunk.created.and_then(|at| at.parse().ok());
        }
        if let Some(usage) = chunk.usage
            && usage.len() <= self.limit_bytes
        {
            self.usage.clear();
            self.usage.push_str(usage);
        }
        for choice in &chunk.choices {
            self.add_choice(choice)?;
        }
        Ok(())
    }

    fn add_choice(&mut self, piece: &ChoiceDelta<'_>) -> Result<(), Error> {
        let delta = &piece.delta;
        let content = delta.content.as_ref().map(|content| &*content.text);
        let texts = [&delta.refusal, &delta.reasoning, &delta.reasoning_content, &piece.finish_reason].map(text_of);
        let logprobs = piece.logprobs.as_ref().map_or(0, Logprobs::bytes);
        let grows_by = texts.iter().map(|text| text.len()).sum::<usize>() + content.map_or(0, str::len) + logprobs;
        self.reserve(grows_by)?;

        self.is_text |= piece.is_text;
        let choice = self.choice(piece.index)?;
        let [refusal, reasoning, reasoning_content, finish_reason] = texts;
        if choice.role.is_empty() {
            choice.role.push_str(text_of(&delta.role));
        }
        if let Some(content) = content {
            choice.content.get_or_insert_default().push_str(content);
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
        let call_bytes: Option<usize> = delta.tool_calls.iter().map(|call| choice.tool_calls.add(call)).sum();
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
        Err(Error::too_large("The answer", self.limit_bytes))
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
                joined.push_str(item);
            }
        }
    }

    fn push_json(&self, json: &mut String) {
        for (name, joined) in [(r#"{"content":"#, &self.content), (r#","refusal":"#, &self.refusal)] {
            json.push_str(name);
            match joined {
                None => json.push_str("null"),
                Some(joined) => {
                    json.push('[');
                    json.push_str(joined);
                    json.push(']');
                }
            }
        }
        json.push('}');
    }
}

impl Choice {
    fn push_json(&self, json: &mut String, is_text: bool) {
        json.push_str(r#"{"index":"#);
        push_number(json, self.index.into());
        if is_text {
            json.push_str(r#","text":"#);
            push_string(json, self.content.as_deref().unwrap_or_default());
        } else {
            self.push_message(json);
        }
        if let Some(logprobs) = self.logprobs.as_ref().filter(|_| !is_text) {
            json.push_str(r#","logprobs":"#);
            logprobs.push_json(json);
        }
        json.push_str(r#","finish_reason":"#);
        match &*self.finish_reason {
            "" => json.push_str("null"),
            reason => push_string(json, reason),
        }
        json.push('}');
    }

    fn push_message(&self, json: &mut String) {
        json.push_str(r#","message":{"role":"#);
        push_string(json, if self.role.is_empty() { "assistant" } else { &self.role });
        // Servers begin every stream with an empty content, also that of a tool call.
        let is_filler = !self.tool_calls.is_empty() || !self.refusal.is_empty();
        json.push_str(r#","content":"#);
        match &self.content {
            Some(content) if !(is_filler && content.is_empty()) => push_string(json, content),
            _ => json.push_str("null"),
        }
        push_member(json, "refusal", &self.refusal);
        push_member(json, "reasoning", &self.reasoning);
        push_member(json, "reasoning_content", &self.reasoning_content);
        if !self.tool_calls.is_empty() {
            json.push_str(r#","tool_calls":"#);
            self.tool_calls.push_json(json);
        }
        json.push('}');
    }
}

/// A member of an object that has one before it; none for an empty text.
fn push_member(json: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        json.push(',');
        push_string(json, name);
        json.push(':');
        push_string(json, text);
    }
}

#[cfg(test)]
mod tests;
