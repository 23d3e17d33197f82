//! Many times, few numbers.

use serde_json::{Value, json};

/// Microseconds, to be summed up.
#[derive(Default)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    pub(crate) fn push(&mut self, us: u64) {
        self.0.push(u32::try_from(us).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// `{"p50":…,"p99":…,"max":…}`, `null` if there are none.
    pub(crate) fn summary(mut self) -> Value {
        self.0.sort_unstable();
        let Some(last) = self.0.len().checked_sub(1) else { return Value::Null };
        let at = |share: f64| self.0[(last as f64 * share).round() as usize];
        json!({ "p50": at(0.5), "p99": at(0.99), "max": self.0[last] })
    }
}
