//! Requests in, answers out: the shapes between the runtime and the handlers.

use comind::backend::UpstreamFailure;
use comind::error::{Code, Error};
use comind::retry::to_retry_after_secs;
use comind::route::percent_decode;
use comind::types::to_json;
use js_sys::{JsString, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::web_sys::{ReadableStream, Request, Response};

use crate::head::Head;

#[wasm_bindgen(module = "/src/js/http.js")]
extern "C" {
    fn respond(status: u16, fields: &str, body: JsValue) -> Response;

    #[wasm_bindgen(js_name = readHead)]
    fn read_head_js(request: &Request) -> String;

    #[wasm_bindgen(catch, js_name = readBody)]
    async fn read_body(source: &Request, length: Option<u32>, limit_bytes: u32) -> Result<JsValue, JsValue>;
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
        let mut fields = Fields::default();
        let body: JsValue = match self.body {
            Body::Empty => JsValue::NULL,
            Body::Json(text) => {
                fields.add("content-type", "application/json");
                JsString::from(text).into()
            }
            Body::Text(text) => {
                fields.add("content-type", "text/plain; version=0.0.4; charset=utf-8");
                JsString::from(text).into()
            }
            Body::Bytes(bytes) => {
                fields.add("content-type", "application/json");
                bytes.into()
            }
            Body::Stream(stream) => {
                fields.add("content-type", "text/event-stream; charset=utf-8");
                // Proxies that buffer (nginx) or compress would hold tokens back.
                fields.add("x-accel-buffering", "no");
                stream.into()
            }
        };
        // Answers are somebody's own: no cache may keep one.
        fields.add("cache-control", "no-store");
        fields.add("x-content-type-options", "nosniff");
        for (name, value) in &self.headers {
            fields.add(name, value);
        }
        respond(self.status, fields.as_str(), if is_head { JsValue::NULL } else { body })
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

/// Headers for `js/http.js`, in one text: each a name, a line feed, a value, a line feed.
#[derive(Debug, Default)]
pub(crate) struct Fields(String);

impl Fields {
    /// Adds one. Of a value only the first line goes: no header can have more.
    #[inline(never)]
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.0.push_str(name);
        self.0.push('\n');
        self.0.push_str(value.lines().next().unwrap_or_default());
        self.0.push('\n');
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request says before its body.
pub(crate) fn read_head(request: &Request) -> Head {
    Head::new(read_head_js(request))
}

/// Checks the size of the headers, names and values together.
///
/// # Errors
///
/// [`Code::HeadersTooLarge`].
pub(crate) fn check_headers(head: &Head, limit_bytes: u32) -> Result<(), Error> {
    if head.header_bytes() <= limit_bytes as usize {
        return Ok(());
    }
    let message = format!("The request's headers are larger than the limit of {limit_bytes} bytes.");
    Err(Error::new(Code::HeadersTooLarge, message))
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
pub(crate) async fn read_json_body(
    request: &Request,
    head: &Head,
    limit_bytes: u32,
) -> Result<(Uint8Array, Vec<u8>), Error> {
    if head.header("content-type").is_some_and(|value| !is_json(value)) {
        return Err(Error::new(
            Code::UnsupportedMediaType,
            "The body must be JSON: send `Content-Type: application/json`.",
        ));
    }
    if head.header("content-encoding").is_some_and(|value| !value.eq_ignore_ascii_case("identity")) {
        return Err(Error::new(Code::UnsupportedMediaType, "The body must not be compressed."));
    }
    let too_large = || {
        Error::new(Code::RequestTooLarge, format!("The request body is larger than the limit of {limit_bytes} bytes."))
    };
    let announced: Option<u64> = head.header("content-length").and_then(|value| value.parse().ok());
    if announced.is_some_and(|bytes| bytes > u64::from(limit_bytes)) {
        return Err(too_large());
    }
    let length = announced.and_then(|bytes| u32::try_from(bytes).ok());
    let read = read_body(request, length, limit_bytes).await;
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
    fn fields_are_lines_and_no_value_makes_another() {
        let mut fields = Fields::default();
        fields.add("accept", "a");
        fields.add("x-b", "c\nx-evil\nd");
        assert_eq!(fields.as_str(), "accept\na\nx-b\nc\n");
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
