//! Bytes of an event stream in, chunks of an answer out.

use alloc::string::String;
use alloc::vec::Vec;

use comind::chat::Accumulator;
use comind::error::{Code, Error};
use comind::sse::{Decoder, Event, Sink};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;

/// The largest single event, in bytes; a larger one ends the stream with `response_malformed`. Ours: eight times what
/// the edge holds by default, for those who set it higher.
const EVENT_LIMIT_BYTES: usize = 8 << 20;

/// The largest answer, in bytes, added up. Ours: far beyond what any model writes, and what a page can hold.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// One answer on its way.
///
/// Only bytes and numbers cross: JavaScript copies a piece of the network's to [`input`](Self::input), calls
/// [`push`](Self::push), and finds at [`output`](Self::output) the JSON array of the chunks that the piece completed.
/// That is one text and one `JSON.parse` a piece, however many events it held, and no glue on the way.
#[wasm_bindgen]
pub struct EventStream {
    decoder: Decoder,
    answer: Answer,
    input: Vec<u8>,
    request_id: Option<String>,
}

#[wasm_bindgen]
impl EventStream {
    /// The stream of the request with this id.
    #[wasm_bindgen(constructor)]
    pub fn new(request_id: Option<String>) -> Self {
        Self {
            decoder: Decoder::new(EVENT_LIMIT_BYTES),
            answer: Answer {
                accumulator: Accumulator::new(ANSWER_LIMIT_BYTES),
                chunks: Vec::new(),
                has_begun: false,
                failure: None,
            },
            input: Vec::new(),
            request_id,
        }
    }

    /// Where to write the next piece: the address of at least `length` bytes, good until the next call.
    pub fn input(&mut self, length: usize) -> *const u8 {
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        self.input.as_ptr()
    }

    /// Takes the first `length` bytes of the input; gives the length of the output, 0 when no chunk is complete.
    ///
    /// Chunks before a failure are given; [`poll_done`](Self::poll_done) tells of it after them.
    pub fn push(&mut self, length: usize) -> usize {
        self.answer.chunks.clear();
        let piece = self.input.get(..length).unwrap_or_default();
        if let Err(overlong) = self.decoder.handle_chunk(piece, &mut self.answer) {
            self.answer.failure.get_or_insert(overlong.into());
        }
        if !self.answer.chunks.is_empty() {
            self.answer.chunks.push(b']');
        }
        self.answer.chunks.len()
    }

    /// The address of the output: a JSON array of chunks, good until the next call.
    pub fn output(&self) -> *const u8 {
        self.answer.chunks.as_ptr()
    }

    /// Whether the answer is complete. Throws what the last push met.
    pub fn poll_done(&mut self) -> Result<bool, JsValue> {
        match self.answer.failure.take() {
            Some(failure) => Err(self.fail(failure, JsValue::UNDEFINED)),
            None => Ok(self.answer.accumulator.is_done()),
        }
    }

    /// Takes the end of the bytes, and what broke the connection if something did.
    ///
    /// Throws `stream_truncated` unless every choice has said why it finished.
    pub fn finish(&self, broken: JsValue) -> Result<(), JsValue> {
        if self.answer.accumulator.is_whole() {
            return Ok(());
        }
        Err(self.fail(Error::new(Code::StreamTruncated, "The stream ended before the answer did."), broken))
    }

    /// The answer so far, as the JSON text of a `chat.completion`; nothing before the first chunk.
    pub fn answer(&self) -> Option<String> {
        self.answer.has_begun.then(|| self.answer.accumulator.to_json())
    }

    fn fail(&self, error: Error, cause: JsValue) -> JsValue {
        Failure::from(error).because(cause).of_request(self.request_id.clone()).into()
    }
}

/// What the events add up to.
struct Answer {
    accumulator: Accumulator,
    /// `[{…},{…}` of the last push; empty when it completed no chunk.
    chunks: Vec<u8>,
    has_begun: bool,
    /// What ended it; whatever follows is not looked at.
    failure: Option<Error>,
}

impl Sink for Answer {
    fn event(&mut self, event: Event<'_>) {
        if self.accumulator.is_done() || self.failure.is_some() {
            return;
        }
        let data = event.text();
        if let Err(failure) = self.accumulator.handle_data(&data) {
            self.failure = Some(failure);
        } else if !self.accumulator.is_done() {
            // The accumulator has read it as one JSON value, so that the list of them is JSON too.
            self.chunks.push(if self.chunks.is_empty() { b'[' } else { b',' });
            self.chunks.extend_from_slice(data.as_bytes());
            self.has_begun = true;
        }
    }
}
