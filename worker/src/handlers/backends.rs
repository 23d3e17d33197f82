//! `GET /v1/backends`, `/v1/backends/health` and `/v1/capabilities`: never an address or a key.

use crate::catalog;
use crate::context::RequestContext;
use crate::http::Answer;

/// The backends, and how many models each has.
pub(crate) async fn list(context: &RequestContext) -> Answer {
    Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.summary())
}

/// How each backend answered when it was asked last.
pub(crate) async fn health(context: &RequestContext) -> Answer {
    Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.health())
}

/// What each backend and each of its models can do.
pub(crate) async fn capabilities(context: &RequestContext) -> Answer {
    Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.capabilities())
}
