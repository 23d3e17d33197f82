//! Runs the event-stream vectors natively. `scripts/vectors.sh` runs them in wasm as well.
//!
//! Without a setting it runs `vectors.json`; `VECTORS` names other files, one a line. (The large
//! ones are for an optimised build.)
//! A failed vector is one line `FAIL <tab> place <tab> name <tab> reason`; the last line counts.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program: its output is its purpose, and it may stop at the first surprise"
)]

mod vector;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use comind::sse::{Decoder, End, Event, Sink};
use vector::{Expected, Seen, Vector};

/// The runner holds any event; what happens at a limit is a unit test's subject.
const LIMIT_BYTES: usize = 256 << 20;
/// A quadratic decoder needs hours for the large vectors, a linear one well under a second.
const TIME_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let files = env::var("VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/vectors.json").to_owned());
    let (mut passed, mut failed) = (0, 0);
    for file in files.lines() {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        for vector in vector::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}")) {
            match run(&vector) {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    println!("FAIL\t{}\t{}\t{reason}", passed + failed, vector.name);
                }
            }
        }
    }
    println!("native: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one vector in every way; the first way that differs is the reason.
fn run(vector: &Vector) -> Result<(), String> {
    for (way, cuts) in vector.ways() {
        let (seen, after_chunk) = decode(cuts.chunks(&vector.stream))?;
        let expected = &vector.expected;
        expected.check(&seen).map_err(|why| format!("{way}: {why}"))?;
        if cuts.are_declared() {
            expected.check_latency(&after_chunk).map_err(|why| format!("{way}: {why}"))?;
        }
        if vector.is_cut && seen.end != Some(End::Cut) {
            return Err(format!("{way}: an unfinished event was not noticed"));
        }
    }
    Ok(())
}

fn decode<'s>(chunks: impl Iterator<Item = &'s [u8]>) -> Result<(Seen, Vec<usize>), String> {
    let mut decoder = Decoder::new(LIMIT_BYTES);
    let mut seen = Seen::default();
    let mut after_chunk = vec![];
    let start = Instant::now();
    for (count, chunk) in chunks.enumerate() {
        decoder.handle_chunk(chunk, &mut Collect(&mut seen)).map_err(|overlong| overlong.to_string())?;
        after_chunk.push(seen.events.len());
        if count % 4096 == 0 && start.elapsed() > TIME_LIMIT {
            return Err(format!("not done after {TIME_LIMIT:?}"));
        }
    }
    seen.end = Some(decoder.finish());
    seen.retry = decoder.retry_ms();
    seen.last_event_id = decoder.last_event_id().to_owned();
    Ok((seen, after_chunk))
}

struct Collect<'s>(&'s mut Seen);

impl Sink for Collect<'_> {
    fn event(&mut self, event: Event<'_>) {
        self.0.events.push(vector::Event {
            kind: event.event_type.to_owned(),
            data: event.text().into_owned(),
            id: event.id.to_owned(),
        });
    }

    fn comment(&mut self, text: &[u8]) {
        self.0.comments.push(String::from_utf8_lossy(text).into_owned());
    }
}

impl Expected {
    fn check_latency(&self, after_chunk: &[usize]) -> Result<(), String> {
        match &self.events_after_chunk {
            Some(expected) if expected != after_chunk => {
                Err(format!("events after each chunk: {after_chunk:?}, expected {expected:?}"))
            }
            _ => Ok(()),
        }
    }
}
