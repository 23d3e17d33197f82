//! `GET /v1/models` and `GET /v1/models/{id}`.

use comind::error::Error;

use crate::catalog;
use crate::context::RequestContext;
use crate::http::Answer;

/// What the live backends serve.
pub(crate) async fn list(context: &RequestContext) -> Answer {
    Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.models())
}

/// One model.
///
/// # Errors
///
/// `model_not_found`, or `no_backend_available` when those that have it are down.
pub(crate) async fn one(context: &RequestContext, id: &str) -> Result<Answer, Error> {
    Ok(Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.model(id)?))
}
