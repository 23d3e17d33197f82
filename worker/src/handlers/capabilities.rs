//! `GET /v1/capabilities`.

use crate::catalog;
use crate::context::RequestContext;
use crate::http::Answer;

/// What each backend and each of its models can do.
pub(crate) async fn list(context: &RequestContext) -> Answer {
    Answer::json(&catalog::read(context.config.catalog_ttl_ms).await.capabilities())
}
