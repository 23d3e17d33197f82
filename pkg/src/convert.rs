//! Values on their way between Rust and JavaScript.

use alloc::string::String;

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// A member of a foreign value, if the value has members and this one is a string.
pub(crate) fn text_member(value: &JsValue, name: &str) -> Option<String> {
    Reflect::get(value, &name.into()).ok()?.as_string()
}

/// Milliseconds as JavaScript counts them. Exact below 2⁵³; every wait here is.
#[allow(clippy::cast_precision_loss, reason = "a wait is far below 2^53 ms")]
pub(crate) const fn to_number(milliseconds: u64) -> f64 {
    milliseconds as f64
}

/// Milliseconds as Rust counts them: whole, and 0 for what is no time.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted of NaN, negatives and infinity"
)]
pub(crate) const fn to_milliseconds(number: f64) -> u64 {
    number as u64
}
