//! What only the runtime has: time and chance. The core takes both as arguments.

use std::cell::Cell;

use comind::token::pat;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/js/runtime.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = sleep)]
    async fn sleep_js(ms: f64) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970, far below 2^53")]
    let now_ms = js_sys::Date::now() as u64;
    now_ms
}

thread_local! {
    /// What [`steady_ms`] said last, and how far the clock has been set back since the start.
    static STEADY: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Milliseconds that never go backwards, for how long things have lasted: with a clock that was set back an hour, a
/// lease must not last an hour longer. Where it was set forward, they have lasted longer.
pub(crate) fn steady_ms() -> u64 {
    let (last_ms, mut behind_ms) = STEADY.get();
    let now_ms = now_ms();
    behind_ms += last_ms.saturating_sub(now_ms + behind_ms);
    STEADY.set((now_ms + behind_ms, behind_ms));
    now_ms + behind_ms
}

/// Unix seconds.
pub(crate) fn now_secs() -> u64 {
    now_ms() / 1000
}

/// Waits.
pub(crate) async fn sleep(ms: u64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let ms = ms as f64;
    let _ = sleep_js(ms).await;
}

/// Bytes from the runtime's cryptographic source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    get_random_values(&mut bytes);
    bytes
}

/// An id that nobody can guess: 128 random bits.
pub(crate) fn random_id() -> String {
    let id = pat::make_user_id(&random());
    id.strip_prefix(pat::USER_PREFIX).map_or_else(String::new, str::to_owned)
}
