//! `GET /health`, `GET /metrics` and `GET /openapi.json`.

use std::borrow::Cow;

use comind::types::Health;

use crate::context::RequestContext;
use crate::http::{Answer, Body};
use crate::{pool, telemetry};

/// The edge is up, whatever the backends do.
pub(crate) fn health() -> Answer {
    Answer::json(&Health { status: Cow::Borrowed("ok") })
}

/// What the edge serves, as OpenAPI 3.1 describes it: `make openapi` writes it.
pub(crate) fn openapi() -> Answer {
    Answer::json_text(200, include_str!("../../openapi.json").to_owned())
}

/// What this isolate has counted, in Prometheus' text format.
pub(crate) fn metrics(context: &RequestContext) -> Answer {
    pool::sweep(context);
    let page = pool::metrics(&context.config) + &telemetry::metrics();
    Answer { status: 200, headers: Vec::new(), body: Body::Text(page) }
}
