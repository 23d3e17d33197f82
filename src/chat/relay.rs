//! Lets a backend's stream pass, in whole events, unaltered but for what the rules say.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use super::boundary::Boundaries;
use super::watch::{Fate, Rules, Watch, is_complete};
use crate::sse::encoder::KEEP_ALIVE;
use crate::types::Usage;

/// The bytes to write now: all of `held`, then this range of the chunk that was handed in.
///
/// In the common case, a chunk that ends where an event ends, `held` is empty and the range is
/// the whole chunk: the shell passes the chunk on as the object it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forward<'r> {
    /// Bytes kept back from earlier chunks, with what completed them. Often empty.
    pub held: &'r [u8],
    /// What to write of the present chunk, behind `held`. May be empty.
    pub chunk: Range<usize>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The answer is complete: `[DONE]` came, or every choice gave its finish reason. End the stream.
    Whole,
    /// The backend said itself, in an error event, that it failed. The caller has that event: add
    /// nothing to it, end the stream.
    Failed,
    /// The answer is not complete. Write one error event, then end without `[DONE]`.
    Cut,
}

/// What to do at the end of a stream: write `write`, then act on the verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending<'r> {
    /// How the stream ended.
    pub verdict: Verdict,
    /// The last bytes of the stream, before any error event. Mostly empty.
    pub write: &'r [u8],
}

/// Watches one backend's stream on its way to one caller.
///
/// Bytes pass as they come and unaltered, but for what the [`Rules`] name, and an event is written
/// only when its last byte is there. So between two writes the shell may always put in a heartbeat or an error event, and
/// a backend that dies never leaves half an event with the caller.
///
/// ```
/// # use comind::chat::{Relay, Verdict};
/// let mut relay = Relay::new(1 << 20);
/// let forward = relay.handle_chunk(b"data: {\"a\":1}\n\ndata: [DO");
/// assert_eq!((forward.held, forward.chunk), (&b""[..], 0..15));
/// let forward = relay.handle_chunk(b"NE]\n\n");
/// assert_eq!((forward.held, forward.chunk), (&b"data: [DONE]\n\n"[..], 5..5));
/// assert_eq!(relay.handle_end().verdict, Verdict::Whole);
/// ```
///
/// In passing it notices `[DONE]`, finish reasons, usage and the backend's own error event,
/// wherever these stand in an event. No allocation happens while chunks end where events end.
#[derive(Clone, Debug)]
pub struct Relay {
    limit_bytes: usize,
    /// How many choices were asked for: as many finish reasons make an answer whole.
    choices: u32,
    boundaries: Boundaries,
    /// The beginning of an event that has not ended; none of it is written.
    held: Vec<u8>,
    /// What [`Forward::held`] lends. Kept for its memory.
    lent: Vec<u8>,
    /// Part of the event that has not ended is written: nothing may be put in.
    is_inside: bool,
    /// No byte of the backend's is written yet.
    is_first: bool,
    /// A heartbeat is written.
    has_heartbeat: bool,
    watch: Watch,
}

impl Relay {
    /// A relay at the start of a stream.
    ///
    /// At most `limit_bytes` of an unfinished event are held. Of a larger one the bytes are
    /// released as they come; it is not watched, and until it ends nothing can be put in.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            choices: 1,
            boundaries: Boundaries::new(),
            held: Vec::new(),
            lent: Vec::new(),
            is_inside: false,
            is_first: true,
            has_heartbeat: false,
            watch: Watch::new(Rules::default()),
        }
    }

    /// The same relay with other rules; to be called before the first chunk.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.watch = Watch::new(rules);
        self
    }

    /// The same relay for a request that asked for `n` choices; 1 unless said.
    ///
    /// Without `[DONE]` an answer is whole once so many different choices have finished.
    #[must_use]
    pub fn with_choices(mut self, n: u32) -> Self {
        self.choices = n;
        self
    }

    /// Takes the next bytes of the backend and says which to write now.
    ///
    /// Behind an error event of the backend's own nothing passes any more: vLLM sends `[DONE]` after
    /// it, and a caller would take the cut answer for a whole one.
    pub fn handle_chunk(&mut self, chunk: &[u8]) -> Forward<'_> {
        self.lent.clear();
        if self.watch.has_failed {
            return Forward { held: &self.lent, chunk: 0..0 };
        }
        let written = match self.boundaries.next_end(chunk, 0) {
            None => self.handle_tail(chunk, 0, 0),
            Some(end) => {
                let mut start = self.handle_first_end(chunk, end);
                let mut last = end;
                while !self.watch.has_failed
                    && let Some(end) = self.boundaries.next_end(chunk, last)
                {
                    let fate = self.watch.handle_block(chunk.get(last..end).unwrap_or_default());
                    if fate != Fate::Pass {
                        self.lent.extend_from_slice(chunk.get(start..last).unwrap_or_default());
                        start = end;
                    }
                    if let Fate::Replace(event) = fate {
                        self.lent.extend_from_slice(event.as_bytes());
                    }
                    last = end;
                }
                if self.watch.has_failed { start..last } else { self.handle_tail(chunk, start, last) }
            }
        };
        let chunk = self.drop_late_mark(chunk, written);
        Forward { held: &self.lent, chunk }
    }

    /// Takes the end of the backend's stream, be it orderly, an error or the shell's own patience.
    ///
    /// Bytes of an unfinished event are dropped, unless its data is complete (`[DONE]`, a JSON
    /// object) and only its blank line is missing: that is added. (Ours: the standard would drop
    /// that event too, and with it the last word of servers that forget their last newline.)
    ///
    /// A whole answer that lacks its `[DONE]` gets it: who waits for it must not take the answer for cut.
    pub fn handle_end(&mut self) -> Ending<'_> {
        self.lent.clear();
        if !self.held.is_empty() && is_complete(&self.held) {
            mem::swap(&mut self.held, &mut self.lent);
            self.lent.extend_from_slice(self.boundaries.closing());
            self.watch_lent();
            let all = self.drop_late_mark(&[], 0..0);
            debug_assert!(all.is_empty());
        }
        let verdict = if self.watch.has_failed {
            Verdict::Failed
        } else if self.is_whole() {
            Verdict::Whole
        } else {
            Verdict::Cut
        };
        if verdict == Verdict::Cut && self.is_inside {
            // Half an event is with the caller. Closed, it will not swallow the error event.
            self.lent.extend_from_slice(self.boundaries.closing());
        }
        if verdict == Verdict::Whole && !self.watch.is_done && !self.is_inside {
            self.lent.extend_from_slice(b"data: [DONE]\n\n");
        }
        self.held.clear();
        self.is_inside = false;
        self.boundaries = Boundaries::new();
        Ending { verdict, write: &self.lent }
    }

    /// The heartbeat to write now: a comment, or nothing while the caller has half an event.
    #[must_use]
    pub const fn heartbeat(&mut self) -> &'static str {
        if self.is_inside {
            return "";
        }
        self.has_heartbeat = true;
        KEEP_ALIVE
    }

    /// Whether something of the edge's own may be written now.
    #[must_use]
    pub const fn is_between_events(&self) -> bool {
        !self.is_inside
    }

    /// Whether `[DONE]` has passed. Nothing that matters comes after it: do not wait for the end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.watch.is_done
    }

    /// Whether the answer is complete: `[DONE]` has passed, or every choice has finished.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.watch.is_done || (self.choices > 0 && self.watch.finished() >= self.choices)
    }

    /// Whether the backend has sent an error event of its own.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.watch.has_failed
    }

    /// How many events with data have passed, `[DONE]` included; comments do not count.
    ///
    /// Grows when the backend makes progress, which its own keep-alive comments do not show.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.watch.events
    }

    /// What the completion has cost, by the last event that said so.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.watch.usage
    }

    /// The block that was open ends at `end`; returns from where on the chunk is to be written.
    fn handle_first_end(&mut self, chunk: &[u8], end: usize) -> usize {
        let piece = chunk.get(..end).unwrap_or_default();
        if mem::take(&mut self.is_inside) {
            0
        } else if self.held.is_empty() {
            match self.watch.handle_block(piece) {
                Fate::Pass => 0,
                Fate::Drop => end,
                Fate::Replace(event) => {
                    self.lent.extend_from_slice(event.as_bytes());
                    end
                }
            }
        } else {
            mem::swap(&mut self.held, &mut self.lent);
            if self.lent.len().saturating_add(end) > self.limit_bytes {
                self.watch.handle_overlong();
                return 0;
            }
            self.lent.extend_from_slice(piece);
            self.watch_lent();
            end
        }
    }

    /// Looks at the one block in `lent`, and leaves there what is to be written.
    fn watch_lent(&mut self) {
        match self.watch.handle_block(&self.lent) {
            Fate::Pass => {}
            Fate::Drop => self.lent.clear(),
            Fate::Replace(event) => self.lent = event.into_bytes(),
        }
    }

    /// Holds what the chunk begins of an event at `last`; returns the range to write.
    fn handle_tail(&mut self, chunk: &[u8], start: usize, last: usize) -> Range<usize> {
        let tail = chunk.get(last..).unwrap_or_default();
        if self.is_inside {
            start..chunk.len()
        } else if self.held.len().saturating_add(tail.len()) <= self.limit_bytes {
            self.held.extend_from_slice(tail);
            start..last
        } else {
            self.watch.handle_overlong();
            self.is_inside = true;
            if last == 0 {
                mem::swap(&mut self.held, &mut self.lent);
            }
            start..chunk.len()
        }
    }

    /// A byte order mark means nothing at the start of a stream, but behind a heartbeat it would
    /// become part of the first field's name, and the first event would be lost.
    fn drop_late_mark(&mut self, chunk: &[u8], written: Range<usize>) -> Range<usize> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.is_first || (self.lent.is_empty() && written.is_empty()) {
            return written;
        }
        self.is_first = false;
        if self.has_heartbeat {
            if self.lent.starts_with(MARK) {
                self.lent.drain(..MARK.len());
            } else if self.lent.is_empty() && written.start == 0 && chunk.starts_with(MARK) {
                return MARK.len()..written.end;
            }
        }
        written
    }
}

#[cfg(test)]
mod tests;
