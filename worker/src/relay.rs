//! The core's relay, as the pump in `js/upstream.js` calls it.

use std::cell::RefCell;
use std::rc::Rc;

use comind::backend::{Outcome, UpstreamFailure};
use comind::chat::Verdict;
use comind::error::{Code, Error};
use comind::sse::encoder::write_data;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::job::Job;
use crate::upstream::Failure;

/// Watches one stream. Made by the handler, used and freed by the pump.
#[wasm_bindgen]
pub struct StreamRelay {
    job: Rc<Job>,
    /// Why there is no stream, once that is known.
    refusal: Rc<RefCell<Option<UpstreamFailure>>>,
    /// What [`push`](Self::push) could not hand out as a part of the chunk.
    out: Vec<u8>,
    /// Events until now.
    events: u64,
}

/// Nothing that matters can come any more: `[DONE]` or the backend's own error has passed.
const OVER: u32 = 1;
/// The chunk brought an event.
const PROGRESS: u32 = 2;
/// What is to be written is not the chunk's beginning, but what [`take`](StreamRelay::take) gives.
const ELSEWHERE: u32 = 4;
/// Above these bits stands how many of the chunk's first bytes are to be written.
const PARTS: u32 = 8;

impl StreamRelay {
    /// A relay that settles the bill when the stream has ended. A failure before it began is put into `refusal`.
    pub(crate) const fn new(job: Rc<Job>, refusal: Rc<RefCell<Option<UpstreamFailure>>>) -> Self {
        Self { job, refusal, out: Vec::new(), events: 0 }
    }
}

#[wasm_bindgen]
impl StreamRelay {
    /// Takes a chunk. What is to be written now, and what it brought: [`OVER`], [`PROGRESS`], [`ELSEWHERE`] and a
    /// length in units of [`PARTS`], in one number, because a call costs as much as what it does.
    pub fn push(&mut self, chunk: &[u8]) -> u32 {
        let pushed = {
            let mut relay = self.job.relay.borrow_mut();
            let forward = relay.handle_chunk(chunk);
            let is_beginning = forward.held.is_empty() && forward.chunk.start == 0;
            let length = u32::try_from(forward.chunk.end).ok().and_then(|end| end.checked_mul(PARTS));
            let write = length.filter(|_| is_beginning).unwrap_or_else(|| {
                self.out.clear();
                self.out.extend_from_slice(forward.held);
                self.out.extend_from_slice(chunk.get(forward.chunk).unwrap_or_default());
                ELSEWHERE
            });
            let has_moved = relay.events() > std::mem::replace(&mut self.events, relay.events());
            let is_over = relay.is_done() || relay.has_failed();
            write | (if is_over { OVER } else { 0 }) | (if has_moved { PROGRESS } else { 0 })
        };
        self.job.hear();
        pushed
    }

    /// The bytes to write after a [`push`](Self::push) that said so.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The stream is still wanted, however slowly its caller reads.
    pub fn renew(&self) {
        self.job.renew();
    }

    /// Whether the backend lives, for a stream that has long been silent.
    pub fn is_alive(&self) -> Promise {
        let job = Rc::clone(&self.job);
        future_to_promise(async move { Ok(job.is_alive().await.into()) })
    }

    /// The caller has gone: what has passed until now was used.
    pub fn leave(&mut self) {
        self.job.settle_part(Outcome::Left, Code::Aborted);
    }

    /// The heartbeat to write now: a comment, or nothing while half an event is with the caller.
    pub fn heartbeat(&mut self) -> Vec<u8> {
        self.job.renew();
        self.job.relay.borrow_mut().heartbeat().as_bytes().to_vec()
    }

    /// The last bytes, when the backend has ended; `failure` when that was not an orderly end.
    #[expect(clippy::needless_pass_by_value, reason = "what wasm-bindgen hands over")]
    pub fn end(&mut self, failure: Option<String>) -> Vec<u8> {
        let failure = failure.as_deref().map_or(Failure::Cut, Failure::from_word);
        let (mut bytes, verdict) = {
            let mut relay = self.job.relay.borrow_mut();
            let ending = relay.handle_end();
            (ending.write.to_vec(), ending.verdict)
        };
        self.job.hear();
        match verdict {
            Verdict::Whole => self.job.settle(None),
            Verdict::Failed => self.job.settle_part(Outcome::Broken, Code::UpstreamError),
            Verdict::Cut => {
                let error = explain(failure);
                bytes.extend_from_slice(error_event(&error.to_json()).as_bytes());
                self.job.settle_part(failure.outcome(), error.code);
            }
        }
        bytes
    }

    /// The error event for when WebAssembly has fallen over, behind a blank line that ends what may be half an event.
    pub fn fallen(&self) -> String {
        format!("\n\n{}", error_event(&fallen()))
    }

    /// The error event for a stream that did not begin, after the first heartbeat had gone out.
    pub fn refusal(&mut self) -> Vec<u8> {
        let refusal = self.refusal.take();
        let body = refusal.map_or_else(|| explain(Failure::Cut).to_json(), |failure| failure.body);
        error_event(&body).into_bytes()
    }
}

/// What a caller is told of a stream that was cut.
fn explain(failure: Failure) -> Error {
    let (code, message) = match failure {
        Failure::Timeout => (Code::UpstreamTimeout, "The backend stopped sending in the middle of its answer."),
        Failure::Deadline => (Code::UpstreamTimeout, "The answer took longer than the edge allows in all."),
        Failure::Dead => (Code::UpstreamError, "The backend stopped working in the middle of its answer."),
        _ => (Code::UpstreamError, "The backend broke off in the middle of its answer."),
    };
    Error::new(code, message)
}

/// What everybody under way is told when WebAssembly falls over; asked for before it does.
#[wasm_bindgen]
pub fn fallen() -> String {
    Error::new(Code::InternalError, "The edge has failed in the middle of the request. Try again.").to_json()
}

fn error_event(body: &str) -> String {
    let mut event = String::new();
    write_data(&mut event, body);
    event
}
