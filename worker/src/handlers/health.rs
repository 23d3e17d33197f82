//! `GET /health` and `GET /metrics`.

use std::borrow::Cow;

use comind::types::Health;

use crate::context::RequestContext;
use crate::http::{Answer, Body};
use crate::pool;

/// The edge is up, whatever the backends do.
pub(crate) fn health() -> Answer {
    Answer::json(&Health { status: Cow::Borrowed("ok") })
}

/// What this isolate has counted, in Prometheus' text format.
pub(crate) fn metrics(context: &RequestContext) -> Answer {
    let page = pool::metrics(&context.config);
    Answer { status: 200, headers: Vec::new(), body: Body::Text(page) }
}
