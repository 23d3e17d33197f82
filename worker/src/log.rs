//! The log: one line of JSON an event. Nothing that a caller or a backend sent goes in: no token,
//! prompt, address or query, only where it happened and what the edge itself says of it.

use comind::telemetry::Record;
use comind::types::to_json;
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    place: &'a str,
    message: &'a str,
}

/// A request that is over.
pub(crate) fn request(record: &Record<'_>) {
    worker::console_log!("{}", record.to_log_line());
}

/// What there is to say of the collector of spans.
pub(crate) fn collector(message: &str) {
    worker::console_warn!("{}", to_json(&Line { level: "warn", place: "collector", message }));
}

/// A fault of the edge's own.
pub(crate) fn internal(place: &str, message: &str) {
    worker::console_error!("{}", to_json(&Line { level: "error", place, message }));
}

/// A backend's trouble, which the operator can do something about.
pub(crate) fn backend(id: &str, message: &str) {
    worker::console_warn!("{}", to_json(&Line { level: "warn", place: id, message }));
}

/// A mail, where `MAIL_URL` is `log:`: the one place where a code may be printed, for development only.
pub(crate) fn development_mail(to: &str, text: &str) {
    worker::console_warn!("{}", to_json(&Line { level: "warn", place: to, message: text }));
}
