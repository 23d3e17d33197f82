//! The core's relay, as the pump in `js/upstream.js` calls it.

use comind::chat::{Relay, Verdict};
use comind::error::{Code, Error};
use comind::sse::encoder::write_data;
use wasm_bindgen::prelude::*;

use crate::admission::Reservation;
use crate::catalog::Outstanding;
use crate::upstream::{Failure, Outcome};

/// Watches one stream. Made by the handler, used and freed by the pump.
#[wasm_bindgen]
pub struct StreamRelay {
    relay: Relay,
    /// What [`push`](Self::push) could not hand out as a part of the chunk.
    out: Vec<u8>,
    reservation: Option<Reservation>,
    /// The backend has this request until the relay goes.
    outstanding: Outstanding,
}

impl StreamRelay {
    /// A relay that settles the reservation when the stream has ended.
    pub fn new(relay: Relay, reservation: Reservation, outstanding: Outstanding) -> Self {
        Self { relay, out: Vec::new(), reservation: Some(reservation), outstanding }
    }

    fn settle(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(self.relay.usage(), self.relay.events());
        }
    }
}

#[wasm_bindgen]
impl StreamRelay {
    /// Takes a chunk. So many of its first bytes are to be written now; −1: those of
    /// [`take`](Self::take) instead.
    pub fn push(&mut self, chunk: &[u8]) -> i32 {
        self.outstanding.renew();
        let forward = self.relay.handle_chunk(chunk);
        if forward.held.is_empty() && forward.chunk.start == 0 {
            return i32::try_from(forward.chunk.end).unwrap_or(i32::MAX);
        }
        self.out.clear();
        self.out.extend_from_slice(forward.held);
        self.out.extend_from_slice(chunk.get(forward.chunk).unwrap_or_default());
        -1
    }

    /// The bytes to write after a [`push`](Self::push) that gave −1.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether nothing that matters can come any more: `[DONE]` or the backend's own error has passed.
    pub fn is_over(&self) -> bool {
        self.relay.is_done() || self.relay.has_failed()
    }

    /// The caller has gone: what has passed until now was used.
    pub fn leave(&mut self) {
        self.settle();
    }

    /// The heartbeat to write now: a comment, or nothing while half an event is with the caller.
    pub fn heartbeat(&mut self) -> Vec<u8> {
        self.outstanding.renew();
        self.relay.heartbeat().as_bytes().to_vec()
    }

    /// The last bytes, when the backend has ended; `failure` when that was not an orderly end.
    #[expect(clippy::needless_pass_by_value, reason = "what wasm-bindgen hands over")]
    pub fn end(&mut self, failure: Option<String>) -> Vec<u8> {
        let ending = self.relay.handle_end();
        let mut bytes = ending.write.to_vec();
        if ending.verdict == Verdict::Cut {
            let error = match failure.as_deref().map(Failure::from_word) {
                Some(Failure::Timeout) => {
                    Error::new(Code::UpstreamTimeout, "The backend stopped sending in the middle of its answer.")
                }
                _ => Error::new(Code::UpstreamError, "The backend broke off in the middle of its answer."),
            };
            bytes.extend_from_slice(error_event(&error.to_json()).as_bytes());
        }
        self.settle();
        bytes
    }

    /// The error event for a backend that failed after the first heartbeat had gone out.
    pub fn refuse(&mut self, outcome: Outcome) -> Vec<u8> {
        if let Some(reservation) = self.reservation.take() {
            reservation.release();
        }
        let body = match outcome.into_answer() {
            Ok(answer) => answer.to_failure().body,
            Err(failure) => Error::from(failure).to_json(),
        };
        error_event(&body).into_bytes()
    }
}

fn error_event(body: &str) -> String {
    let mut event = String::new();
    write_data(&mut event, body);
    event
}
