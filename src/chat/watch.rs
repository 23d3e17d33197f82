//! Notices what matters in the events that pass: the end, the cost, a failure.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::DONE;
use crate::sse::{Decoder, Event};
use crate::types::Usage;

/// A bit for each choice that may finish. OpenAI allows `n` up to 128.
type Choices = u128;

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
    search: Search,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            is_done: false,
            has_failed: false,
            usage: None,
            events: 0,
            finished: 0,
            at_start: true,
            search: Search::new(),
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
    pub(super) fn handle_block(&mut self, block: &[u8]) {
        match block {
            [b'\n' | b'\r', ..] => {}
            [b'd', b'a', b't', b'a', b':', b' ', value @ ..] | [b'd', b'a', b't', b'a', b':', value @ ..]
                if value.first() == Some(&b'{') =>
            {
                if self.search.may_matter(value) {
                    self.examine(block);
                } else {
                    self.events += 1;
                }
            }
            _ => self.examine(block),
        }
        self.at_start = false;
    }

    /// An event too large to hold passes unwatched, but counts.
    pub(super) fn handle_overlong(&mut self) {
        self.events += 1;
        self.at_start = false;
    }

    fn examine(&mut self, block: &[u8]) {
        let mut decoder = Decoder::new(usize::MAX);
        if !self.at_start {
            // A blank line, that a mark in the middle of the stream is taken for what it is.
            let _ = decoder.handle_chunk(b"\n", &mut |_: Event<'_>| {});
        }
        let _ = decoder.handle_chunk(block, &mut |event: Event<'_>| {
            self.events += 1;
            self.handle_data(&event.text());
        });
    }

    fn handle_data(&mut self, data: &str) {
        if data == DONE {
            self.is_done = true;
            return;
        }
        // What is not an object of this shape is the caller's to judge; it passes all the same.
        let Ok(glance) = serde_json::from_str::<Glance<'_>>(data) else {
            return;
        };
        self.has_failed |= glance.error.is_some();
        if let Some(usage) = glance.usage.and_then(parse) {
            self.usage = Some(usage);
        }
        let choices: Option<alloc::vec::Vec<Choice<'_>>> = glance.choices.and_then(parse);
        for choice in choices.unwrap_or_default() {
            let has_finished = choice.finish_reason.is_some_and(|reason| reason.get() != r#""""#);
            if has_finished && let Some(bit) = Choices::checked_shl(1, choice.index) {
                self.finished |= bit;
            }
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
    names: [memmem::Finder<'static>; 3],
}

impl Search {
    fn new() -> Self {
        Self { names: ["\"finish_reason\"", "\"usage\"", "\"error\""].map(memmem::Finder::new) }
    }

    /// Whether the JSON may hold something to notice; `true` too often does no harm.
    fn may_matter(&self, json: &[u8]) -> bool {
        self.names.iter().any(|name| {
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
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}
