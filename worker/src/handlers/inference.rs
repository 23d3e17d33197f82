//! `POST /v1/chat/completions`, `/v1/completions` and `/v1/embeddings`: what is forwarded.

use comind::backend::Served;
use comind::chat::Relay;
use comind::error::{Code, Error};
use comind::request::{InferenceRequest, Operation};
use comind::trace::Stage;
use comind::types::{Usage, from_json};
use js_sys::{JsString, Reflect, Uint8Array};
use serde::Deserialize;
use serde_json::value::RawValue;
use wasm_bindgen::JsValue;

use crate::admission::{Admission, Reservation};
use crate::catalog::{self, Outstanding};
use crate::config::Backend;
use crate::context::{RequestContext, Trace};
use crate::http::{Answer, Body, read_json_body};
use crate::relay::StreamRelay;
use crate::upstream::{self, Failure, Limits, Opened, UpstreamAnswer};

/// A catalogue that misses a model is asked for anew when it is older than this.
const RECENT_MS: u64 = 1000;

/// Answers an inference request: the backend's own answer, as the backend gave it.
///
/// A backend that turns out to be gone hands its place to the next one that has the model.
///
/// # Errors
///
/// The whole table of the contract.
pub(crate) async fn answer(context: &RequestContext, caller: Admission, operation: Operation) -> Result<Answer, Error> {
    let answer = dispatch(context, &caller, operation).await;
    if answer.is_err() {
        caller.reservation.release();
    }
    answer
}

async fn dispatch(context: &RequestContext, caller: &Admission, operation: Operation) -> Result<Answer, Error> {
    let (body, bytes) = read_json_body(&context.request, context.config.body_limit_bytes).await?;
    let request = InferenceRequest::parse(operation, &bytes)?;
    drop(bytes);
    let signal = Reflect::get(&context.request, &JsString::from("signal")).unwrap_or(JsValue::UNDEFINED);
    let limits = Limits::of_request(&context.config);
    let trace = context.trace();
    for _ in &context.config.backends {
        let (backend, outstanding) = choose(context, &request).await?;
        context.end_stage(Stage::Route);
        if caller.profile.is_admin() {
            context.note_backend(&backend.id);
        }
        let reservation = &caller.reservation;
        let call = Call { backend, path: operation.path(), body: &body, limits, trace: &trace, signal: &signal };
        let outcome = if request.stream {
            let relay = Relay::new(context.config.event_limit_bytes as usize).with_choices(request.choices);
            call.stream(relay, reservation.clone(), outstanding).await
        } else {
            call.plain(reservation.clone(), outstanding).await
        };
        context.end_stage(Stage::Upstream);
        match outcome {
            Err(Failure::Lost) if !catalog::is_alive(backend).await => {}
            outcome => return outcome.map_err(Error::from),
        }
    }
    // Says which of the two it is: no such model, or none up that has it.
    choose(context, &request).await?;
    Err(Failure::Lost.into())
}

/// The backend for the request: of those whose model can do what is asked the one with the least to do.
async fn choose<'a>(
    context: &'a RequestContext,
    request: &InferenceRequest,
) -> Result<(&'a Backend, Outstanding), Error> {
    let config = &context.config;
    let mut catalog = catalog::read(config.catalog_ttl_ms).await;
    if catalog.serving(&request.model).is_err() {
        catalog = catalog::read(RECENT_MS.min(config.catalog_ttl_ms)).await;
    }
    let serving = catalog.serving(&request.model)?;
    let is_able = |served: &Served| request.check_capabilities(&served.capabilities);
    let able: Vec<&str> =
        serving.iter().filter(|(_, served)| is_able(served).is_ok()).map(|(entry, _)| entry.id.as_str()).collect();
    if able.is_empty() {
        // What the first of them lacks, the caller is told.
        serving.first().map_or(Ok(()), |(_, served)| is_able(served))?;
    }
    let candidates: Vec<&Backend> =
        able.iter().filter_map(|&id| config.backends.iter().find(|backend| backend.id == id)).collect();
    // A stream moves, or has a heartbeat; a plain answer may take as long as a backend may.
    let patience_ms =
        if request.stream { 3 * u64::from(config.heartbeat_ms) } else { u64::from(config.first_byte_timeout_ms) };
    catalog::pick(&candidates, patience_ms)
        .ok_or_else(|| Error::new(Code::InternalError, "The catalogue names a backend that is not configured."))
}

/// One request on its way to one backend.
struct Call<'a> {
    backend: &'a Backend,
    path: &'static str,
    body: &'a Uint8Array,
    limits: Limits,
    trace: &'a Trace,
    signal: &'a JsValue,
}

impl Call<'_> {
    async fn plain(&self, reservation: Reservation, _outstanding: Outstanding) -> Result<Answer, Failure> {
        let answer =
            upstream::ask(self.backend, self.path, self.body.into(), self.limits, Some(self.trace), self.signal)
                .await?;
        let Some(usage) = read_usage(&answer) else { return Ok(pass_failure(&answer, reservation)) };
        reservation.settle(usage, 0);
        Ok(Answer { status: 200, headers: Vec::new(), body: Body::Bytes(answer.body) })
    }

    async fn stream(
        &self,
        relay: Relay,
        reservation: Reservation,
        outstanding: Outstanding,
    ) -> Result<Answer, Failure> {
        let relay = StreamRelay::new(relay, reservation.clone(), outstanding);
        match upstream::open_stream(
            self.backend,
            self.path,
            self.body.into(),
            self.limits,
            self.trace,
            relay,
            self.signal,
        )
        .await?
        {
            Opened::Stream(stream) => Ok(Answer { status: 200, headers: Vec::new(), body: Body::Stream(stream) }),
            Opened::Answer(answer) => Ok(pass_failure(&answer, reservation)),
        }
    }
}

/// What a plain answer says it cost. `None` when it is not the answer of a success: not a 200, or not
/// a JSON object.
#[expect(clippy::option_option, reason = "whether it is an answer, and whether it says what it cost, are two things")]
fn read_usage(answer: &UpstreamAnswer) -> Option<Option<Usage>> {
    #[derive(Deserialize)]
    struct Completion<'a> {
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
    }
    if answer.status != 200 {
        return None;
    }
    let bytes = answer.body.to_vec();
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let completion: Completion<'_> = from_json(&bytes)?;
    // An odd one is the caller's to wonder at: the answer passes all the same.
    Some(completion.usage.and_then(|usage| serde_json::from_str(usage.get()).ok()))
}

/// A backend's own failure, for the caller.
fn pass_failure(answer: &UpstreamAnswer, reservation: Reservation) -> Answer {
    reservation.release();
    answer.to_failure().into()
}
