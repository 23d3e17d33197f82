//! `POST /v1/chat/completions`, `/v1/completions` and `/v1/embeddings`: what is forwarded.

use std::cell::RefCell;
use std::rc::Rc;

use comind::backend::{Completion, Outcome, UpstreamFailure, to_base64};
use comind::chat::fix_completion;
use comind::error::{Code, Error};
use comind::request::{InferenceRequest, Operation};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;

use crate::admission::Admission;
use crate::context::RequestContext;
use crate::http::{Answer, Body, read_json_body};
use crate::job::{Job, Reached};
use crate::relay::StreamRelay;
use crate::upstream::{Failure, UpstreamAnswer, relay_stream};

/// Answers an inference request: the backend's own answer, as the backend gave it but for its quirks.
///
/// # Errors
///
/// The whole table of the contract.
pub(crate) async fn answer(
    context: &Rc<RequestContext>,
    caller: Admission,
    operation: Operation,
) -> Result<Answer, Error> {
    let checked = check(context, operation).await;
    let (request, body) = checked.inspect_err(|_| caller.bill.release(context))?;
    let is_stream = request.stream;
    let job = Rc::new(Job::new(context, &caller, request, body));
    Ok(if is_stream { stream(job).await } else { plain(&job).await })
}

async fn check(
    context: &RequestContext,
    operation: Operation,
) -> Result<(InferenceRequest, js_sys::Uint8Array), Error> {
    let (body, bytes) = read_json_body(&context.request, &context.head, context.config.body_limit_bytes).await?;
    Ok((InferenceRequest::parse(operation, &bytes, context.config.nesting_limit)?, body))
}

async fn plain(job: &Job) -> Answer {
    let reached = job.run().await;
    job.exchange.close();
    match reached {
        Ok(Reached::Answer(answer, completion)) => whole(job, answer, completion),
        Ok(Reached::Stream(_)) => unasked(job).into(),
        Err(failure) => {
            job.settle_part(Outcome::Left, Code::from_status(failure.status));
            refuse(job, failure)
        }
    }
}

/// Says how often backends were asked, so that a client does not do all of it again for each try of its own.
fn refuse(job: &Job, failure: UpstreamFailure) -> Answer {
    let answer = Answer::from(failure);
    match job.attempts() {
        0 => answer,
        attempts => answer.with("x-attempt-count", attempts.to_string()),
    }
}

/// A stream where none was asked for, or the reverse, which `run` does not give.
fn unasked(job: &Job) -> UpstreamFailure {
    job.settle_part(Outcome::Broken, Code::UpstreamError);
    UpstreamFailure::from(&Error::from(Failure::Cut))
}

/// A whole answer.
fn whole(job: &Job, answer: UpstreamAnswer, completion: Completion) -> Answer {
    job.settle(completion.usage);
    let fixed = job.backend().and_then(|backend| {
        let quirks = backend.provider.quirks();
        let text = core::str::from_utf8(&answer.bytes).ok()?;
        match job.request.operation {
            Operation::ChatCompletion if job.request.has_tools && quirks.has_odd_tool_calls => fix_completion(text),
            Operation::Embedding if job.request.wants_base64 && quirks.ignores_base64 => to_base64(text),
            _ => None,
        }
    });
    let body = fixed.map_or(Body::Bytes(answer.body), Body::Json);
    Answer { status: 200, headers: Vec::new(), body }
}

async fn stream(job: Rc<Job>) -> Answer {
    let refusal: Rc<RefCell<Option<UpstreamFailure>>> = Rc::default();
    let relay = StreamRelay::new(Rc::clone(&job), Rc::clone(&refusal));
    let (opener, refused) = (Rc::clone(&job), Rc::clone(&refusal));
    let opening = future_to_promise(async move {
        let failure = match opener.run().await {
            Ok(Reached::Stream(opened)) => return Ok(opened),
            Ok(Reached::Answer(..)) => unasked(&opener),
            Err(failure) => failure,
        };
        opener.settle_part(Outcome::Left, Code::from_status(failure.status));
        *refused.borrow_mut() = Some(failure);
        Ok(JsValue::UNDEFINED)
    });
    let stream = relay_stream(&opening, &job.exchange, job.limits(), relay).await;
    if !stream.is_undefined() {
        return Answer { status: 200, headers: Vec::new(), body: Body::Stream(stream.unchecked_into()) };
    }
    let failure = refusal.take();
    refuse(&job, failure.unwrap_or_else(|| UpstreamFailure::from(&Error::from(Failure::Cut))))
}
