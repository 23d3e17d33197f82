//! Bytes of an event stream in, an answer out: as chunks, as text, or added up.

use alloc::string::String;
use alloc::vec::Vec;

use comind::chat::{Accumulator, Seen};
use comind::error::{Code, Error};
use comind::sse::{Decoder, Event, Sink};
use wasm_bindgen::prelude::wasm_bindgen;

/// The largest single event, in bytes; a larger one ends the stream with `response_malformed`. Ours: eight times what
/// the edge holds by default, for those who set it higher.
const EVENT_LIMIT_BYTES: usize = 8 << 20;

/// The largest answer, in bytes, added up. Ours: far beyond what any model writes, and what a page can hold.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// What a push puts out.
#[wasm_bindgen]
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Output {
    /// Nothing: the answer is only added up.
    Nothing,
    /// The chunks that the piece completed, as the text of a JSON array. Of a chunk that differs from an earlier one in
    /// its text alone there is only that text; the earlier one is the last that follows a `1`.
    Chunks,
    /// What choice 0 said in them, as plain text.
    Text,
}

/// One answer on its way.
///
/// JavaScript copies a piece of the network's to [`input`](Self::input), calls [`push`](Self::push), and finds the
/// outcome at [`output`](Self::output): one text a piece, however many events it held.
#[wasm_bindgen]
pub struct EventStream {
    decoder: Decoder,
    answer: Answer,
    input: Vec<u8>,
    output: Output,
    /// How much of the answer's text was put out.
    shown_bytes: usize,
}

#[wasm_bindgen]
impl EventStream {
    /// A stream before its first byte.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript has no Default")]
    pub fn new() -> Self {
        Self {
            decoder: Decoder::new(EVENT_LIMIT_BYTES),
            answer: Answer {
                accumulator: Accumulator::new(ANSWER_LIMIT_BYTES),
                keeps_chunks: false,
                json: String::new(),
                has_begun: false,
                has_grown: false,
                failure: None,
            },
            input: Vec::new(),
            output: Output::Nothing,
            shown_bytes: 0,
        }
    }

    /// Where to write pieces of up to `length` bytes: good until it is asked for more.
    pub fn input(&mut self, length: usize) -> *const u8 {
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        self.input.as_ptr()
    }

    /// Takes the first `length` bytes of the input; gives four times the length of the output, and adds 2 when the
    /// answer has grown (a comment is a sign of life alone), 1 when nothing is to come any more: after `[DONE]` and after
    /// a failure.
    pub fn push(&mut self, length: usize, output: Output) -> usize {
        self.answer.json.clear();
        self.answer.has_grown = false;
        self.output = output;
        self.answer.keeps_chunks = output == Output::Chunks;
        self.shown_bytes = self.answer.accumulator.text().len();
        let piece = self.input.get(..length).unwrap_or_default();
        if let Err(overlong) = self.decoder.handle_chunk(piece, &mut self.answer) {
            self.answer.failure.get_or_insert(overlong.into());
        }
        let length = match output {
            Output::Nothing => 0,
            Output::Text => self.answer.accumulator.text().len() - self.shown_bytes,
            Output::Chunks => {
                if !self.answer.json.is_empty() {
                    self.answer.json.push(']');
                }
                self.answer.json.len()
            }
        };
        length * 4 + usize::from(self.answer.has_grown) * 2 + usize::from(self.answer.is_over())
    }

    /// The address of the output, good until the next call.
    pub fn output(&self) -> *const u8 {
        match self.output {
            Output::Text => self.answer.accumulator.text().as_bytes().get(self.shown_bytes..).unwrap_or_default(),
            Output::Nothing | Output::Chunks => self.answer.json.as_bytes(),
        }
        .as_ptr()
    }

    /// Whether `[DONE]` came.
    pub fn is_done(&self) -> bool {
        self.answer.accumulator.is_done()
    }

    /// Takes the end of the bytes. Unless every choice has said why it finished, it is a failure: `stream_truncated`.
    pub fn finish(&mut self) {
        if self.answer.failure.is_none() && !self.answer.accumulator.is_whole() {
            let cut = Error::new(Code::StreamTruncated, "The stream ended before the answer did.");
            self.answer.failure = Some(cut);
        }
    }

    /// Puts out the failure, in the form in which the edge sends one; 0 if there is none.
    pub fn failure(&mut self) -> usize {
        let json = self.answer.failure.as_ref().map(Error::to_json);
        self.put_out(json.unwrap_or_default())
    }

    /// Puts out the answer so far, as the JSON text of a `chat.completion`; 0 before the first chunk.
    pub fn answer(&mut self) -> usize {
        let json = if self.answer.has_begun { self.answer.accumulator.to_json() } else { String::new() };
        self.put_out(json)
    }

    /// Puts out what the answer has cost so far, as JSON text; 0 if the server did not say.
    pub fn usage(&mut self) -> usize {
        let json = self.answer.accumulator.usage().into();
        self.put_out(json)
    }

    fn put_out(&mut self, json: String) -> usize {
        self.output = Output::Nothing;
        self.answer.json = json;
        self.answer.json.len()
    }
}

/// What the events add up to.
struct Answer {
    accumulator: Accumulator,
    keeps_chunks: bool,
    /// `[{…},{…}` of this push; or whatever else was asked for.
    json: String,
    has_begun: bool,
    has_grown: bool,
    /// What ended it; whatever follows is not looked at.
    failure: Option<Error>,
}

impl Answer {
    const fn is_over(&self) -> bool {
        self.failure.is_some() || self.accumulator.is_done()
    }
}

impl Sink for Answer {
    fn event(&mut self, event: Event<'_>) {
        if self.is_over() {
            return;
        }
        let data = event.text();
        let seen = match self.accumulator.handle_data(&data) {
            Ok(Seen::Done) => return,
            Ok(seen) => seen,
            Err(failure) => {
                self.failure = Some(failure);
                return;
            }
        };
        self.has_begun = true;
        self.has_grown = true;
        if self.keeps_chunks {
            // The accumulator has read it as one JSON value, so that the list of them is JSON too.
            self.json.push(if self.json.is_empty() { '[' } else { ',' });
            if seen == Seen::Model {
                self.json.push_str("1,");
            }
            self.json.push_str(if let Seen::Text(quoted) = seen { quoted } else { &data });
        }
    }
}
