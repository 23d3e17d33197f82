//! Finds where events end.

use memchr::memchr2;

/// Where in a block of lines the last byte left off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Before the first byte of a block.
    BlockStart,
    /// In a block, before the first byte of a line.
    LineStart,
    /// In a line.
    InLine,
}

/// Finds blank lines in a stream that comes in pieces: LF, CR and CRLF, in any mixture.
#[derive(Clone, Debug)]
pub(super) struct Boundaries {
    place: Place,
    /// The last byte was a CR: an LF that comes next belongs to it.
    after_cr: bool,
}

impl Boundaries {
    /// At the start of a stream.
    pub(super) const fn new() -> Self {
        Self { place: Place::BlockStart, after_cr: false }
    }

    /// The offset behind the next blank line of `chunk`, looking from `from` on; `None` when the
    /// rest of the chunk has none.
    ///
    /// To be called until it gives `None`, each time from where the last call left off. A blank
    /// line ended by CR counts at once; the LF that may follow is then a boundary of its own.
    pub(super) fn next_end(&mut self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        if self.after_cr
            && let Some(&byte) = chunk.get(at)
        {
            self.after_cr = false;
            if byte == b'\n' {
                at += 1;
                if self.place == Place::BlockStart {
                    return Some(at);
                }
            }
        }
        loop {
            let rest = chunk.get(at..)?;
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                if !rest.is_empty() {
                    self.place = Place::InLine;
                }
                return None;
            };
            let is_blank = length == 0 && self.place != Place::InLine;
            at += length + 1;
            if rest.get(length) == Some(&b'\r') {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if is_blank {
                self.place = Place::BlockStart;
                return Some(at);
            }
            self.place = Place::LineStart;
        }
    }

    /// The bytes that end the open block: the rest of its last line, and a blank one.
    pub(super) const fn closing(&self) -> &'static [u8] {
        match self.place {
            // After CR the first LF only completes a CRLF.
            Place::LineStart if !self.after_cr => b"\n",
            Place::BlockStart | Place::LineStart | Place::InLine => b"\n\n",
        }
    }
}
