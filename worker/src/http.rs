//! Requests in, answers out: the shapes between the runtime and the handlers.

use comind::backend::UpstreamFailure;
use comind::error::{Code, Error};
use comind::retry::to_retry_after_secs;
use comind::route::percent_decode;
use comind::types::to_json;
use js_sys::{Array, JsString, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, ReadableStream, Request, Response};

#[wasm_bindgen(module = "/src/js/http.js")]
extern "C" {
    fn respond(status: u16, headers: Array, body: JsValue) -> Response;

    #[wasm_bindgen(js_name = headerBytes)]
    fn header_bytes(headers: Headers) -> u32;

    #[wasm_bindgen(catch, js_name = readBody)]
    async fn read_body(body: Option<ReadableStream>, limit_bytes: u32) -> Result<JsValue, JsValue>;
}

/// What a handler gives back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub status: u16,
    /// Names and values, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Debug)]
pub(crate) enum Body {
    /// None.
    Empty,
    /// JSON text.
    Json(String),
    /// A page for a monitor.
    Text(String),
    /// JSON text as the backend wrote it.
    Bytes(Uint8Array),
    /// An event stream.
    Stream(ReadableStream),
}

impl Answer {
    /// 200 with a JSON body.
    pub(crate) fn json<T: Serialize>(value: &T) -> Self {
        Self::json_text(200, to_json(value))
    }

    /// JSON that is already text.
    pub(crate) const fn json_text(status: u16, text: String) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(text) }
    }

    /// A status without a body.
    pub(crate) const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// The same answer with one more header.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Builds the runtime's response. The body of an answer to `HEAD` stays out.
    pub(crate) fn into_response(self, is_head: bool) -> Response {
        let fields = Array::new();
        let add = |name: &str, value: &str| {
            fields.push(&JsString::from(name));
            fields.push(&JsString::from(value));
        };
        let body: JsValue = match self.body {
            Body::Empty => JsValue::NULL,
            Body::Json(text) => {
                add("content-type", "application/json");
                JsString::from(text).into()
            }
            Body::Text(text) => {
                add("content-type", "text/plain; version=0.0.4; charset=utf-8");
                JsString::from(text).into()
            }
            Body::Bytes(bytes) => {
                add("content-type", "application/json");
                bytes.into()
            }
            Body::Stream(stream) => {
                add("content-type", "text/event-stream; charset=utf-8");
                // Proxies that buffer (nginx) or compress would hold tokens back.
                add("x-accel-buffering", "no");
                stream.into()
            }
        };
        // Answers are somebody's own: no cache may keep one.
        add("cache-control", "no-store");
        add("x-content-type-options", "nosniff");
        for (name, value) in &self.headers {
            add(name, value);
        }
        respond(self.status, fields, if is_head { JsValue::NULL } else { body })
    }
}

impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        UpstreamFailure::from(error).into()
    }
}

impl From<UpstreamFailure> for Answer {
    fn from(failure: UpstreamFailure) -> Self {
        let answer = Self::json_text(failure.status, failure.body);
        let answer = match failure.retry_after_ms {
            Some(wait_ms) => answer.with("retry-after", to_retry_after_secs(wait_ms).to_string()),
            // No wait would help. The official `openai` packages retry every 409 and 5xx unless told.
            None => answer.with("x-should-retry", "false"),
        };
        if failure.status == 401 { answer.with("www-authenticate", "Bearer") } else { answer }
    }
}

/// A request's header; a value that is not text counts as absent.
pub(crate) fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

/// Checks the size of the headers, names and values together.
///
/// # Errors
///
/// [`Code::HeadersTooLarge`].
pub(crate) fn check_headers(request: &Request, limit_bytes: u32) -> Result<(), Error> {
    if header_bytes(request.headers()) <= limit_bytes {
        return Ok(());
    }
    let message = format!("The request's headers are larger than the limit of {limit_bytes} bytes.");
    Err(Error::new(Code::HeadersTooLarge, message))
}

/// The path of a request, as sent, without the query.
pub(crate) fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    path.split(['?', '#']).next().unwrap_or("/")
}

/// A value in the query of a request's URL, decoded; of several of one name the first.
pub(crate) fn query_value(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1.split('#').next()?;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|&(given, _)| given == name)?;
    percent_decode(&value.replace('+', " "))
}

/// Reads a JSON body: at most `limit_bytes`, and of a content type that is JSON, or none.
///
/// The bytes come twice: for the backend as the runtime's own object, and for us.
///
/// # Errors
///
/// [`Code::UnsupportedMediaType`], [`Code::RequestTooLarge`], or [`Code::BadRequest`] when the
/// caller broke off.
pub(crate) async fn read_json_body(request: &Request, limit_bytes: u32) -> Result<(Uint8Array, Vec<u8>), Error> {
    if header(request, "content-type").is_some_and(|value| !is_json(&value)) {
        return Err(Error::new(
            Code::UnsupportedMediaType,
            "The body must be JSON: send `Content-Type: application/json`.",
        ));
    }
    if header(request, "content-encoding").is_some_and(|value| !value.eq_ignore_ascii_case("identity")) {
        return Err(Error::new(Code::UnsupportedMediaType, "The body must not be compressed."));
    }
    let too_large = || {
        Error::new(Code::RequestTooLarge, format!("The request body is larger than the limit of {limit_bytes} bytes."))
    };
    let announced: Option<u64> = header(request, "content-length").and_then(|value| value.parse().ok());
    if announced.is_some_and(|bytes| bytes > u64::from(limit_bytes)) {
        return Err(too_large());
    }
    let read = read_body(request.body(), limit_bytes).await;
    let body = read.map_err(|_| Error::new(Code::BadRequest, "The request body ended before it was whole."))?;
    let body: Uint8Array = body.dyn_into().map_err(|_| too_large())?;
    let copy = body.to_vec();
    Ok((body, copy))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty()
        || essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_what_was_sent() {
        for (url, expected) in [
            ("http://h/health", "/health"),
            ("http://h:1/v1/models/a%2Fb?x=/y#z", "/v1/models/a%2Fb"),
            ("https://h", "/"),
            ("https://h?x", "/"),
        ] {
            assert_eq!(path(url), expected);
        }
    }

    #[test]
    fn a_value_of_the_query_is_decoded() {
        let url = "http://h/p?a=1&email=ann%40example.com&b=x+y&c&email=other#email=no";
        assert_eq!(query_value(url, "email").as_deref(), Some("ann@example.com"));
        assert_eq!(query_value(url, "b").as_deref(), Some("x y"));
        assert_eq!(query_value(url, "c").as_deref(), Some(""));
        assert_eq!(
            (query_value(url, "d"), query_value("http://h/p", "a"), query_value("http://h/?a=%ff", "a")),
            (None, None, None)
        );
    }

    #[test]
    fn json_is_told_from_what_is_not() {
        for yes in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", ""] {
            assert!(is_json(yes), "{yes}");
        }
        for no in
            ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/json-ish"]
        {
            assert!(!is_json(no), "{no}");
        }
    }
}
