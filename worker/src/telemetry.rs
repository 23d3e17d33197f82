//! What this isolate tells of itself: its counters, and the spans that wait for a collector.

use std::cell::{Cell, RefCell};

use comind::telemetry::{Limit, Meter, Record, Span, to_otlp};
use wasm_bindgen::prelude::*;
use worker::Context;

use crate::config::{self, Collector};
use crate::http::Fields;
use crate::{log, runtime};

#[wasm_bindgen(module = "/src/js/runtime.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn post(url: &str, fields: &str, body: &str, limit_ms: u32) -> Result<JsValue, JsValue>;
}

thread_local! {
    static METER: RefCell<Meter> = const { RefCell::new(Meter::new()) };
    static WAITING: RefCell<Vec<Span>> = const { RefCell::new(Vec::new()) };
    /// Until then somebody sees to the spans; the runtime may end it without a word.
    static SEEN_TO_UNTIL_MS: Cell<u64> = const { Cell::new(0) };
    static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Spans that wait, at most; those of OpenTelemetry's batch processor by default.
const MAX_WAITING: usize = 2048;
const BATCH: usize = 512;
/// How long the first of a batch waits for others, in milliseconds.
const DELAY_MS: u64 = 1000;
/// How long a collector may take, in milliseconds.
const LIMIT_MS: u32 = 10_000;

fn with(work: impl FnOnce(&mut Meter)) {
    METER.with_borrow_mut(work);
}

/// A request is over.
pub(crate) fn observe(record: &Record<'_>) {
    with(|meter| meter.observe(record));
    let spans = record.to_spans();
    let dropped = WAITING.with_borrow_mut(|waiting| {
        let room = MAX_WAITING.saturating_sub(waiting.len());
        let dropped = spans.len().saturating_sub(room);
        waiting.extend(spans.into_iter().take(room));
        dropped
    });
    with(|meter| meter.drop_spans(dropped as u64));
}

/// A limit has refused something.
pub(crate) fn refuse(limit: Limit) {
    with(|meter| meter.refuse(limit));
}

/// An object was asked.
pub(crate) fn call_object(namespace: &'static str, is_answered: bool) {
    with(|meter| meter.call_object(namespace, is_answered));
}

/// A stream has begun.
pub(crate) fn begin_stream() {
    with(Meter::begin_stream);
}

/// A stream is over.
pub(crate) fn end_stream() {
    with(Meter::end_stream);
}

/// What has been counted, for a monitor.
pub(crate) fn metrics() -> String {
    METER.with_borrow(|meter| meter.render(memory_bytes()))
}

#[cfg(target_arch = "wasm32")]
const PAGE_BYTES: u64 = 65_536;

#[cfg(target_arch = "wasm32")]
fn memory_bytes() -> u64 {
    core::arch::wasm32::memory_size::<0>() as u64 * PAGE_BYTES
}

#[cfg(not(target_arch = "wasm32"))]
const fn memory_bytes() -> u64 {
    0
}

/// Sees to it that the spans that wait are sent, behind the answer.
pub(crate) fn flush_soon(ctx: &Context) {
    let now_ms = runtime::steady_ms();
    if WAITING.with_borrow(Vec::is_empty) || now_ms < SEEN_TO_UNTIL_MS.get() {
        return;
    }
    SEEN_TO_UNTIL_MS.set(now_ms + DELAY_MS + u64::from(LIMIT_MS));
    ctx.wait_until(async {
        runtime::sleep(DELAY_MS).await;
        let config = config::current();
        if let Some(collector) = &config.collector {
            flush(collector).await;
        }
        SEEN_TO_UNTIL_MS.set(0);
    });
}

async fn flush(collector: &Collector) {
    loop {
        let batch: Vec<Span> = WAITING.with_borrow_mut(|waiting| {
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        });
        if batch.is_empty() {
            return;
        }
        SEEN_TO_UNTIL_MS.set(runtime::steady_ms() + u64::from(LIMIT_MS));
        let mut fields = Fields::default();
        fields.add("content-type", "application/json");
        for (name, value) in &collector.headers {
            // It leaves for the one it is meant for.
            fields.add(name, value.expose());
        }
        let body = to_otlp(&batch, env!("CARGO_PKG_VERSION"));
        let status = post(&collector.url, fields.as_str(), &body, LIMIT_MS).await;
        let is_taken =
            status.ok().and_then(|status| status.as_f64()).is_some_and(|status| (200.0..300.0).contains(&status));
        if !is_taken {
            with(|meter| meter.drop_spans(batch.len() as u64));
        }
        // Once, not for every batch.
        if IS_REFUSED.replace(!is_taken) == is_taken {
            let message = if is_taken { "the collector takes spans again" } else { "the collector takes no spans" };
            log::collector(message);
        }
    }
}
