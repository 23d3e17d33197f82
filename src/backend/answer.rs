//! A backend's whole answer: whether it is one, and what it says it cost.

use crate::json::Reader;
use crate::types::Usage;

/// What there is to know of a whole answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completion {
    /// What it says it cost; `None` if nothing, or something odd: that is the caller's to wonder at.
    pub usage: Option<Usage>,
}

impl Completion {
    /// Reads a completion or a list of embeddings, in one pass. `None` for what is no JSON object: the page of a proxy, say.
    ///
    /// ```
    /// use comind::backend::Completion;
    /// let answer = br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
    /// assert_eq!(Completion::read(answer).unwrap().usage.unwrap().total_tokens, 7);
    /// assert_eq!(Completion::read(b"<html>"), None);
    /// ```
    #[must_use]
    pub fn read(answer: &[u8]) -> Option<Self> {
        let mut usage = None;
        let text = core::str::from_utf8(answer).ok()?;
        // As deep as it likes: nothing here recurses.
        let mut reader = Reader::within(text, u32::MAX);
        let read = reader.object(|reader, name| {
            if name != "usage" {
                return reader.skip();
            }
            usage = reader.optional_raw()?;
            Ok(())
        });
        read.and_then(|()| reader.end()).ok()?;
        Some(Self { usage: usage.and_then(|usage| serde_json::from_str(usage).ok()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_where_it_is_usage() {
        let usage =
            |answer: &str| Completion::read(answer.as_bytes()).map(|it| it.usage.map(|usage| usage.total_tokens));
        assert_eq!(
            usage(r#" {"usage":{"total_tokens":9,"details":{"a":[1]}},"x":{"usage":{"total_tokens":1}}} "#),
            Some(Some(9))
        );
        assert_eq!(usage(r#"{"usage":{}}"#), Some(Some(0)));
        for odd in ["{}", r#"{"usage":null}"#, r#"{"usage":7}"#, r#"{"usage":{"total_tokens":-1}}"#] {
            assert_eq!(usage(odd), Some(None), "{odd}");
        }
        for not in ["", "[]", "{", r#"{"a":1}x"#, "<html></html>", "null", "\"{}\""] {
            assert_eq!(usage(not), None, "{not}");
        }
        assert_eq!(Completion::read(b"{\"a\":\"\xff\"}"), None);
        let deep = std::format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(usage(&deep), Some(None));
    }
}
