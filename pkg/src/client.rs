//! What to ask, and whether to ask again.

use alloc::format;
use alloc::string::String;
use core::cell::RefCell;

use comind::auth::Need;
use comind::error::{Code, Error};
use comind::retry::{Decision, Policy};
use comind::route::Route;
use comind::secret::Secret;
use js_sys::JsString;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Response;

use crate::convert::{text_member, to_milliseconds, to_number};
use crate::error::Failure;
use crate::fetch::{Call, Outgoing, read_json, request_id};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_with_dice(numbers: &mut [u32]);

    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn monotonic_ms() -> f64;
}

/// One edge as one caller sees it: where it is and who asks.
#[wasm_bindgen]
pub struct Client {
    base_url: String,
    /// Replaced by a sign-in. Never borrowed across an await: calls run side by side.
    token: RefCell<Option<Secret>>,
}

/// What can be asked.
#[wasm_bindgen]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Verb {
    /// Whether the edge is up.
    Health,
    /// To sign in; the token that comes back is used from then on.
    Login,
    /// The models.
    Models,
    /// One model.
    Model,
    /// What each backend and model can do.
    Capabilities,
    /// A chat completion, answered whole.
    Complete,
    /// A chat completion, answered as a stream.
    Stream,
}

impl Verb {
    const fn route(self) -> Route {
        match self {
            Self::Health => Route::Health,
            Self::Login => Route::Login,
            Self::Models => Route::Models,
            Self::Model => Route::Model,
            Self::Capabilities => Route::Capabilities,
            Self::Complete | Self::Stream => Route::ChatCompletions,
        }
    }
}

#[wasm_bindgen]
impl Client {
    /// `base_url` comes without `/v1` and without a slash at its end.
    #[wasm_bindgen(constructor)]
    pub fn new(base_url: String, token: Option<String>) -> Self {
        Self { base_url, token: RefCell::new(token.map(Secret::new)) }
    }

    /// Asks, and gives the answer's JSON as a value; for [`Verb::Stream`] the `Response`, its body still to be read.
    ///
    /// `id`: percent-encoded, for [`Verb::Model`]. `body`: JSON text, for those that post. One method for all verbs:
    /// each async export brings a state machine of its own, about 1 kB.
    pub async fn ask(
        &self,
        verb: Verb,
        id: Option<String>,
        body: Option<JsString>,
        call: Call,
    ) -> Result<JsValue, JsValue> {
        Ok(self.answer(verb, &id.unwrap_or_default(), body.as_ref(), &call).await?)
    }
}

impl Client {
    async fn answer(&self, verb: Verb, id: &str, body: Option<&JsString>, call: &Call) -> Result<JsValue, Failure> {
        let response = self.send(verb.route(), id, body, call).await?;
        if verb == Verb::Stream {
            check_is_stream(&response)?;
            return Ok(response.into());
        }
        let answer = read_json(&response, call).await?;
        if verb == Verb::Login {
            self.token.replace(Some(read_token(&answer)?));
        }
        Ok(answer)
    }

    /// Sends until there is the head of a success, or until the policy has had enough.
    ///
    /// Ours, beyond the policy: a call that its time limit ended is not sent again, since the server may still be at
    /// work on it; a sign-in that was refused is not either, since each try counts.
    async fn send(&self, route: Route, id: &str, body: Option<&JsString>, call: &Call) -> Result<Response, Failure> {
        let path = route.path().strip_suffix("{id}").unwrap_or(route.path());
        let url = format!("{}{path}{id}", self.base_url);
        let token = self.token.borrow().clone().filter(|_| route.need() != Need::Public);
        let outgoing = Outgoing { method: route.method().as_str(), url: &url, token: token.as_ref(), body };
        let policy = Policy { max_attempts: call.max_retries().saturating_add(1), ..Policy::default() };
        let started_ms = monotonic_ms();
        let mut attempt = 1;
        loop {
            let failure = match outgoing.send(call).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Error { code, retry_after_ms, .. } = *failure.error;
            let is_final = call.check().is_err() || (route == Route::Login && (400..500).contains(&code.status()));
            let elapsed_ms = to_milliseconds(monotonic_ms() - started_ms);
            match policy.decide(attempt, code, retry_after_ms, elapsed_ms, roll()) {
                Decision::Retry { wait_ms } if !is_final => {
                    // It never rejects; that the call was ended meanwhile shows at the next attempt.
                    let _ = call.sleep(to_number(wait_ms)).await;
                    attempt += 1;
                }
                _ => return Err(failure),
            }
        }
    }
}

fn check_is_stream(response: &Response) -> Result<(), Failure> {
    let content_type = response.headers().get("content-type").ok().flatten().unwrap_or_default();
    if content_type.starts_with("text/event-stream") {
        return Ok(());
    }
    let failure = Failure::new(Code::ResponseMalformed, "The answer is not an event stream.");
    Err(failure.of_request(request_id(response)))
}

fn read_token(login: &JsValue) -> Result<Secret, Failure> {
    let token = text_member(login, "access_token").map(Secret::new);
    token.ok_or_else(|| Failure::new(Code::ResponseMalformed, "The answer has no access token."))
}

fn roll() -> u32 {
    let mut dice = [0];
    fill_with_dice(&mut dice);
    let [number] = dice;
    number
}
