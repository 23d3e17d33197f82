//! What a request has cost, by what is known when it ends.

use crate::types::Usage;

/// Tokens to charge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    /// Of the prompt and the answer.
    pub tokens: u64,
    /// The backend did not say: the prompt is what was reserved for it, and each event of the answer a token.
    pub is_estimate: bool,
}

impl Cost {
    /// Nothing was used.
    pub const NOTHING: Self = Self { tokens: 0, is_estimate: false };

    /// The cost of an answer of which `usage` is known, or else that so many events came.
    ///
    /// ```
    /// # use comind::cost::Cost;
    /// assert_eq!(Cost::of_answer(None, 10, 3), Cost { tokens: 13, is_estimate: true });
    /// ```
    #[must_use]
    pub fn of_answer(usage: Option<Usage>, reserved: u64, events: u64) -> Self {
        match usage {
            Some(usage) => Self { tokens: usage.total_tokens, is_estimate: false },
            None => Self { tokens: reserved.saturating_add(events), is_estimate: true },
        }
    }

    /// The cost of what was left, or broke, before its end: nothing if nothing had come yet.
    #[must_use]
    pub fn of_part(usage: Option<Usage>, reserved: u64, events: u64) -> Self {
        if usage.is_none() && events == 0 { Self::NOTHING } else { Self::of_answer(usage, reserved, events) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backends_own_word_counts_and_nothing_costs_nothing() {
        let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
        let exact = Cost { tokens: 7, is_estimate: false };
        assert_eq!((Cost::of_answer(usage, 100, 9), Cost::of_part(usage, 100, 0)), (exact, exact));
        assert_eq!(Cost::of_part(None, 100, 0), Cost::NOTHING);
        let estimate = Cost { tokens: 109, is_estimate: true };
        assert_eq!((Cost::of_answer(None, 100, 9), Cost::of_part(None, 100, 9)), (estimate, estimate));
        assert_eq!(Cost::of_answer(None, 100, 0), Cost { tokens: 100, is_estimate: true });
    }
}
