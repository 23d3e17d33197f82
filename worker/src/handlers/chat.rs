//! `POST /v1/chat/completions`.

use std::rc::Rc;

use comind::chat::Relay;
use comind::error::{Code, Error};
use comind::request::ChatRequest;
use comind::retry::to_retry_after_secs;
use comind::types::Usage;
use js_sys::{JsString, Reflect, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::JsValue;

use crate::admission::{Admission, Reservation};
use crate::catalog;
use crate::config::Backend;
use crate::context::RequestContext;
use crate::http::{Answer, Body, read_json_body};
use crate::relay::StreamRelay;
use crate::upstream::{self, Failure, Opened, UpstreamAnswer};

const PATH: &str = "/v1/chat/completions";
/// A catalogue that misses a model is asked for anew when it is older than this.
const RECENT_MS: u64 = 1000;

/// Answers a chat completion: the backend's own answer, as the backend gave it.
///
/// # Errors
///
/// The whole table of the contract.
pub(crate) async fn complete(context: &RequestContext, caller: Admission) -> Result<Answer, Error> {
    let (body, bytes) = read_json_body(&context.request, context.config.body_limit_bytes).await?;
    let request = ChatRequest::parse(&bytes)?;
    drop(bytes);
    let signal = Reflect::get(&context.request, &JsString::from("signal")).unwrap_or(JsValue::UNDEFINED);
    let mut reservation = Some(caller.reservation);
    // Each turn takes one backend off the list, so it ends.
    for _ in 0..=context.config.backends.len() {
        let backend = choose(context, &request).await?;
        let Some(reserved) = reservation.take() else { break };
        let outcome = if request.stream {
            stream(context, backend, &request, &body, reserved, &signal).await
        } else {
            plain(context, backend, &body, reserved, &signal).await
        };
        match outcome {
            Ok(answer) => return Ok(answer),
            // Nothing was accepted, so another backend may be tried.
            Err((Failure::Refused, returned)) => {
                catalog::mark_down(&backend.id);
                reservation = returned;
                if reservation.is_none() {
                    return Err(Failure::Refused.into());
                }
            }
            Err((failure, _)) => return Err(failure.into()),
        }
    }
    Err(Failure::Refused.into())
}

/// The backend for the request, if its model can do what is asked.
async fn choose<'a>(context: &'a RequestContext, request: &ChatRequest) -> Result<&'a Backend, Error> {
    let config = &context.config;
    let mut catalog = catalog::read(config.catalog_ttl_ms).await;
    if catalog.choose(&request.model).is_err() {
        catalog = catalog::read(RECENT_MS.min(config.catalog_ttl_ms)).await;
    }
    let (entry, served) = catalog.choose(&request.model)?;
    request.check_capabilities(&served.capabilities)?;
    let backend = config.backends.iter().find(|backend| backend.id == entry.id);
    backend.ok_or_else(|| Error::new(Code::InternalError, "The catalogue names a backend that is not configured."))
}

/// A failure, and the reservation when it can still be used for another try.
type Failed = (Failure, Option<Reservation>);

async fn plain(
    context: &RequestContext,
    backend: &Backend,
    body: &Uint8Array,
    reservation: Reservation,
    signal: &JsValue,
) -> Result<Answer, Failed> {
    let config = &context.config;
    let sent = upstream::ask(backend, PATH, body.into(), config.first_byte_timeout_ms, config, signal).await;
    let answer = match sent {
        Ok(answer) => answer,
        Err(failure) => return Err((failure, Some(reservation))),
    };
    match read_usage(&answer) {
        Some(usage) => {
            reservation.settle(usage);
            Ok(Answer { status: 200, headers: Vec::new(), body: Body::Bytes(answer.body) })
        }
        None => Ok(failure_answer(&answer)),
    }
}

async fn stream(
    context: &RequestContext,
    backend: &Backend,
    request: &ChatRequest,
    body: &Uint8Array,
    reservation: Reservation,
    signal: &JsValue,
) -> Result<Answer, Failed> {
    let config = &context.config;
    let relay = Relay::new(config.event_limit_bytes as usize).with_choices(request.choices);
    let again = reservation.clone();
    let relay = StreamRelay::new(relay, reservation, Rc::from(backend.id.as_str()));
    match upstream::open_stream(backend, PATH, body.into(), config, relay, signal).await {
        Ok(Opened::Stream(stream)) => Ok(Answer { status: 200, headers: Vec::new(), body: Body::Stream(stream) }),
        Ok(Opened::Answer(answer)) => Ok(failure_answer(&answer)),
        Err(failure) => Err((failure, Some(again))),
    }
}

/// What a plain answer says it cost. `None` when it is not the answer of a success: not a 200, or not
/// a JSON object.
#[expect(clippy::option_option, reason = "whether it is an answer, and whether it says what it cost, are two things")]
fn read_usage(answer: &UpstreamAnswer) -> Option<Option<Usage>> {
    #[derive(Deserialize)]
    struct Completion {
        usage: Option<Usage>,
    }
    if answer.status != 200 {
        return None;
    }
    let bytes = answer.body.to_vec();
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice::<Completion>(&bytes).ok().map(|completion| completion.usage)
}

fn failure_answer(answer: &UpstreamAnswer) -> Answer {
    let failure = answer.to_failure();
    let answer = Answer::json_text(failure.status, failure.body);
    match failure.retry_after_ms {
        Some(wait_ms) => answer.with("retry-after", to_retry_after_secs(wait_ms).to_string()),
        None => answer,
    }
}
