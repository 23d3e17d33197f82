//! Failures that JavaScript can throw.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use comind::error::{Code, Error, Kind};
use js_sys::{JSON, Object, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::convert::{text_member, to_number};

/// A failed call: what the core says of it, and what only the shell knows.
pub(crate) struct Failure {
    pub(crate) error: Box<Error>,
    /// The status of the answer; that of the code when there was none.
    status: u16,
    required_scope: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) cause: JsValue,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Error::new(code, message.into()).into()
    }

    pub(crate) fn because(mut self, cause: JsValue) -> Self {
        self.cause = cause;
        self
    }

    pub(crate) fn of_request(mut self, request_id: Option<String>) -> Self {
        self.request_id = request_id;
        self
    }

    /// Reads the body of an answer that is not a success.
    ///
    /// One of the documented form, `{"error":{"message":"…","code":"…","param":null}}`, names its code and its
    /// sentence; a code that is not ours, which a backend may have set, gives way to the status. Any other body says
    /// nothing, and its text is not repeated: it may hold anything.
    pub(crate) fn from_answer(status: u16, body: &str, retry_after_ms: Option<u64>) -> Self {
        let told = JSON::parse(body).ok().and_then(|body| Reflect::get(&body, &"error".into()).ok());
        let told = |name| told.as_ref().and_then(|told| text_member(told, name));
        let code = told("code").as_deref().and_then(Code::from_spelling);
        // What only a client can find, no answer can say.
        let code = code.filter(|code| code.kind() != Kind::Connection).unwrap_or_else(|| code_of_status(status));
        let message = told("message").unwrap_or_else(|| format!("The server answered {status}."));
        Self {
            error: Box::new(Error {
                param: told("param").map(Into::into),
                retry_after_ms,
                ..Error::new(code, message)
            }),
            status,
            required_scope: told("required_scope"),
            request_id: None,
            cause: JsValue::UNDEFINED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, required_scope) = (error.code.status(), error.required_scope.map(Into::into));
        Self { error: Box::new(error), status, required_scope, request_id: None, cause: JsValue::UNDEFINED }
    }
}

/// What a status alone tells, for an answer whose body has no code of ours.
const fn code_of_status(status: u16) -> Code {
    match status {
        401 => Code::Unauthorized,
        403 => Code::InsufficientScope,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::Timeout,
        409 => Code::CapabilityNotSupported,
        413 => Code::RequestTooLarge,
        415 => Code::UnsupportedMediaType,
        429 => Code::RateLimited,
        431 => Code::HeadersTooLarge,
        400..=499 => Code::BadRequest,
        502 => Code::UpstreamError,
        503 => Code::NoBackendAvailable,
        504 => Code::UpstreamTimeout,
        500..=599 => Code::InternalError,
        _ => Code::ResponseMalformed,
    }
}

#[wasm_bindgen(raw_module = "../error.js")]
extern "C" {
    /// The class that callers see.
    #[wasm_bindgen(extends = js_sys::Error)]
    type CoMindError;

    #[wasm_bindgen(constructor)]
    fn new(message: &str, details: &Details) -> CoMindError;

    #[wasm_bindgen(method, setter)]
    fn set_cause(this: &CoMindError, cause: &JsValue);
}

#[wasm_bindgen]
extern "C" {
    /// The second argument of its constructor; what is not known is `undefined`.
    #[wasm_bindgen(extends = Object)]
    type Details;

    #[wasm_bindgen(method, setter)]
    fn set_code(this: &Details, code: &str);
    #[wasm_bindgen(method, setter)]
    fn set_status(this: &Details, status: u16);
    #[wasm_bindgen(method, setter, js_name = requestId)]
    fn set_request_id(this: &Details, id: Option<&str>);
    #[wasm_bindgen(method, setter, js_name = retryAfterMs)]
    fn set_retry_after_ms(this: &Details, wait_ms: Option<f64>);
    #[wasm_bindgen(method, setter)]
    fn set_param(this: &Details, param: Option<&str>);
    #[wasm_bindgen(method, setter, js_name = requiredScope)]
    fn set_required_scope(this: &Details, scope: Option<&str>);
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let details = Object::new().unchecked_into::<Details>();
        details.set_code(failure.error.code.as_str());
        details.set_status(failure.status);
        details.set_request_id(failure.request_id.as_deref());
        details.set_retry_after_ms(failure.error.retry_after_ms.map(to_number));
        details.set_param(failure.error.param.as_deref());
        details.set_required_scope(failure.required_scope.as_deref());
        let error = CoMindError::new(&failure.error.message, &details);
        if !failure.cause.is_undefined() {
            error.set_cause(&failure.cause);
        }
        error.unchecked_into()
    }
}
