//! What is counted of backends, and how a monitor reads it.

use alloc::string::String;

use super::breaker::Standing;
use super::pool::Outcome;
use crate::cost::Cost;
use crate::telemetry::Page;

/// What one isolate has counted of one backend since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    outcomes: [u64; Outcome::ALL.len()],
    /// Tokens by the backend's own word, and by estimate.
    tokens: [u64; 2],
}

impl Tally {
    pub(super) fn count_outcome(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn count_cost(&mut self, cost: Cost) {
        if let Some(count) = self.tokens.get_mut(usize::from(cost.is_estimate)) {
            *count = count.saturating_add(cost.tokens);
        }
    }
}

/// One backend's line in each table.
pub(super) struct Row<'a> {
    pub(super) backend: &'a str,
    pub(super) tally: Tally,
    pub(super) under_way: u32,
    pub(super) standing: Standing,
}

/// The page of what has been counted.
pub(super) fn render(rows: &[Row<'_>], retries: u64) -> String {
    let mut page = Page::default();
    let name = "comind_backend_requests_total";
    page.begin(name, "counter", "Requests sent to a backend that are over.");
    for row in rows {
        for (outcome, &count) in Outcome::ALL.iter().zip(&row.tally.outcomes) {
            page.line(name, &[("backend", row.backend), ("outcome", outcome.as_str())], count);
        }
    }
    let name = "comind_backend_requests_under_way";
    page.begin(name, "gauge", "Requests that a backend has.");
    for row in rows {
        page.line(name, &[("backend", row.backend)], row.under_way.into());
    }
    let name = "comind_backend_breaker_state";
    page.begin(
        name,
        "gauge",
        "1 for the state of a backend's breaker: closed, open, or half_open when one request may try.",
    );
    for row in rows {
        let is_open = matches!(row.standing, Standing::Open { .. });
        for (state, is_so) in [
            ("closed", row.standing == Standing::Closed),
            ("open", is_open),
            ("half_open", row.standing == Standing::HalfOpen),
        ] {
            page.line(name, &[("backend", row.backend), ("state", state)], is_so.into());
        }
    }
    let name = "comind_tokens_total";
    page.begin(name, "counter", "Tokens charged to callers, by the backend's own word (usage) or by estimate.");
    for row in rows {
        for (source, count) in ["usage", "estimate"].iter().zip(row.tally.tokens) {
            page.line(name, &[("backend", row.backend), ("source", source)], count);
        }
    }
    let name = "comind_retries_total";
    page.begin(name, "counter", "Requests sent once more.");
    page.line(name, &[], retries);
    page.finish()
}
