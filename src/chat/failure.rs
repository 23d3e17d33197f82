//! Reads a failure that another server reports.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::error::{Code, Error, Kind};
use crate::json::{Read, Reader};

/// The failure in the `error` member of an event or a body.
///
/// Reads `{"message":"…","code":"…","param":"…"}`, and what servers make of it: a bare string, a
/// number for a code, no code at all. One of our own codes stays itself; every other, and those
/// that only a client can find ([`Kind::Connection`]), becomes [`Code::UpstreamError`].
/// The message is the server's own.
#[must_use]
pub fn read_failure(error: &str) -> Error {
    const SILENT: &str = "The server reported an error and did not say which.";

    let Detail { message, code, param } = Reader::whole(error, Detail::read).unwrap_or_default();
    let code = code
        .and_then(|spelling| Code::from_spelling(&spelling))
        .filter(|code| code.kind() != Kind::Connection)
        .unwrap_or(Code::UpstreamError);
    let message = message.filter(|message| !message.is_empty()).unwrap_or(Cow::Borrowed(SILENT));
    Error { param: param.map(|param| Cow::Owned(param.into_owned())), ..Error::new(code, String::from(message)) }
}

#[derive(Default)]
struct Detail<'a> {
    message: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    param: Option<Cow<'a, str>>,
}

impl<'a> Detail<'a> {
    /// An object, or a string that is the message. Members of other types say nothing.
    fn read(reader: &mut Reader<'a>) -> Read<Self> {
        if reader.peek() == Some(b'"') {
            return Ok(Self { message: Some(reader.string()?), ..Self::default() });
        }
        let mut detail = Self::default();
        reader.object(|reader, name| {
            let member = match name {
                "message" => &mut detail.message,
                "code" => &mut detail.code,
                "param" => &mut detail.param,
                _ => return reader.skip(),
            };
            if reader.peek() != Some(b'"') {
                return reader.skip();
            }
            *member = Some(reader.string()?);
            Ok(())
        })?;
        Ok(detail)
    }
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
