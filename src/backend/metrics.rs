//! What is counted of backends, and how a monitor reads it.

use alloc::format;
use alloc::string::String;

use super::pool::Outcome;
use crate::cost::Cost;

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
    pub(super) is_closed: bool,
}

/// A page in Prometheus' text format 0.0.4.
#[derive(Default)]
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Ids of backends hold nothing that would need escaping.
    fn line(&mut self, name: &str, backend: &str, label: &str, value: u64) {
        self.0.push_str(&format!("{name}{{backend=\"{backend}\"{label}}} {value}\n"));
    }
}

/// The page of what has been counted.
pub(super) fn render(rows: &[Row<'_>], retries: u64) -> String {
    let mut page = Page::default();
    let name = "comind_backend_requests_total";
    page.begin(name, "counter", "Requests sent to a backend that are over.");
    for row in rows {
        for (outcome, &count) in Outcome::ALL.iter().zip(&row.tally.outcomes) {
            page.line(name, row.backend, &format!(",outcome=\"{}\"", outcome.as_str()), count);
        }
    }
    let name = "comind_backend_requests_under_way";
    page.begin(name, "gauge", "Requests that a backend has.");
    for row in rows {
        page.line(name, row.backend, "", row.under_way.into());
    }
    let name = "comind_backend_trusted";
    page.begin(name, "gauge", "1 unless the backend is left in peace after failures.");
    for row in rows {
        page.line(name, row.backend, "", row.is_closed.into());
    }
    let name = "comind_tokens_total";
    page.begin(name, "counter", "Tokens charged to callers, by the backend's own word (usage) or by estimate.");
    for row in rows {
        for (source, count) in ["usage", "estimate"].iter().zip(row.tally.tokens) {
            page.line(name, row.backend, &format!(",source=\"{source}\""), count);
        }
    }
    let name = "comind_retries_total";
    page.begin(name, "counter", "Requests sent once more.");
    page.0.push_str(&format!("{name} {retries}\n"));
    page.0
}
