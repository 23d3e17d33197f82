//! Calls to backends.

use std::cell::OnceCell;

use comind::backend::{UpstreamFailure, read_failure};
use comind::error::{Code, Error};
use comind::request::Edit;
use comind::retry::parse_retry_after;
use js_sys::{JsString, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::config::{Backend, Config};
use crate::context::Trace;
use crate::http::Fields;
use crate::relay::StreamRelay;
use crate::runtime;

#[wasm_bindgen(module = "/src/js/upstream.js")]
extern "C" {
    /// What one request may use of backends.
    pub(crate) type Exchange;

    #[wasm_bindgen(constructor)]
    fn new(limits: &JsValue, caller: &JsValue) -> Exchange;
    #[wasm_bindgen(method)]
    fn send(this: &Exchange, url: &str, fields: &str, body: &JsValue, stream: bool) -> Call;
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Exchange);

    /// A request under way.
    pub(crate) type Call;

    #[wasm_bindgen(method)]
    async fn next(this: &Call) -> JsValue;
    #[wasm_bindgen(method)]
    fn stop(this: &Call, reason: &str);

    #[wasm_bindgen(js_name = relayStream)]
    pub(crate) async fn relay_stream(
        opening: &Promise,
        exchange: &Exchange,
        limits: &JsValue,
        relay: StreamRelay,
    ) -> JsValue;

    /// What `next` resolves to, when there is something.
    type Outcome;

    #[wasm_bindgen(method, getter)]
    fn failure(this: &Outcome) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Outcome) -> u16;
    #[wasm_bindgen(method, getter, js_name = retryAfter)]
    fn retry_after(this: &Outcome) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Outcome) -> Uint8Array;
    #[wasm_bindgen(method, getter)]
    fn reader(this: &Outcome) -> Option<JsValue>;

    #[wasm_bindgen(js_name = splice)]
    fn splice_js(bytes: &Uint8Array, start: u32, end: u32, text: &str) -> Uint8Array;
}

/// Why a backend gave no answer. The words stand in `js/upstream.js`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// No connection, or it broke before the answer's head. The runtime does not say which.
    Lost,
    /// The head, the first byte, the next one or any progress took too long.
    Timeout,
    /// All of it took too long.
    Deadline,
    /// The answer broke off, or never began.
    Cut,
    /// The answer is larger than we keep.
    TooLarge,
    /// The backend was asked whether it lives, and does not.
    Dead,
    /// The caller went away.
    Left,
}

impl Failure {
    /// The failure that JavaScript calls so.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "lost" => Self::Lost,
            "timeout" => Self::Timeout,
            "deadline" => Self::Deadline,
            DEAD => Self::Dead,
            "too large" => Self::TooLarge,
            "left" => Self::Left,
            _ => Self::Cut,
        }
    }
}

const DEAD: &str = "dead";

/// A backend that was too slow is to be left in peace for so long, in milliseconds.
const RETRY_AFTER_MS: u64 = 5000;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::new(Code::UpstreamError, "The backend closed the connection before it answered."),
            Failure::Timeout => {
                Self::new(Code::UpstreamTimeout, "The backend took too long.").retry_after_ms(RETRY_AFTER_MS)
            }
            Failure::Deadline => {
                Self::new(Code::UpstreamTimeout, "The answer took longer than the edge allows in all.")
                    .retry_after_ms(RETRY_AFTER_MS)
            }
            Failure::Dead => Self::new(
                Code::NoBackendAvailable,
                "The backend that had the request has stopped working. Try again soon.",
            )
            .retry_after_ms(RETRY_AFTER_MS),
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
pub(crate) struct UpstreamAnswer {
    /// Its status.
    pub status: u16,
    /// Its `Retry-After`.
    pub retry_after_ms: Option<u64>,
    /// Its body, as the runtime has it.
    pub body: Uint8Array,
    /// The same, for us.
    pub bytes: Vec<u8>,
}

impl UpstreamAnswer {
    /// What this answer, not a success, becomes for the caller.
    pub(crate) fn to_failure(&self) -> UpstreamFailure {
        if self.status == 200 {
            return UpstreamFailure::from(&Error::new(
                Code::UpstreamError,
                "The backend answered something else than was asked for.",
            ));
        }
        read_failure(self.status, &self.bytes, self.retry_after_ms)
    }
}

/// What came of a call.
pub(crate) enum Reply {
    /// A whole answer.
    Answer(UpstreamAnswer),
    /// A stream that has begun; for the pump in `js/upstream.js`.
    Stream(JsValue),
}

impl Call {
    /// What came; `None` when nothing has come for a while. To be called until something has.
    pub(crate) async fn poll(&self) -> Option<Result<Reply, Failure>> {
        let value = self.next().await;
        if value.is_undefined() {
            return None;
        }
        let outcome: &Outcome = value.unchecked_ref();
        if let Some(word) = outcome.failure() {
            return Some(Err(Failure::from_word(&word)));
        }
        if outcome.reader().is_some() {
            return Some(Ok(Reply::Stream(value)));
        }
        let retry_after_ms = outcome.retry_after().and_then(|value| parse_retry_after(&value, runtime::now_ms()));
        let body = outcome.body();
        let bytes = body.to_vec();
        Some(Ok(Reply::Answer(UpstreamAnswer { status: outcome.status(), retry_after_ms, body, bytes })))
    }

    /// Ends it: the backend does not live. The next [`poll`](Self::poll) says so.
    pub(crate) fn give_up(&self) {
        self.stop(DEAD);
    }
}

/// How long and how large an answer may be; what `js/upstream.js` calls `limits`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    connect_ms: u32,
    first_byte_ms: u32,
    stall_ms: u32,
    progress_ms: u32,
    total_ms: u32,
    heartbeat_ms: u32,
    answer_bytes: u32,
}

impl Limits {
    /// For a caller's request.
    const fn of_request(config: &Config) -> Self {
        Self {
            connect_ms: config.connect_timeout_ms,
            first_byte_ms: config.first_byte_timeout_ms,
            stall_ms: config.stall_timeout_ms,
            progress_ms: config.progress_timeout_ms,
            total_ms: config.total_timeout_ms,
            heartbeat_ms: config.heartbeat_ms,
            answer_bytes: config.answer_limit_bytes,
        }
    }

    /// For a question of the edge's own about what a backend has.
    const fn of_probe(config: &Config) -> Self {
        const ANSWER_BYTES: u32 = 4 << 20;
        let ms = config.probe_timeout_ms;
        Self {
            connect_ms: ms,
            first_byte_ms: ms,
            stall_ms: ms,
            progress_ms: ms,
            total_ms: ms,
            heartbeat_ms: 0,
            answer_bytes: ANSWER_BYTES,
        }
    }

    /// Those of every caller's request, as `js/upstream.js` takes them.
    pub(crate) fn of_requests(config: &Config) -> JsValue {
        thread_local! {
            static LIMITS: OnceCell<JsValue> = const { OnceCell::new() };
        }
        LIMITS.with(|limits| limits.get_or_init(|| Self::of_request(config).to_js()).clone())
    }

    fn to_js(self) -> JsValue {
        let limits = js_sys::Object::new();
        for (name, value) in [
            ("connectMs", self.connect_ms),
            ("firstByteMs", self.first_byte_ms),
            ("stallMs", self.stall_ms),
            ("progressMs", self.progress_ms),
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

impl Exchange {
    /// For a request of this caller's, given by the signal; `undefined` where there is none.
    pub(crate) fn within(limits: &JsValue, caller: &JsValue) -> Self {
        Self::new(limits, caller)
    }

    /// Sends a request to a backend.
    pub(crate) fn call(
        &self,
        backend: &Backend,
        path: &str,
        body: &JsValue,
        is_stream: bool,
        trace: Option<&Trace>,
    ) -> Call {
        let url = format!("{}{path}", backend.url);
        let accept = if is_stream { "text/event-stream" } else { "application/json" };
        self.send(&url, headers(backend, body, accept, trace).as_str(), body, is_stream)
    }
}

/// Asks a backend something of the edge's own.
pub(crate) async fn ask(
    backend: &Backend,
    path: &str,
    body: &JsValue,
    config: &Config,
) -> Result<UpstreamAnswer, Failure> {
    let exchange = Exchange::within(&Limits::of_probe(config).to_js(), &JsValue::UNDEFINED);
    let call = exchange.call(backend, path, body, false, None);
    let reply = loop {
        if let Some(reply) = call.poll().await {
            break reply;
        }
    };
    exchange.close();
    match reply? {
        Reply::Answer(answer) => Ok(answer),
        Reply::Stream(_) => Err(Failure::Cut),
    }
}

/// The body with an edit done.
pub(crate) fn edited(body: &Uint8Array, edit: &Edit) -> Uint8Array {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    splice_js(body, place(edit.range.start), place(edit.range.end), &edit.text)
}

/// All that a backend gets to see besides the body. Nothing of the caller's goes in but its trace: no
/// token, no cookie, and no `Origin` or `Referer`, which Ollama answers with 403.
fn headers(backend: &Backend, body: &JsValue, accept: &str, trace: Option<&Trace>) -> Fields {
    let mut fields = Fields::default();
    fields.add("accept", accept);
    if !body.is_undefined() {
        fields.add("content-type", "application/json");
    }
    if let Some(key) = &backend.api_key {
        // The key leaves: this is the request it is for.
        fields.add("authorization", &format!("Bearer {}", key.expose()));
    }
    for (name, value) in trace.iter().flat_map(|trace| &trace.headers) {
        fields.add(name, value);
    }
    fields
}
