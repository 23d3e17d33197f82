//! Calls to backends.

use comind::backend::{UpstreamFailure, read_failure};
use comind::error::{Code, Error};
use comind::retry::parse_retry_after;
use js_sys::{Array, JsString, Uint8Array};
use wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, ReadableStream};

use crate::config::{Backend, Config};
use crate::context::Trace;
use crate::relay::StreamRelay;
use crate::runtime;

#[wasm_bindgen(module = "/src/js/upstream.js")]
extern "C" {
    async fn exchange(url: &str, headers: &Headers, body: JsValue, limits: JsValue, caller: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = openStream)]
    async fn open_stream_js(
        url: &str,
        headers: &Headers,
        body: JsValue,
        limits: JsValue,
        relay: StreamRelay,
        caller: &JsValue,
    ) -> JsValue;

    /// What `exchange` and `openStream` resolve to.
    pub type Outcome;

    #[wasm_bindgen(method, getter)]
    fn failure(this: &Outcome) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Outcome) -> u16;
    #[wasm_bindgen(method, getter, js_name = retryAfter)]
    fn retry_after(this: &Outcome) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Outcome) -> Uint8Array;
    #[wasm_bindgen(method, getter)]
    fn stream(this: &Outcome) -> Option<ReadableStream>;
}

/// Why a backend gave no answer. The words stand in `js/upstream.js`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection, or it broke before the answer's head. The runtime does not say which.
    Lost,
    /// The head or the first byte took too long.
    Timeout,
    /// The answer broke off, or never began.
    Cut,
    /// The answer is larger than we keep.
    TooLarge,
    /// The caller went away.
    Left,
}

impl Failure {
    /// The failure that JavaScript calls so.
    pub fn from_word(word: &str) -> Self {
        match word {
            "lost" => Self::Lost,
            "timeout" => Self::Timeout,
            "too large" => Self::TooLarge,
            "left" => Self::Left,
            _ => Self::Cut,
        }
    }
}

/// A backend that was too slow is to be left in peace for so long, in milliseconds.
const RETRY_AFTER_MS: u64 = 5000;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::new(Code::UpstreamError, "The backend closed the connection before it answered."),
            Failure::Timeout => {
                Self::new(Code::UpstreamTimeout, "The backend took too long.").retry_after_ms(RETRY_AFTER_MS)
            }
            Failure::Cut => Self::new(Code::UpstreamError, "The backend broke off before its answer was whole."),
            Failure::TooLarge => {
                Self::new(Code::UpstreamError, "The backend's answer is larger than the edge's limit.")
            }
            Failure::Left => Self::new(Code::UpstreamError, "The caller went away."),
        }
    }
}

/// A backend's whole answer.
#[derive(Debug)]
pub struct UpstreamAnswer {
    /// Its status.
    pub status: u16,
    /// Its `Retry-After`.
    pub retry_after_ms: Option<u64>,
    /// Its body.
    pub body: Uint8Array,
}

impl UpstreamAnswer {
    /// What this answer, not a success, becomes for the caller.
    pub fn to_failure(&self) -> UpstreamFailure {
        if self.status == 200 {
            return UpstreamFailure::from(&Error::new(
                Code::UpstreamError,
                "The backend answered something else than was asked for.",
            ));
        }
        read_failure(self.status, &self.body.to_vec(), self.retry_after_ms)
    }
}

impl Outcome {
    /// The answer, or why there is none.
    pub fn into_answer(self) -> Result<UpstreamAnswer, Failure> {
        if let Some(word) = self.failure() {
            return Err(Failure::from_word(&word));
        }
        let retry_after_ms = self.retry_after().and_then(|value| parse_retry_after(&value, runtime::now_ms()));
        Ok(UpstreamAnswer { status: self.status(), retry_after_ms, body: self.body() })
    }
}

/// What becomes of a request for a stream.
pub(crate) enum Opened {
    /// The stream for the caller.
    Stream(ReadableStream),
    /// The backend answered whole: an error, or JSON though a stream was asked for.
    Answer(UpstreamAnswer),
}

/// How long and how large an answer may be; what `js/upstream.js` calls `limits`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    first_byte_ms: u32,
    stall_ms: u32,
    /// For the whole answer; 0 is without limit.
    total_ms: u32,
    heartbeat_ms: u32,
    answer_bytes: u32,
}

impl Limits {
    /// For a caller's request.
    pub(crate) const fn of_request(config: &Config) -> Self {
        Self {
            first_byte_ms: config.first_byte_timeout_ms,
            stall_ms: config.stall_timeout_ms,
            total_ms: 0,
            heartbeat_ms: config.heartbeat_ms,
            answer_bytes: config.answer_limit_bytes,
        }
    }

    /// For a question of the edge's own about what a backend has.
    pub(crate) const fn of_probe(config: &Config) -> Self {
        const ANSWER_BYTES: u32 = 4 << 20;
        let ms = config.probe_timeout_ms;
        Self { first_byte_ms: ms, stall_ms: ms, total_ms: ms, heartbeat_ms: 0, answer_bytes: ANSWER_BYTES }
    }

    fn to_js(self) -> JsValue {
        let limits = js_sys::Object::new();
        for (name, value) in [
            ("firstByteMs", self.first_byte_ms),
            ("stallMs", self.stall_ms),
            ("totalMs", self.total_ms),
            ("heartbeatMs", self.heartbeat_ms),
            ("answerLimitBytes", self.answer_bytes),
        ] {
            // Setting a member of an object of our own cannot fail.
            let _ = js_sys::Reflect::set(&limits, &JsString::from(name), &value.into());
        }
        limits.into()
    }
}

/// Asks a backend and reads its whole answer. `caller` is the caller's abort signal.
pub(crate) async fn ask(
    backend: &Backend,
    path: &str,
    body: JsValue,
    limits: Limits,
    trace: Option<&Trace>,
    caller: &JsValue,
) -> Result<UpstreamAnswer, Failure> {
    let url = format!("{}{path}", backend.url);
    let headers = headers(backend, &body, "application/json", trace);
    let outcome = exchange(&url, &headers, body, limits.to_js(), caller).await;
    outcome.unchecked_into::<Outcome>().into_answer()
}

/// Asks a backend for a stream.
pub(crate) async fn open_stream(
    backend: &Backend,
    path: &str,
    body: JsValue,
    limits: Limits,
    trace: &Trace,
    relay: StreamRelay,
    caller: &JsValue,
) -> Result<Opened, Failure> {
    let url = format!("{}{path}", backend.url);
    let headers = headers(backend, &body, "text/event-stream", Some(trace));
    let outcome = open_stream_js(&url, &headers, body, limits.to_js(), relay, caller).await;
    let outcome = outcome.unchecked_into::<Outcome>();
    match outcome.stream() {
        Some(stream) => Ok(Opened::Stream(stream)),
        None => outcome.into_answer().map(Opened::Answer),
    }
}

/// All that a backend gets to see besides the body. Nothing of the caller's goes in but its trace: no
/// token, no cookie, and no `Origin` or `Referer`, which Ollama answers with 403.
fn headers(backend: &Backend, body: &JsValue, accept: &str, trace: Option<&Trace>) -> Headers {
    let pairs = Array::new();
    let add = |name: &str, value: &str| pairs.push(&Array::of2(&JsString::from(name), &JsString::from(value)));
    add("accept", accept);
    if !body.is_undefined() {
        add("content-type", "application/json");
    }
    if let Some(key) = &backend.api_key {
        // The key leaves: this is the request it is for.
        add("authorization", &format!("Bearer {}", key.expose()));
    }
    for (name, value) in trace.iter().flat_map(|trace| &trace.headers) {
        add(name, value);
    }
    Headers::new_with_str_sequence_sequence(&pairs).unwrap_or_else(|_| JsValue::UNDEFINED.unchecked_into())
}
