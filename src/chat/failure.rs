//! Reads a failure that another server reports.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chunk::{Text, string_of};
use crate::error::{Code, Error, Kind};

/// The failure in the `error` member of an event or a body.
///
/// Reads `{"message":"…","code":"…","param":"…"}`, and what servers make of it: a bare string, a
/// number for a code, no code at all. One of our own codes stays itself; every other, and those
/// that only a client can find ([`Kind::Connection`]), becomes [`Code::UpstreamError`].
/// The message is the server's own.
#[must_use]
pub fn read_failure(error: &str) -> Error {
    const SILENT: &str = "The server reported an error and did not say which.";

    let detail: Detail<'_> = serde_json::from_str(error).unwrap_or_default();
    let message = match detail.message.as_ref() {
        Some(message) => message.0.to_string(),
        None => serde_json::from_str::<String>(error).unwrap_or_default(),
    };
    let code = detail
        .code
        .and_then(string_of)
        .and_then(|spelling| Code::from_spelling(&spelling))
        .filter(|code| code.kind() != Kind::Connection)
        .unwrap_or(Code::UpstreamError);
    let param = detail.param.and_then(string_of);
    Error {
        param: param.map(|param| Cow::Owned(param.into_owned())),
        ..Error::new(
            code,
            match message.is_empty() {
                true => Cow::Borrowed(SILENT),
                false => Cow::Owned(message),
            },
        )
    }
}

#[derive(Default, Deserialize)]
struct Detail<'a> {
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    param: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_report_an_error_is_read() {
        for (error, code, message, param) in [
            (
                r#"{"message":"slow \"down\"","type":"rate_limit_error","code":"rate_limited","param":null}"#,
                Code::RateLimited,
                "slow \"down\"",
                None,
            ),
            (
                r#"{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":512}"#,
                Code::UpstreamError,
                "too long",
                None,
            ),
            (r#"{"message":"no","code":"weird","param":"messages"}"#, Code::UpstreamError, "no", Some("messages")),
            (r#""model runner died""#, Code::UpstreamError, "model runner died", None),
            (r#"{"message":"x","code":"aborted"}"#, Code::UpstreamError, "x", None),
        ] {
            let read = read_failure(error);
            assert_eq!((read.code, &*read.message, read.param.as_deref()), (code, message, param));
        }
        for silent in ["{}", "true", "17", r#"{"message":null}"#, r#"{"message":""}"#, "[]"] {
            let read = read_failure(silent);
            assert_eq!(read.code, Code::UpstreamError);
            assert!(read.message.ends_with("did not say which."), "{silent}");
        }
    }
}
