//! `GET /v1/backends`, `/v1/backends/health` and `/v1/capabilities`: never an address or a key.

use crate::catalog;
use crate::http::Answer;

/// The backends, and how many models each has.
pub(crate) async fn list() -> Answer {
    Answer::json(&catalog::read_for_people().await.summary())
}

/// How each backend answered when it was asked last.
pub(crate) async fn health() -> Answer {
    Answer::json(&catalog::read_for_people().await.health())
}

/// What each backend and each of its models can do.
pub(crate) async fn capabilities() -> Answer {
    Answer::json(&catalog::read_for_people().await.capabilities())
}
