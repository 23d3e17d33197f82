//! Reads an event stream, in whatever pieces it comes.

use alloc::string::String;
use alloc::vec::Vec;
use core::{fmt, mem};

use memchr::memchr2;

use super::event::{Event, Sink, text_of};
use super::line::{Field, Head};
use crate::error::Error;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event, or an unfinished line of one, is larger than the decoder may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overlong {
    /// The limit that was passed.
    pub limit_bytes: usize,
}

impl fmt::Display for Overlong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event is larger than {} bytes", self.limit_bytes)
    }
}

impl core::error::Error for Overlong {}

impl From<Overlong> for Error {
    fn from(overlong: Overlong) -> Self {
        Self::too_large("An event of the stream", overlong.limit_bytes)
    }
}

/// How a stream ended: [`Decoder::finish`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Between two events.
    Whole,
    /// In the middle of an event, which was discarded.
    Cut,
}

/// Turns chunks of bytes into events.
///
/// ```
/// let mut decoder = comind::sse::Decoder::new(1 << 20);
/// let mut seen = Vec::new();
/// for chunk in [&b"data: Sili"[..], b"con\n", b"\n"] {
///     decoder.handle_chunk(chunk, &mut |event: comind::sse::Event<'_>| {
///         seen.push(event.text().into_owned());
///     })?;
/// }
/// assert_eq!(seen, ["Silicon"]);
/// # Ok::<(), comind::sse::Overlong>(())
/// ```
///
/// Chunks may end anywhere, inside a character or between CR and LF; the events do not depend on
/// where. An event is given as soon as its blank line is certain: one ended by CR does not wait
/// for the byte that might be an LF. A block without a `data` field yields no event, but may set
/// the last event id; what is unfinished at the end of the stream is discarded (§9.2.6).
///
/// The time is linear in the bytes, however they are cut. An event that lies whole in one chunk
/// and has one data line is lent from that chunk and copied nowhere.
#[derive(Clone, Debug)]
pub struct Decoder {
    limit_bytes: usize,
    /// Set once the limit was passed; every further chunk is refused.
    refused: bool,
    /// How much of a byte order mark has been seen; its whole length once it cannot come any more.
    mark_bytes: usize,
    /// The last byte was a CR: an LF that comes next belongs to it.
    after_cr: bool,
    /// The line that has begun and not ended.
    line: Vec<u8>,
    /// Kept for its memory, for the next such line.
    spare: Vec<u8>,
    /// That line is a comment, or an unknown field, too long to hold: nobody needs it.
    skips_line: bool,
    /// A field stood in the block that is open.
    block_is_open: bool,
    has_data: bool,
    data: Vec<u8>,
    event_type: String,
    id: Vec<u8>,
    /// `id` has not reached `last_event_id` yet: that waits for the blank line.
    id_is_new: bool,
    last_event_id: String,
    retry_ms: Option<u64>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    ///
    /// `limit_bytes` bounds one event: its data, its type and any one of its lines, however the
    /// bytes are cut. The last event id is held beside it. Comments and unknown fields pass in any
    /// length; a comment longer than the limit is not reported.
    #[must_use]
    pub const fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            refused: false,
            mark_bytes: 0,
            after_cr: false,
            line: Vec::new(),
            spare: Vec::new(),
            skips_line: false,
            block_is_open: false,
            has_data: false,
            data: Vec::new(),
            event_type: String::new(),
            id: Vec::new(),
            id_is_new: false,
            last_event_id: String::new(),
            retry_ms: None,
        }
    }

    /// The last event id: what `Last-Event-ID` says when the stream is asked for again. Empty if none.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The last valid `retry` of the stream, in milliseconds.
    ///
    /// Counts from the end of its line on, also in a block that yields no event. A value that is
    /// not all ASCII digits is ignored (§9.2.6), and so is one beyond 64 bits (ours).
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes the next bytes of the stream and gives every event that they complete to `sink`.
    ///
    /// # Errors
    ///
    /// [`Overlong`] when an event is larger than the limit. The events before it have been given;
    /// this and every later chunk is refused.
    pub fn handle_chunk<S: Sink + ?Sized>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), Overlong> {
        if self.refused {
            return Err(self.overlong());
        }
        let outcome = self.handle_lines(chunk, sink);
        self.refused = outcome.is_err();
        outcome
    }

    /// Takes the end of the stream, discards what is unfinished and says whether anything was.
    ///
    /// Afterwards the decoder is at the start of a new stream, with the last event id and the
    /// retry time of the old one, as a reconnection needs them.
    pub fn finish(&mut self) -> End {
        let in_mark = (1..BYTE_ORDER_MARK.len()).contains(&self.mark_bytes);
        let in_line = !self.skips_line && self.line.first().is_some_and(|&byte| byte != b':');
        let end = if self.block_is_open || in_line || in_mark || self.refused { End::Cut } else { End::Whole };
        *self = Self {
            last_event_id: mem::take(&mut self.last_event_id),
            retry_ms: self.retry_ms,
            ..Self::new(self.limit_bytes)
        };
        // An id is sticky: a block without one keeps the old.
        self.id.extend_from_slice(self.last_event_id.as_bytes());
        end
    }

    fn handle_lines<S: Sink + ?Sized>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), Overlong> {
        let mut rest = self.skip_start(chunk);
        let mut held = Vec::new();
        // The data of the open event while it is one line, of this chunk or begun before it.
        let mut lent: Option<&[u8]> = None;
        if !self.line.is_empty() || self.skips_line {
            let Some(at) = find_line_end(rest) else { return self.hold(rest, None) };
            let (line, tail) = rest.split_at(at);
            self.hold(line, None)?;
            rest = self.skip_terminator(tail);
            if !mem::take(&mut self.skips_line) {
                held = mem::replace(&mut self.line, mem::take(&mut self.spare));
                lent = self.take_line(&held, None, sink)?;
            }
        }
        while let Some(at) = find_line_end(rest) {
            let (line, tail) = rest.split_at(at);
            rest = self.skip_terminator(tail);
            if line.is_empty() {
                self.end_block(lent.take(), sink);
            } else {
                lent = self.take_line(line, lent, sink)?;
            }
        }
        self.hold(rest, lent)?;
        self.keep(lent);
        if !held.is_empty() {
            held.clear();
            self.spare = held;
        }
        Ok(())
    }

    /// Takes one whole line that is not blank; returns what is lent then.
    fn take_line<'l, S: Sink + ?Sized>(
        &mut self,
        line: &'l [u8],
        lent: Option<&'l [u8]>,
        sink: &mut S,
    ) -> Result<Option<&'l [u8]>, Overlong> {
        // Nearly every line there is.
        if let Some(value) = line.strip_prefix(b"data: ")
            && !self.has_data
            && line.len() <= self.room(None)
        {
            self.block_is_open = true;
            self.has_data = true;
            return Ok(Some(value));
        }
        let Some(value) = self.handle_line(line, lent, sink)? else { return Ok(lent) };
        if mem::replace(&mut self.has_data, true) {
            self.keep(lent);
            self.data.push(b'\n');
            self.data.extend_from_slice(value);
            return Ok(None);
        }
        Ok(Some(value))
    }

    /// Passes over the byte order mark at the start of the stream, and the LF of a CRLF cut in two.
    fn skip_start<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let mut rest = chunk;
        while let Some(expected) = BYTE_ORDER_MARK.get(self.mark_bytes) {
            match rest.split_first() {
                None => return rest,
                Some((byte, tail)) if byte == expected => {
                    self.mark_bytes += 1;
                    rest = tail;
                }
                Some(_) => {
                    // No mark after all: what looked like one begins the first line.
                    let seen = BYTE_ORDER_MARK.get(..self.mark_bytes).unwrap_or_default();
                    self.line.extend_from_slice(seen);
                    self.mark_bytes = BYTE_ORDER_MARK.len();
                }
            }
        }
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        rest
    }

    /// Passes over the LF, CR or CRLF that `tail` begins with.
    const fn skip_terminator<'c>(&mut self, tail: &'c [u8]) -> &'c [u8] {
        match tail {
            [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
            [b'\r'] => {
                self.after_cr = true;
                &[]
            }
            [_, rest @ ..] => rest,
            [] => tail,
        }
    }

    /// Interprets one whole line that is not blank; returns the value of a `data` field.
    fn handle_line<'l, S: Sink + ?Sized>(
        &mut self,
        line: &'l [u8],
        lent: Option<&[u8]>,
        sink: &mut S,
    ) -> Result<Option<&'l [u8]>, Overlong> {
        let fits = line.len() <= self.room(lent);
        let field = Field::parse(line);
        match field {
            Field::Comment(text) => {
                if fits {
                    sink.comment(text);
                }
                return Ok(None);
            }
            Field::Unknown => return Ok(None),
            _ if !fits => return Err(self.overlong()),
            _ => self.block_is_open = true,
        }
        match field {
            Field::Data(value) => return Ok(Some(value)),
            Field::EventType(value) => {
                self.event_type.clear();
                self.event_type.push_str(&text_of(value));
            }
            Field::Id(value) => {
                self.id.clear();
                self.id.extend_from_slice(value);
                self.id_is_new = true;
            }
            Field::Retry(wait_ms) => self.retry_ms = Some(wait_ms),
            Field::Void | Field::Comment(_) | Field::Unknown => {}
        }
        Ok(None)
    }

    /// The blank line: the event, if there is one, has ended.
    fn end_block<S: Sink + ?Sized>(&mut self, lent: Option<&[u8]>, sink: &mut S) {
        if mem::take(&mut self.id_is_new) {
            self.last_event_id.clear();
            self.last_event_id.push_str(&String::from_utf8_lossy(&self.id));
        }
        if mem::take(&mut self.has_data) {
            sink.event(Event {
                event_type: match &*self.event_type {
                    "" => "message",
                    named => named,
                },
                id: &self.last_event_id,
                data: lent.unwrap_or(&self.data),
            });
            self.data.clear();
        }
        self.event_type.clear();
        self.block_is_open = false;
    }

    /// Copies what was lent from a chunk that will be gone, or that a second line joins.
    fn keep(&mut self, lent: Option<&[u8]>) {
        self.data.extend_from_slice(lent.unwrap_or_default());
    }

    /// Keeps a piece of a line that has not ended.
    fn hold(&mut self, piece: &[u8], lent: Option<&[u8]>) -> Result<(), Overlong> {
        if self.skips_line {
            return Ok(());
        }
        let fits = self.line.len().saturating_add(piece.len()) <= self.room(lent);
        if !fits {
            match Head::of(&self.line, piece) {
                Head::Field => return Err(self.overlong()),
                Head::Ignored => {
                    self.line.clear();
                    self.skips_line = true;
                    return Ok(());
                }
                Head::Open => {}
            }
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    /// How long a line of the open event may be.
    fn room(&self, lent: Option<&[u8]>) -> usize {
        let open_bytes = self.data.len() + lent.map_or(0, <[u8]>::len) + self.event_type.len();
        self.limit_bytes.saturating_sub(open_bytes)
    }

    const fn overlong(&self) -> Overlong {
        Overlong { limit_bytes: self.limit_bytes }
    }
}

/// Where the line ends; a blank one is known without a search.
fn find_line_end(rest: &[u8]) -> Option<usize> {
    if let Some(b'\n' | b'\r') = rest.first() { Some(0) } else { memchr2(b'\n', b'\r', rest) }
}

#[cfg(test)]
mod tests;
