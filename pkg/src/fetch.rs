//! One request over the platform's `fetch`, within the life of a call.

use alloc::format;
use alloc::string::String;

use comind::error::Code;
use comind::retry::parse_retry_after;
use comind::secret::Secret;
use js_sys::{Date, JsString, Promise, SyntaxError};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, RequestInit, Response};

use crate::convert::to_milliseconds;
use crate::error::Failure;

#[wasm_bindgen]
extern "C" {
    /// One call's life: its signal, its time limit, its connection (`call.js`).
    pub type Call;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Call, url: &str, init: &RequestInit) -> Result<Promise<JsValue>, JsValue>;

    /// Starts a wait for the server; the call ends if it lasts longer than the caller allows.
    #[wasm_bindgen(method)]
    fn arm(this: &Call);

    /// Ends the wait.
    #[wasm_bindgen(method)]
    fn disarm(this: &Call);

    /// `aborted` or `timeout` once the call was ended early.
    #[wasm_bindgen(method, getter)]
    fn ended(this: &Call) -> Option<String>;

    #[wasm_bindgen(method)]
    pub(crate) fn sleep(this: &Call, wait_ms: f64) -> Promise<JsValue>;

    /// How often a failed request may be sent again.
    #[wasm_bindgen(method, getter, js_name = maxRetries)]
    pub(crate) fn max_retries(this: &Call) -> u32;
}

impl Call {
    /// Waits for the server; the time limit of the call holds meanwhile.
    pub(crate) async fn wait_for(&self, promise: Promise<JsValue>) -> Result<JsValue, JsValue> {
        self.arm();
        let outcome = promise.await;
        self.disarm();
        outcome
    }

    /// Whether the call may go on.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.ended().as_deref() {
            None => Ok(()),
            Some("timeout") => {
                Err(Failure::new(Code::Timeout, "The server was silent for longer than the call allows."))
            }
            Some(_) => Err(Failure::new(Code::Aborted, "The call was aborted.")),
        }
    }
}

/// What to send.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'static str,
    /// Where to, the base URL included.
    pub(crate) url: &'a str,
    pub(crate) token: Option<&'a Secret>,
    /// JSON text. Stays in JavaScript: the core has seen it, `fetch` takes it from there.
    pub(crate) body: Option<&'a JsString>,
}

impl Outgoing<'_> {
    /// Sends once and waits for the head of a success.
    ///
    /// # Errors
    ///
    /// `connection_failed`, `aborted`, `timeout`, or what the server's error answer says.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, Failure> {
        call.check()?;
        let unreachable = |cause| match call.check() {
            Ok(()) => {
                Failure::new(Code::ConnectionFailed, format!("{} could not be reached.", self.url)).because(cause)
            }
            Err(ended) => ended,
        };
        let init = self.init()?;
        let promise = call.fetch(self.url, &init).map_err(unreachable)?;
        let response: Response = call.wait_for(promise).await.map_err(unreachable)?.unchecked_into();
        if response.ok() {
            return Ok(response);
        }
        let retry_after = response.headers().get("retry-after").ok().flatten();
        let retry_after_ms = retry_after.and_then(|header| parse_retry_after(&header, to_milliseconds(Date::now())));
        // An error is an error, however its body fares.
        let body = match response.text() {
            Ok(text) => call.wait_for(text.unchecked_into()).await.ok().and_then(|body| body.as_string()),
            Err(_) => None,
        };
        call.check()?;
        Err(Failure::from_answer(response.status(), &body.unwrap_or_default(), retry_after_ms)
            .of_request(request_id(&response)))
    }

    /// Only what the server needs: no other header makes a browser's preflight fail.
    fn init(&self) -> Result<RequestInit, Failure> {
        let unsendable = |_| Failure::new(Code::Unauthorized, "The token holds characters that no header can carry.");
        let headers = Headers::new().map_err(unsendable)?;
        if let Some(token) = self.token {
            headers.set("authorization", &format!("Bearer {}", token.expose())).map_err(unsendable)?;
        }
        let init = RequestInit::new();
        init.set_method(self.method);
        if let Some(body) = self.body {
            headers.set("content-type", "application/json").map_err(unsendable)?;
            init.set_body(body);
        }
        init.set_headers(&headers);
        Ok(init)
    }
}

/// The answer's body as a value.
///
/// # Errors
///
/// `response_malformed` when it is not JSON; `connection_failed`, `aborted` or `timeout` when it never came whole.
pub(crate) async fn read_json(response: &Response, call: &Call) -> Result<JsValue, Failure> {
    let broken = |cause: JsValue| {
        let failure = match call.check() {
            Err(ended) => ended,
            Ok(()) if cause.is_instance_of::<SyntaxError>() => {
                Failure::new(Code::ResponseMalformed, "The answer is not JSON.")
            }
            Ok(()) => Failure::new(Code::ConnectionFailed, "The connection broke in mid-answer.").because(cause),
        };
        failure.of_request(request_id(response))
    };
    let promise = response.json().map_err(broken)?;
    call.wait_for(promise.unchecked_into()).await.map_err(broken)
}

/// The edge's name for the request, to find it in the logs.
pub(crate) fn request_id(response: &Response) -> Option<String> {
    response.headers().get("x-request-id").ok().flatten()
}
