//! Finds the text of a chunk by what surrounds it.

use alloc::borrow::Cow;
use alloc::vec::Vec;

// Compared in words: in wasm, `==` on slices goes byte by byte.
use memchr::arch::all::{is_equal, is_prefix, is_suffix};
use memchr::memchr2;

use super::chunk::{Chunk, Content, text_of};
use crate::json::Reader;

/// What surrounds a text that is remembered at most, in bytes; ours: chunks have some 200.
const LIMIT_BYTES: usize = 4096;

/// Remembers the bytes around the text of one chunk, to know the next chunk by them.
///
/// Nearly every chunk of a stream differs from the one before only in `choices[0].delta.content`.
/// If a chunk begins with the same bytes up to the text's opening quote, and after the closing
/// quote ends with the same bytes, then it is the same JSON document but for the text: nothing
/// else in it needs to be read. That is exact, not a guess, and several times faster than a parse.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    before: Vec<u8>,
    after: Vec<u8>,
    choice: u32,
}

impl Memo {
    /// A memo of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { before: Vec::new(), after: Vec::new(), choice: 0 }
    }

    /// The text that the chunk adds to choice 0; `None` if it adds none, or is no chunk.
    ///
    /// `{"choices":[{"index":0,"delta":{"content":"Sili"}}]}` gives `Sili`. An empty text counts
    /// as none. Errors and finish reasons are not seen: the [`Accumulator`](super::Accumulator)
    /// sees them.
    pub fn delta_text<'d>(&mut self, data: &'d str) -> Option<Cow<'d, str>> {
        let text = match self.recall(data) {
            Some((0, text)) => text,
            Some(_) => return None,
            None => {
                let chunk = Chunk::parse(data).ok()?;
                self.learn(data, &chunk);
                chunk.choices.into_iter().find(|choice| choice.index == 0)?.delta.content?.text
            }
        };
        (!text.is_empty()).then_some(text)
    }

    /// The choice and the text of a chunk that is like the remembered one.
    pub(super) fn recall<'d>(&self, data: &'d str) -> Option<(u32, Cow<'d, str>)> {
        if self.before.is_empty() {
            return None;
        }
        let text_at = self.before.len();
        if !is_prefix(data.as_bytes(), &self.before) {
            return None;
        }
        let tail = data.as_bytes().get(text_at..)?;
        let length = memchr2(b'"', b'\\', tail)?;
        if tail.get(length) == Some(&b'"') {
            if !is_equal(tail.get(length + 1..)?, &self.after) {
                return None;
            }
            let text = data.get(text_at..text_at + length)?;
            // JSON allows no control character here: let a parser complain.
            return (!text.bytes().any(|byte| byte < b' ')).then_some((self.choice, Cow::Borrowed(text)));
        }
        // An escape. The string, quotes included, must be all that lies between the two parts.
        let end = data.len().checked_sub(self.after.len())?;
        let quoted = data.get(text_at - 1..end)?;
        if !is_suffix(data.as_bytes(), &self.after) {
            return None;
        }
        Some((self.choice, Reader::whole(quoted, Reader::string).ok()?))
    }

    /// Remembers what surrounds the text of `chunk`, which was parsed from `data`, if it says
    /// nothing but its text; else remembers what it did. Says whether it does.
    pub(super) fn learn(&mut self, data: &str, chunk: &Chunk<'_>) -> bool {
        let Some((choice, content)) = plain_content(chunk) else {
            return false;
        };
        let (Some(before), Some(after)) = (data.get(..=content.start), data.get(content.end..)) else {
            return false;
        };
        if before.len() + after.len() > LIMIT_BYTES {
            return false;
        }
        self.choice = choice;
        self.before.clear();
        self.before.extend_from_slice(before.as_bytes());
        self.after.clear();
        self.after.extend_from_slice(after.as_bytes());
        true
    }

    /// The text of a chunk that was recalled as it stands there, with its quotes.
    pub(super) fn quoted<'d>(&self, data: &'d str) -> &'d str {
        data.get(self.before.len().saturating_sub(1)..data.len().saturating_sub(self.after.len())).unwrap_or_default()
    }
}

/// The choice and the content of a chunk that says nothing else that could matter.
fn plain_content<'c, 'a>(chunk: &'c Chunk<'a>) -> Option<(u32, &'c Content<'a>)> {
    let [choice] = chunk.choices.as_slice() else {
        return None;
    };
    let delta = &choice.delta;
    let is_plain = chunk.usage.is_none()
        && chunk.error.is_none()
        && choice.logprobs.is_none()
        && delta.tool_calls.is_empty()
        && [&choice.finish_reason, &delta.refusal, &delta.reasoning, &delta.reasoning_content]
            .into_iter()
            .all(|text| text_of(text).is_empty());
    Some((choice.index, delta.content.as_ref().filter(|_| is_plain)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn chunk(text: &str) -> std::string::String {
        format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}],"usage":null}}"#
        )
    }

    #[test]
    fn a_known_surrounding_gives_the_same_text_as_a_parser() {
        let mut memo = Memo::new();
        assert_eq!(memo.delta_text(&chunk(r#""Hi""#)).as_deref(), Some("Hi"));
        for (quoted, text) in [
            (r#"" there""#, " there"),
            (r#""a\nb""#, "a\nb"),
            (r#""\"}],\"usage\":null}""#, "\"}],\"usage\":null}"),
            (r#""\\""#, "\\"),
            (r#""\u00e9\ud83d\ude00""#, "é😀"),
            (r#""é😀""#, "é😀"),
        ] {
            let data = chunk(quoted);
            assert_eq!(memo.recall(&data), Some((0, text.into())), "{quoted}");
            assert_eq!(Memo::new().delta_text(&data).as_deref(), Some(text));
        }
        assert_eq!(memo.delta_text(&chunk(r#""""#)), None);
    }

    #[test]
    fn text_without_an_escape_is_borrowed_from_the_chunk() {
        let mut memo = Memo::new();
        for text in [r#""first""#, r#""second""#] {
            let data = chunk(text);
            assert!(matches!(memo.delta_text(&data), Some(Cow::Borrowed(_))));
        }
    }

    #[test]
    fn whatever_is_not_the_same_document_is_not_recalled() {
        let mut memo = Memo::new();
        memo.delta_text(&chunk(r#""Hi""#));
        for other in [
            chunk("null"),
            chunk(r#""a","role":"x""#),
            chunk(r#""a" "#),
            chunk("\"tab\there\""),
            chunk(r#""bad \x escape""#),
            chunk(r#""a\"b","refusal":"c""#),
            chunk(r#""a\\"}},"x":{"y":{"z":"b""#),
            chunk(r#""Hi""#).replace("null}]", r#""stop"}]"#),
            chunk(r#""Hi""#).replace(r#""id":"c""#, r#""id":"d""#),
            chunk(r#""Hi"#),
            std::string::String::new(),
        ] {
            assert_eq!(memo.recall(&other), None, "{other}");
        }
        // A cut chunk whose rest overlaps with what stood before the text.
        let data = chunk(r#""Hi""#);
        for length in 0..data.len() {
            assert_eq!(memo.recall(&data[..length]), None);
        }
    }

    #[test]
    fn only_a_chunk_that_says_nothing_else_is_remembered() {
        for data in [
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"content":"a","reasoning":"b"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a","tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"},"index":1}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"total_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"a"}}],"error":{"message":"x"}}"#,
        ] {
            let mut memo = Memo::new();
            memo.delta_text(data);
            assert_eq!(memo.recall(data), None, "{data}");
        }
        let data = r#"{"choices":[{"index":1,"delta":{"content":"a"}}]}"#;
        let mut memo = Memo::new();
        assert_eq!(memo.delta_text(data), None, "not choice 0");
        assert_eq!(memo.recall(data), Some((1, "a".into())));
        assert_eq!(memo.delta_text(data), None, "not choice 0 when recalled either");
    }

    #[test]
    fn surroundings_that_are_too_long_are_not_remembered() {
        let of = |length: usize| {
            let head = r#"{"choices":[{"delta":{"content":""}}],"x":""}"#.len();
            let pad = "p".repeat(length + 1 - head);
            format!(r#"{{"choices":[{{"delta":{{"content":"t"}}}}],"x":"{pad}"}}"#)
        };
        for (length, is_known) in [(LIMIT_BYTES - 1, true), (LIMIT_BYTES + 4, false)] {
            let mut memo = Memo::new();
            let data = of(length);
            memo.delta_text(&data);
            assert_eq!(memo.recall(&data).is_some(), is_known, "{length}");
        }
    }
}
