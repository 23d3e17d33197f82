//! Whether a backend gets requests, by what became of the last ones.

use super::pool::Ticket;

/// When a backend is left in peace, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerPolicy {
    /// So many failures in a row open it; 0: never.
    pub failures: u32,
    /// How long it stays open the first time, in milliseconds; each further time twice as long, up to
    /// five times.
    pub open_ms: u64,
}

/// An open breaker waits at most `open_ms · 2^5`.
const MAX_DOUBLINGS: u32 = 5;

/// How a backend stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It gets requests.
    Closed,
    /// It gets none, until this time.
    Open {
        /// Unix milliseconds.
        until_ms: u64,
    },
    /// It may get one, and that decides.
    HalfOpen,
}

/// One backend's circuit breaker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// How often it opened since the last success.
    openings: u32,
    /// 0 while it is closed.
    open_until_ms: u64,
    trial: Option<Ticket>,
    /// Then another one may be tried: the last may take long, or never end.
    next_trial_ms: u64,
}

impl Breaker {
    pub(super) const fn standing(&self, now_ms: u64) -> Standing {
        match self.open_until_ms {
            0 => Standing::Closed,
            until_ms if now_ms < until_ms => Standing::Open { until_ms },
            _ => Standing::HalfOpen,
        }
    }

    /// Whether one more request may go there now.
    pub(super) const fn admits(&self, now_ms: u64) -> bool {
        match self.standing(now_ms) {
            Standing::Closed => true,
            Standing::Open { .. } => false,
            Standing::HalfOpen => self.trial.is_none() || now_ms >= self.next_trial_ms,
        }
    }

    /// This request goes there.
    pub(super) const fn begin(&mut self, ticket: Ticket, policy: BreakerPolicy, now_ms: u64) {
        if matches!(self.standing(now_ms), Standing::HalfOpen) {
            self.trial = Some(ticket);
            self.next_trial_ms = now_ms.saturating_add(policy.open_ms);
        }
    }

    /// Something came for this request. That ends a trial; failures in a row it does not end: a backend
    /// that breaks every stream in its middle fails.
    pub(super) fn hear(&mut self, ticket: Ticket) {
        if self.trial == Some(ticket) {
            self.succeed();
        }
    }

    /// It has answered, whole.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// It failed; `is_certain`: beyond doubt, so that once is enough.
    pub(super) fn fail(&mut self, ticket: Ticket, is_certain: bool, policy: BreakerPolicy, now_ms: u64) {
        if policy.failures == 0 {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let was_trial = self.trial == Some(ticket);
        if was_trial {
            self.trial = None;
        }
        // What was under way when it opened, and fails now, is no news.
        let is_news = self.open_until_ms == 0 || was_trial;
        if is_news && (was_trial || is_certain || self.failures >= policy.failures) {
            let open_ms = policy.open_ms.saturating_mul(1 << self.openings.min(MAX_DOUBLINGS));
            self.openings = self.openings.saturating_add(1);
            self.open_until_ms = now_ms.saturating_add(open_ms.max(1));
        }
    }

    /// A request ended without saying anything of the backend.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if self.trial == Some(ticket) {
            self.trial = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures: 3, open_ms: 100 };

    #[test]
    fn it_opens_at_the_nth_failure_in_a_row_and_not_before() {
        let mut breaker = Breaker::default();
        for ticket in 0..2 {
            breaker.fail(ticket, false, POLICY, 0);
        }
        breaker.succeed();
        for ticket in 0..2 {
            breaker.fail(ticket, false, POLICY, 0);
            assert!(breaker.admits(0));
        }
        breaker.fail(2, false, POLICY, 0);
        assert_eq!(breaker.standing(99), Standing::Open { until_ms: 100 });
        assert!(!breaker.admits(99) && breaker.admits(100));
    }

    #[test]
    fn half_open_lets_one_through_and_that_decides() {
        let mut breaker = Breaker::default();
        breaker.fail(0, true, POLICY, 0);
        breaker.begin(1, POLICY, 100);
        assert!(!breaker.admits(100), "one is enough");
        assert!(!breaker.admits(199) && breaker.admits(200), "for a while");
        breaker.fail(0, false, POLICY, 101);
        assert_eq!(breaker.standing(101), Standing::HalfOpen, "an old one says nothing");
        breaker.fail(1, false, POLICY, 110);
        assert_eq!(breaker.standing(110), Standing::Open { until_ms: 310 }, "twice as long");
        breaker.begin(2, POLICY, 310);
        breaker.release(2);
        assert!(breaker.admits(310), "the one that left proved nothing");
        breaker.begin(3, POLICY, 310);
        breaker.succeed();
        assert_eq!(breaker.standing(310), Standing::Closed);
        breaker.fail(4, true, POLICY, 400);
        assert_eq!(breaker.standing(400), Standing::Open { until_ms: 500 }, "forgiven");
    }

    #[test]
    fn the_wait_has_an_end_and_zero_turns_it_off() {
        let mut breaker = Breaker::default();
        let mut now_ms = 0;
        for ticket in 0..40 {
            breaker.begin(ticket, POLICY, now_ms);
            breaker.fail(ticket, true, POLICY, now_ms);
            let Standing::Open { until_ms } = breaker.standing(now_ms) else { panic!() };
            assert!(until_ms - now_ms <= 3200);
            now_ms = until_ms;
        }
        let mut off = Breaker::default();
        for ticket in 0..40 {
            off.fail(ticket, true, BreakerPolicy { failures: 0, open_ms: 1 }, 0);
            assert!(off.admits(0));
        }
    }
}
