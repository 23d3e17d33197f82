//! What a backend's own failure becomes on its way to the caller.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Code, Error};
use crate::types::{ErrorBody, ErrorDetail, from_json, to_json};

/// A backend's answer that was not a success, in the form in which it goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamFailure {
    /// The status for the caller.
    pub status: u16,
    /// The envelope for the caller, as JSON.
    pub body: String,
    /// When to try again.
    pub retry_after_ms: Option<u64>,
}

impl From<&Error> for UpstreamFailure {
    fn from(error: &Error) -> Self {
        Self { status: error.code.status(), body: error.to_json(), retry_after_ms: error.wait_ms() }
    }
}

/// While a server loads its model, in milliseconds.
const LOADING_RETRY_MS: u64 = 2000;
/// A backend's message that is longer is cut, in characters.
const MAX_MESSAGE_CHARS: usize = 2000;

/// Turns a backend's status and body into what the caller gets.
///
/// A 4xx is the caller's to solve and passes with its status and its message, put into our envelope
/// if it was not in it. 401 and 403 are not: they speak of the edge's own key. What is left, 5xx
/// and odd statuses, is the backend's trouble: its words stay with the operator.
#[must_use]
pub fn read_failure(status: u16, body: &[u8], retry_after_ms: Option<u64>) -> UpstreamFailure {
    let of = |code, message| {
        let error = Error::new(code, message);
        let failure = UpstreamFailure::from(&error);
        UpstreamFailure { retry_after_ms: retry_after_ms.or(failure.retry_after_ms), ..failure }
    };
    match status {
        401 | 403 => UpstreamFailure {
            retry_after_ms: None,
            ..of(
                Code::UpstreamError,
                "The backend refused the edge's own credentials. Trying again is no use until the operator has set them right.",
            )
        },
        408 | 504 => of(Code::UpstreamTimeout, "The backend took too long."),
        503 => UpstreamFailure {
            retry_after_ms: Some(retry_after_ms.unwrap_or(LOADING_RETRY_MS)),
            ..of(Code::NoBackendAvailable, "The backend is not ready: it may be loading the model. Try again soon.")
        },
        400..=499 => pass_through(status, body, retry_after_ms),
        _ => of(Code::UpstreamError, "The backend failed to answer this request."),
    }
}

fn pass_through(status: u16, body: &[u8], retry_after_ms: Option<u64>) -> UpstreamFailure {
    let code = match status {
        404 => Code::ModelNotFound,
        405 => Code::MethodNotAllowed,
        409 => Code::CapabilityNotSupported,
        413 => Code::RequestTooLarge,
        415 => Code::UnsupportedMediaType,
        429 => Code::RateLimited,
        _ => Code::BadRequest,
    };
    let said = Said::read(body);
    // One of our own codes keeps its meaning: a backend's `token_expired` is not about the caller's.
    let said_code = said.code.filter(|spelling| Code::from_spelling(spelling).is_none_or(|known| known == code));
    let message = said.message.unwrap_or_else(|| format!("The backend refused the request with status {status}."));
    let detail = ErrorDetail {
        message: Cow::Owned(message.chars().take(MAX_MESSAGE_CHARS).collect()),
        kind: Cow::Borrowed(code.kind().as_str()),
        code: Some(said_code.map_or(Cow::Borrowed(code.as_str()), Cow::Owned)),
        param: said.param.map(Cow::Owned),
        required_scope: None,
    };
    // Too many requests always says when to try again.
    const CROWDED_RETRY_MS: u64 = 1000;
    let retry_after_ms = retry_after_ms.or((code == Code::RateLimited).then_some(CROWDED_RETRY_MS));
    UpstreamFailure { status, body: to_json(&ErrorBody { error: detail }), retry_after_ms }
}

/// What can be understood of a backend's error body, whatever its form.
#[derive(Default)]
struct Said {
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    /// An object (`OpenAI`, llama.cpp, newer vLLM) or a sentence (Ollama, vLLM's 401).
    error: Option<Value>,
    /// `FastAPI`'s form: a sentence or a list of objects with `msg`.
    detail: Option<Value>,
    /// Older vLLM's form.
    message: Option<String>,
}

impl Said {
    fn read(body: &[u8]) -> Self {
        let Some(body) = from_json::<Body>(body) else { return Self::read_text(body) };
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(ToString::to_string)
        };
        match (&body.error, &body.detail) {
            (Some(Value::Object(error)), _) => Self {
                message: text(error.get("message")),
                // llama.cpp and vLLM put the status here, as a number: the status line says that already.
                code: text(error.get("code")),
                param: text(error.get("param")),
            },
            (Some(error @ Value::String(_)), _) => Self { message: text(Some(error)), ..Self::default() },
            (_, Some(Value::Array(list))) => {
                Self { message: text(list.first().and_then(|item| item.get("msg"))), ..Self::default() }
            }
            (_, Some(detail)) => Self { message: text(Some(detail)), ..Self::default() },
            _ => Self { message: body.message, ..Self::default() },
        }
    }
}

impl Said {
    /// A sentence without any form around it; a page of HTML says nothing to a program.
    fn read_text(body: &[u8]) -> Self {
        let text = core::str::from_utf8(body).unwrap_or_default().trim();
        let is_sentence = !text.is_empty() && !text.starts_with(['<', '{', '[']) && !text.contains('\0');
        Self { message: is_sentence.then(|| text.to_string()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: u16, body: &str) -> String {
        let failure = read_failure(status, body.as_bytes(), None);
        assert_eq!(failure.status, status);
        let value: Value = serde_json::from_str(&failure.body).unwrap();
        assert_eq!(value["error"]["type"], if status == 429 { "rate_limit_error" } else { "invalid_request_error" });
        value["error"]["message"].as_str().unwrap().to_string()
    }

    #[test]
    fn a_4xx_keeps_its_status_and_its_words_in_every_dialect() {
        assert_eq!(
            message(400, r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}}"#),
            "too long"
        );
        assert_eq!(
            message(404, r#"{"error":{"message":"no model","type":"NotFoundError","param":"model","code":404}}"#),
            "no model"
        );
        assert_eq!(message(400, r#"{"error":"does not support tools"}"#), "does not support tools");
        assert_eq!(message(422, r#"{"detail":[{"msg":"field required"}]}"#), "field required");
        assert_eq!(message(422, r#"{"detail":"nope"}"#), "nope");
        assert_eq!(message(400, r#"{"object":"error","message":"old vLLM","code":400}"#), "old vLLM");
        assert_eq!(message(404, " no such model\n"), "no such model");
        assert_eq!(message(429, "<html>slow down</html>"), "The backend refused the request with status 429.");
    }

    #[test]
    fn a_string_code_and_param_are_kept_and_a_number_is_ours() {
        let body = r#"{"error":{"message":"m","code":"context_length_exceeded","param":"messages"}}"#;
        let value: Value = serde_json::from_str(&read_failure(400, body.as_bytes(), None).body).unwrap();
        assert_eq!(
            (&value["error"]["code"], &value["error"]["param"]),
            (&"context_length_exceeded".into(), &"messages".into())
        );
        let value: Value =
            serde_json::from_str(&read_failure(400, br#"{"error":{"message":"m","code":400}}"#, None).body).unwrap();
        assert_eq!(value["error"]["code"], "bad_request");
    }

    #[test]
    fn a_backend_cannot_speak_of_the_callers_token() {
        let body = br#"{"error":{"message":"m","code":"token_expired"}}"#;
        let value: Value = serde_json::from_str(&read_failure(400, body, None).body).unwrap();
        assert_eq!(value["error"]["code"], "bad_request");
    }

    #[test]
    fn too_many_requests_always_says_when() {
        assert_eq!(read_failure(429, b"", None).retry_after_ms, Some(1000));
    }

    #[test]
    fn the_edges_own_key_is_not_the_callers_fault() {
        for status in [401, 403] {
            let failure = read_failure(status, br#"{"error":{"message":"bad key sk-123"}}"#, None);
            assert_eq!(failure.status, 502);
            assert!(!failure.body.contains("sk-123"));
        }
    }

    #[test]
    fn servers_trouble_is_502_503_or_504_without_their_words() {
        for (status, expected) in [(500, 502), (501, 502), (502, 502), (302, 502), (503, 503), (504, 504), (408, 504)] {
            let failure = read_failure(status, br#"{"error":{"message":"trace: /srv/secret"}}"#, None);
            assert_eq!(failure.status, expected);
            assert!(!failure.body.contains("secret"));
        }
    }

    #[test]
    fn a_wait_is_handed_on_and_loading_has_one() {
        assert_eq!(read_failure(429, b"", Some(7000)).retry_after_ms, Some(7000));
        assert_eq!(read_failure(503, b"", Some(7000)).retry_after_ms, Some(7000));
        assert_eq!(read_failure(503, b"", None).retry_after_ms, Some(LOADING_RETRY_MS));
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = std::format!(r#"{{"error":"{}"}}"#, "é".repeat(MAX_MESSAGE_CHARS + 1));
        assert_eq!(message(400, &body).chars().count(), MAX_MESSAGE_CHARS);
    }
}
