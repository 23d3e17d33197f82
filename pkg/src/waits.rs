//! How long to wait, in milliseconds as JavaScript counts them.

use comind::error::Code;
use comind::retry::{Decision, Policy, parse_retry_after};
use comind::token;
use wasm_bindgen::prelude::wasm_bindgen;

/// What a `Retry-After` header asks for at `now_ms` (Unix time); negative if it is not to be understood.
#[wasm_bindgen]
pub fn retry_after_ms(header: &str, now_ms: f64) -> f64 {
    parse_retry_after(header, to_milliseconds(now_ms)).map_or(-1.0, to_number)
}

/// How long to wait before attempt number `attempt + 1` of `attempts`; negative if there is to be none.
///
/// `asked_ms`: what the server asked for, negative if nothing. `elapsed_ms`: since the first attempt. `jitter`: any
/// 32 bits, all equally likely.
#[wasm_bindgen]
pub fn retry_wait_ms(code: &str, attempt: u32, attempts: u32, asked_ms: f64, elapsed_ms: f64, jitter: u32) -> f64 {
    let Some(code) = Code::from_spelling(code) else {
        return -1.0;
    };
    let policy = Policy { max_attempts: attempts, ..Policy::default() };
    let asked_ms = (asked_ms >= 0.0).then(|| to_milliseconds(asked_ms));
    match policy.decide(attempt, code, asked_ms, to_milliseconds(elapsed_ms), jitter) {
        Decision::Retry { wait_ms } => to_number(wait_ms),
        Decision::GiveUp => -1.0,
    }
}

/// When to renew an access token received at `received_ms` (Unix time) that lives `lifetime_secs`.
#[wasm_bindgen]
pub fn renew_at_ms(received_ms: f64, lifetime_secs: f64) -> f64 {
    to_number(token::renew_at_ms(to_milliseconds(received_ms), to_milliseconds(lifetime_secs)))
}

/// Exact below 2⁵³; every time here is.
#[allow(clippy::cast_precision_loss, reason = "a time is far below 2^53 ms")]
const fn to_number(milliseconds: u64) -> f64 {
    milliseconds as f64
}

/// Whole, and 0 for what is no time.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted of NaN, negatives and infinity"
)]
const fn to_milliseconds(number: f64) -> u64 {
    number as u64
}
