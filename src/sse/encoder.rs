//! Writes events and comments.

use alloc::string::String;
use core::fmt;

use crate::error::{Code, Error};

/// The comment that keeps a silent stream open, as bytes ready to be written between two events.
///
/// Readers skip it; a write to a connection that nobody holds any more fails, and so tells.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// A type or an id that the format cannot carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unwritable {
    /// `event` or `id`.
    pub field: &'static str,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event's `{}` holds a line end or NUL", self.field)
    }
}

impl core::error::Error for Unwritable {}

impl From<Unwritable> for Error {
    fn from(_: Unwritable) -> Self {
        Self::new(Code::InternalError, "An event could not be written.")
    }
}

/// Writes `data` as one event without type or id: `{"a":1}` becomes `data: {"a":1}\n\n`.
///
/// Each line of `data` becomes a `data` line, whichever way it ends (LF, CR, CRLF); the reader
/// joins them by LF, so that a CR does not survive. That is the format's own limit.
pub fn write_data(out: &mut String, data: &str) {
    write_lines(out, "data: ", data);
    out.push('\n');
}

/// Writes one event: `event: tick\nid: 7\ndata: x\n\n`.
///
/// An empty `event_type` is the default (`message`) and leaves no line; an `id` of `Some("")`
/// resets the reader's last event id, `None` leaves it.
///
/// # Errors
///
/// [`Unwritable`] for a line end in the type or the id, or NUL in the id (a reader ignores such an
/// id, §9.2.6) or the type; nothing is written then.
pub fn write_event(out: &mut String, event_type: &str, id: Option<&str>, data: &str) -> Result<(), Unwritable> {
    for (field, value) in [("event", event_type), ("id", id.unwrap_or_default())] {
        if value.contains(['\r', '\n', '\0']) {
            return Err(Unwritable { field });
        }
    }
    if !event_type.is_empty() {
        write_line(out, "event: ", event_type);
    }
    if let Some(id) = id {
        write_line(out, "id: ", id);
    }
    write_data(out, data);
    Ok(())
}

/// Writes a comment, which readers skip: `hello` becomes `: hello\n\n`.
///
/// The blank line behind it keeps it apart from the next event, also for readers that split at
/// blank lines. To be written between events only.
pub fn write_comment(out: &mut String, text: &str) {
    write_lines(out, ": ", text);
    out.push('\n');
}

fn write_lines(out: &mut String, prefix: &str, text: &str) {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest.as_bytes()) {
        let (line, tail) = rest.split_at(at);
        write_line(out, prefix, line);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    write_line(out, prefix, rest);
}

fn write_line(out: &mut String, prefix: &str, line: &str) {
    out.push_str(prefix);
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::{Decoder, End, Event, Sink};
    use std::string::ToString;
    use std::vec::Vec;

    #[derive(Default)]
    struct Seen {
        events: Vec<(String, String, String)>,
        comments: Vec<String>,
    }

    impl Sink for Seen {
        fn event(&mut self, event: Event<'_>) {
            self.events.push((event.event_type.to_string(), event.id.to_string(), event.text().into_owned()));
        }
        fn comment(&mut self, text: &[u8]) {
            self.comments.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn decode(text: &str) -> Seen {
        let mut seen = Seen::default();
        let mut decoder = Decoder::new(1024);
        decoder.handle_chunk(text.as_bytes(), &mut seen).unwrap();
        assert_eq!(decoder.finish(), End::Whole);
        seen
    }

    #[test]
    fn data_is_written_in_one_plain_line() {
        let mut out = String::new();
        write_data(&mut out, r#"{"a":1}"#);
        assert_eq!(out, "data: {\"a\":1}\n\n");
    }

    #[test]
    fn every_kind_of_line_end_starts_a_new_data_line() {
        for (data, read) in [
            ("a\nb", "a\nb"),
            ("a\rb", "a\nb"),
            ("a\r\nb", "a\nb"),
            ("a\n\rb", "a\n\nb"),
            ("\n", "\n"),
            ("", ""),
            (" leading", " leading"),
            ("id: 9\n\ndata: forged\r\revent: x", "id: 9\n\ndata: forged\n\nevent: x"),
            ("\u{feff}é\n", "\u{feff}é\n"),
        ] {
            let mut out = String::new();
            write_data(&mut out, data);
            let seen = decode(&out);
            assert_eq!(seen.events.len(), 1, "{data:?}");
            assert_eq!(seen.events[0].2, read, "{data:?}");
            assert_eq!(seen.events[0].1, "", "{data:?}");
        }
    }

    #[test]
    fn type_and_id_come_back() {
        let mut out = String::new();
        write_event(&mut out, "tick", Some("7"), "x").unwrap();
        write_event(&mut out, "", None, "y").unwrap();
        write_event(&mut out, "", Some(""), "z").unwrap();
        let seen: Vec<_> = decode(&out).events;
        let rows: Vec<[&str; 3]> = seen.iter().map(|(t, i, d)| [&**t, &**i, &**d]).collect();
        assert_eq!(rows, [["tick", "7", "x"], ["message", "7", "y"], ["message", "", "z"]]);
    }

    #[test]
    fn a_line_end_or_nul_in_type_or_id_is_refused_and_nothing_written() {
        for bad in ["a\nb", "a\rb", "\0"] {
            let mut out = String::new();
            let field = write_event(&mut out, bad, None, "x").unwrap_err().field;
            assert_eq!((field, &*out), ("event", ""));
            let field = write_event(&mut out, "", Some(bad), "x").unwrap_err().field;
            assert_eq!((field, &*out), ("id", ""));
        }
    }

    #[test]
    fn comments_stay_comments_on_every_line() {
        let mut out = String::new();
        write_comment(&mut out, "a\ndata: forged\r\n\rb");
        let seen = decode(&out);
        assert!(seen.events.is_empty());
        assert_eq!(seen.comments, [" a", " data: forged", " ", " b"]);
        assert_eq!(decode(KEEP_ALIVE).comments, [" keep-alive"]);
    }
}
