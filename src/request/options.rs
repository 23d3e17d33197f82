//! `stream_options`: what the caller asked for, and what a backend is asked besides.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::members::{Members, Name};
use crate::backend::StreamUsage;

/// A place in the body, and what is to stand there instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// Bytes of the body; empty for an insertion.
    pub range: Range<usize>,
    /// JSON text.
    pub text: String,
}

/// What the caller said of the usage of a stream, and where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StreamOptions {
    /// The caller wants the chunk with the usage.
    pub wants_usage: bool,
    /// The caller wants it in every chunk: vLLM's `continuous_usage_stats`.
    pub wants_continuous: bool,
    /// Where the value stands; empty where one may be put in.
    place: Range<usize>,
    /// The other members, as text with a comma before each.
    others: String,
    /// It is not an object: the backend's to complain about.
    is_odd: bool,
}

const USAGE: &str = "include_usage";
const CONTINUOUS: &str = "continuous_usage_stats";

impl StreamOptions {
    /// Reads the member's value, at its place in the body.
    pub(super) fn parse(value: Option<&str>, body: &[u8]) -> Self {
        let Some(text) = value else {
            // Behind the opening brace; a member follows, since `model` is required.
            let start = body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
            return Self { place: start..start, ..Self::default() };
        };
        let at = text.as_ptr().addr().saturating_sub(body.as_ptr().addr());
        let place = at..at + text.len();
        if text == "null" {
            return Self { place, ..Self::default() };
        }
        let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(text) else {
            return Self { is_odd: true, ..Self::default() };
        };
        let is_true = |name: &str| members.iter().any(|(Name(given), value)| given == name && value.get() == "true");
        let others: Vec<String> = members
            .iter()
            .filter(|(Name(name), _)| name != USAGE && name != CONTINUOUS)
            .map(|(Name(name), value)| format!(",{}:{}", crate::types::to_json(&name), value.get()))
            .collect();
        Self {
            wants_usage: is_true(USAGE),
            wants_continuous: is_true(CONTINUOUS),
            place,
            others: others.concat(),
            is_odd: false,
        }
    }

    /// What to change in the body so that the backend says what the stream costs.
    #[must_use]
    pub fn edit(&self, usage: StreamUsage) -> Option<Edit> {
        let continuous = usage == StreamUsage::Continuous;
        let is_enough = self.wants_usage && (self.wants_continuous || !continuous);
        if usage == StreamUsage::Unasked || is_enough || self.is_odd {
            return None;
        }
        let with = if continuous { ",\"continuous_usage_stats\":true" } else { "" };
        let options = format!("{{\"{USAGE}\":true{with}{}}}", self.others);
        let text = if self.place.is_empty() { format!("\"stream_options\":{options},") } else { options };
        Some(Edit { range: self.place.clone(), text })
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::StreamUsage;
    use crate::request::{InferenceRequest, Operation};
    use std::string::String;

    fn edited(options: &str, usage: StreamUsage) -> Option<String> {
        let body =
            std::format!(r#" {{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"stream":true{options}}}"#);
        let request = InferenceRequest::parse(Operation::ChatCompletion, body.as_bytes(), 64).unwrap();
        let edit = request.stream_options.edit(usage)?;
        let mut text = body.clone();
        text.replace_range(edit.range, &edit.text);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["messages"][0]["content"], "Hi");
        Some(serde_json::to_string(&value["stream_options"]).unwrap())
    }

    #[test]
    fn the_backend_is_asked_whatever_the_caller_said() {
        for (options, at_end, continuous) in [
            ("", Some(r#"{"include_usage":true}"#), Some(r#"{"continuous_usage_stats":true,"include_usage":true}"#)),
            (
                r#","stream_options":null"#,
                Some(r#"{"include_usage":true}"#),
                Some(r#"{"continuous_usage_stats":true,"include_usage":true}"#),
            ),
            (
                r#","stream_options": { "x\"y" : [1, {}] , "include_usage":false } ,"z":1"#,
                Some(r#"{"include_usage":true,"x\"y":[1,{}]}"#),
                Some(r#"{"continuous_usage_stats":true,"include_usage":true,"x\"y":[1,{}]}"#),
            ),
            (
                r#","stream_options":{"include_usage":true}"#,
                None,
                Some(r#"{"continuous_usage_stats":true,"include_usage":true}"#),
            ),
            (r#","stream_options":{"include_usage":true,"continuous_usage_stats":true}"#, None, None),
            (r#","stream_options":7"#, None, None),
        ] {
            assert_eq!(edited(options, StreamUsage::AtEnd).as_deref(), at_end, "{options}");
            assert_eq!(edited(options, StreamUsage::Continuous).as_deref(), continuous, "{options}");
            assert_eq!(edited(options, StreamUsage::Unasked), None);
        }
    }
}
