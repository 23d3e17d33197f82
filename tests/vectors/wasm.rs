//! The decoder as a wasm module with plain exports, for `run.mjs` to drive and judge.
//!
//! `open()`, then for each chunk: `input(length)` gives where to put its bytes, `push()` decodes
//! them and returns the number of events so far, -1 if refused. `finish()` ends the stream (1 if
//! it was cut). `output()` and `output_length()` give what was seen, as JSON lines:
//! `{"event":{…}}`, `{"comment":"…"}` and at the end `{"retry":…,"last_event_id":"…"}`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use comind::sse::{Decoder, End, Event, Sink};

static RUN: Mutex<Run> = Mutex::new(Run::new());

struct Run {
    decoder: Decoder,
    input: Vec<u8>,
    seen: Seen,
}

struct Seen {
    events: i32,
    json_lines: Vec<u8>,
}

impl Run {
    const fn new() -> Self {
        Self { decoder: Decoder::new(256 << 20), input: Vec::new(), seen: Seen { events: 0, json_lines: Vec::new() } }
    }
}

impl Seen {
    fn line(&mut self, line: &serde_json::Value) {
        self.json_lines.extend_from_slice(line.to_string().as_bytes());
        self.json_lines.push(b'\n');
    }
}

impl Sink for Seen {
    fn event(&mut self, event: Event<'_>) {
        self.events += 1;
        self.line(&serde_json::json!({
            "event": { "type": event.event_type, "data": event.text(), "id": event.id }
        }));
    }

    fn comment(&mut self, text: &[u8]) {
        self.line(&serde_json::json!({ "comment": String::from_utf8_lossy(text) }));
    }
}

fn run() -> MutexGuard<'static, Run> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a stream.
#[unsafe(no_mangle)]
pub extern "C" fn open() {
    *run() = Run::new();
}

/// Where the next `length` bytes go.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    let mut run = run();
    run.input.resize(length, 0);
    run.input.as_mut_ptr()
}

/// Decodes what stands in the input; returns the events so far, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn push() -> i32 {
    let Run { decoder, input, seen } = &mut *run();
    match decoder.handle_chunk(input, seen) {
        Ok(()) => seen.events,
        Err(_) => -1,
    }
}

/// Ends the stream; returns 1 if it was cut.
#[unsafe(no_mangle)]
pub extern "C" fn finish() -> i32 {
    let Run { decoder, seen, .. } = &mut *run();
    let end = decoder.finish();
    seen.line(&serde_json::json!({
        "retry": decoder.retry_ms(), "last_event_id": decoder.last_event_id()
    }));
    i32::from(end == End::Cut)
}

/// Where the JSON lines are.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    run().seen.json_lines.as_ptr()
}

/// How long the JSON lines are, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    run().seen.json_lines.len()
}
