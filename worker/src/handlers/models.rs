//! `GET /v1/models` and `GET /v1/models/{id}`.

use comind::error::Error;

use crate::catalog;
use crate::http::Answer;

/// What the live backends serve.
pub(crate) async fn list() -> Answer {
    Answer::json(&catalog::read_for_people().await.models())
}

/// One model.
///
/// # Errors
///
/// `model_not_found`, or `no_backend_available` when those that have it are down.
pub(crate) async fn one(id: &str) -> Result<Answer, Error> {
    Ok(Answer::json(&catalog::read_for_people().await.model(id)?))
}
