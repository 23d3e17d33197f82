//! Notices what matters in the events that pass (the end, the cost, a failure), and says what is to be
//! done with each.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::DONE;
use super::fix::CallFixer;
use crate::backend;
use crate::sse::encoder::write_data;
use crate::sse::{Decoder, Event};
use crate::types::Usage;

/// A bit for each choice that may finish. OpenAI allows `n` up to 128.
type Choices = u128;

/// What is not passed on as it comes. By default nothing but a backend's own error, which goes on in the
/// one documented form.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// The chunk without choices that says what the stream cost: the caller has not asked for it.
    pub drop_usage_chunk: bool,
    /// The usage in chunks with choices: the edge asked for it.
    pub drop_inline_usage: bool,
    /// The usage in chunks with choices where it is all zeros.
    pub drop_empty_usage: bool,
    /// Tool calls may be odd.
    pub fix_tool_calls: bool,
}

/// What to do with an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It passes as it is.
    Pass,
    /// The caller does not get it.
    Drop,
    /// The caller gets this one instead.
    Replace(String),
}

/// What has been noticed so far.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) is_done: bool,
    pub(super) has_failed: bool,
    pub(super) usage: Option<Usage>,
    /// Data events of any kind, `[DONE]` included.
    pub(super) events: u64,
    finished: Choices,
    /// The next block is the first of the stream: only there a byte order mark means nothing.
    at_start: bool,
    rules: Rules,
    calls: CallFixer,
    search: Search,
}

impl Watch {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            is_done: false,
            has_failed: false,
            usage: None,
            events: 0,
            finished: 0,
            at_start: true,
            rules,
            calls: CallFixer::default(),
            search: Search::new(rules),
        }
    }

    /// How many choices have given a finish reason.
    pub(super) const fn finished(&self) -> u32 {
        self.finished.count_ones()
    }

    /// Looks at one whole block, blank line included.
    ///
    /// Nearly every block is one line of `data` with a piece of text, and is not parsed: what we
    /// look for are members, whose quoted names a JSON string can hold only with the quotes
    /// escaped, so a search for bytes misses none (but for names spelled with `\u`, which no
    /// server writes). What the search finds is then parsed properly.
    pub(super) fn handle_block(&mut self, block: &[u8]) -> Fate {
        let fate = match block {
            [b'\n' | b'\r', ..] => Fate::Pass,
            [b'd', b'a', b't', b'a', b':', b' ', value @ ..] | [b'd', b'a', b't', b'a', b':', value @ ..]
                if value.first() == Some(&b'{') =>
            {
                match only_line(value) {
                    _ if !self.search.may_matter(value) => {
                        self.events += 1;
                        Fate::Pass
                    }
                    Some(json) => {
                        self.events += 1;
                        self.handle_data(json, true)
                    }
                    None => self.examine(block),
                }
            }
            _ => self.examine(block),
        };
        self.at_start = false;
        fate
    }

    /// An event too large to hold passes unwatched, but counts.
    pub(super) fn handle_overlong(&mut self) {
        self.events += 1;
        self.at_start = false;
    }

    fn examine(&mut self, block: &[u8]) -> Fate {
        let mut decoder = Decoder::new(usize::MAX);
        if !self.at_start {
            // A blank line, that a mark in the middle of the stream is taken for what it is.
            let _ = decoder.handle_chunk(b"\n", &mut |_: Event<'_>| {});
        }
        let mut fate = Fate::Pass;
        let _ = decoder.handle_chunk(block, &mut |event: Event<'_>| {
            self.events += 1;
            fate = self.handle_data(&event.text(), false);
        });
        fate
    }

    /// `is_plain`: nothing but this data is in the event, so that it may be written anew.
    fn handle_data(&mut self, data: &str, is_plain: bool) -> Fate {
        if data == DONE {
            self.is_done = true;
            return Fate::Pass;
        }
        // What is not an object of this shape is the caller's to judge; it passes all the same.
        let Ok(glance) = serde_json::from_str::<Glance<'_>>(data) else {
            return Fate::Pass;
        };
        if let Some(error) = glance.error {
            self.has_failed = true;
            return Fate::Replace(to_event(&explain(error)));
        }
        let usage = glance.usage.and_then(parse::<Usage>);
        let spent = usage.or_else(|| glance.timings.and_then(parse::<Timings>).map(Usage::from));
        if let Some(spent) = spent.filter(|spent| spent.total_tokens > 0) {
            self.usage = Some(spent);
        }
        let choices: alloc::vec::Vec<Choice<'_>> = glance.choices.and_then(parse).unwrap_or_default();
        for choice in &choices {
            let has_finished = choice.finish_reason.is_some_and(|reason| reason.get() != r#""""#);
            if has_finished && let Some(bit) = Choices::checked_shl(1, choice.index) {
                self.finished |= bit;
            }
        }
        if usage.is_some() && choices.is_empty() && self.rules.drop_usage_chunk {
            return Fate::Drop;
        }
        if !is_plain {
            return Fate::Pass;
        }
        let mut json = Cow::Borrowed(data);
        if let Some(usage) = usage
            && !choices.is_empty()
            && (self.rules.drop_inline_usage || (self.rules.drop_empty_usage && usage.total_tokens == 0))
            && let Some(rest) = glance.usage.and_then(|value| without_member(data, "\"usage\"", value))
        {
            json = Cow::Owned(rest);
        }
        if self.rules.fix_tool_calls
            && let Some(fixed) = self.calls.fix_chunk(&json)
        {
            json = Cow::Owned(fixed);
        }
        match json {
            Cow::Borrowed(_) => Fate::Pass,
            Cow::Owned(json) => Fate::Replace(to_event(&json)),
        }
    }
}

/// The first line's text, when no other has any.
fn only_line(value: &[u8]) -> Option<&str> {
    let end = memchr::memchr2(b'\n', b'\r', value)?;
    let (line, rest) = value.split_at_checked(end)?;
    let is_only = rest.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
    if is_only { core::str::from_utf8(line).ok() } else { None }
}

fn to_event(json: &str) -> String {
    let mut event = String::new();
    write_data(&mut event, json);
    event
}

/// A backend's error as the envelope of the contract; the status it would have had counts, where it says one.
fn explain(error: &RawValue) -> String {
    const INTERNAL: u16 = 500;
    let code = parse::<Coded<'_>>(error).and_then(|error| error.code?.get().parse().ok());
    let status = code.filter(|status| (400..600).contains(status)).unwrap_or(INTERNAL);
    let body = format!("{{\"error\":{}}}", error.get());
    backend::read_failure(status, body.as_bytes(), None).body
}

/// The object without one of its members, given by its quoted name and its value.
fn without_member(json: &str, name: &str, value: &RawValue) -> Option<String> {
    let at = value.get().as_ptr().addr().checked_sub(json.as_ptr().addr())?;
    let behind = json.get(at + value.get().len()..)?;
    let before = json.get(..at)?.trim_end().strip_suffix(':')?.trim_end().strip_suffix(name)?.trim_end();
    match before.strip_suffix(',') {
        Some(before) => Some([before, behind].concat()),
        None => {
            let behind = behind.trim_start();
            Some([before, behind.strip_prefix(',').unwrap_or(behind)].concat())
        }
    }
}

/// Whether the data is complete in itself, so that only its blank line can be missing.
pub(super) fn is_complete(block: &[u8]) -> bool {
    let mut complete = false;
    let mut judge = |event: Event<'_>| {
        let text = event.text();
        complete = text == DONE || serde_json::from_str::<Glance<'_>>(&text).is_ok();
    };
    let mut decoder = Decoder::new(usize::MAX);
    for piece in [block, b"\n\n"] {
        let _ = decoder.handle_chunk(piece, &mut judge);
    }
    complete
}

/// Finds the members that matter, when they have a value.
#[derive(Clone, Debug)]
struct Search {
    names: [memmem::Finder<'static>; 4],
    /// So many of the names are looked for.
    count: usize,
}

impl Search {
    fn new(rules: Rules) -> Self {
        let names = ["\"finish_reason\"", "\"usage\"", "\"error\"", "\"tool_calls\""];
        let count = if rules.fix_tool_calls { names.len() } else { names.len() - 1 };
        Self { names: names.map(memmem::Finder::new), count }
    }

    /// Whether the JSON may hold something to notice; `true` too often does no harm.
    fn may_matter(&self, json: &[u8]) -> bool {
        self.names.iter().take(self.count).any(|name| {
            name.find_iter(json).any(|at| {
                let after = json.get(at + name.needle().len()..).unwrap_or_default();
                !matches!(after, [b':', b'n', ..] | [b':', b' ', b'n', ..])
            })
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// The members of a chunk that matter here. Each is read for itself: one of an odd type must not hide another.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timings: Option<&'a RawValue>,
}

/// How llama.cpp counts: what it found in its cache, what it read, what it wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Timings {
    cache_n: u64,
    prompt_n: u64,
    predicted_n: u64,
}

impl From<Timings> for Usage {
    fn from(timings: Timings) -> Self {
        let prompt_tokens = timings.cache_n.saturating_add(timings.prompt_n);
        let total_tokens = prompt_tokens.saturating_add(timings.predicted_n);
        Self { prompt_tokens, completion_tokens: timings.predicted_n, total_tokens }
    }
}

#[derive(Deserialize)]
struct Coded<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}
