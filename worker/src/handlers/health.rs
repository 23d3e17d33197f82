//! `GET /health`.

use std::borrow::Cow;

use comind::types::Health;

use crate::http::Answer;

/// The edge is up, whatever the backends do.
pub(crate) fn health() -> Answer {
    Answer::json(&Health { status: Cow::Borrowed("ok") })
}
