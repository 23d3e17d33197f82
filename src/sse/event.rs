//! An event, and who takes it.

use alloc::borrow::Cow;
use alloc::string::String;

/// One event, lent for the length of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// `message` unless the event names another; never empty.
    pub event_type: &'a str,
    /// The last event id at this point of the stream: it stays until another replaces it.
    pub id: &'a str,
    /// The data lines, joined by LF: the bytes as they came, not yet checked to be UTF-8.
    pub data: &'a [u8],
}

impl<'a> Event<'a> {
    /// The data as text.
    ///
    /// Borrows when the bytes are UTF-8. Else every maximal invalid part becomes one U+FFFD
    /// (WHATWG Encoding, "UTF-8 decode without BOM").
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        text_of(self.data)
    }
}

/// Where a [`Decoder`](super::Decoder) puts what it finds. Any `FnMut(Event<'_>)` is one.
pub trait Sink {
    /// An event has ended.
    fn event(&mut self, event: Event<'_>);

    /// A comment line: what stands after the colon, verbatim. Ignored unless implemented.
    fn comment(&mut self, text: &[u8]) {
        let _ = text;
    }
}

impl<F: FnMut(Event<'_>)> Sink for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}

/// The bytes as text, each maximal invalid part replaced.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // The check alone is many times faster than `from_utf8_lossy` on bytes that are fine.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
