//! Who has had enough: token buckets for requests and tokens, growing delays for failed sign-ins.
//!
//! Pure arithmetic over (state, now). The state lives in an account object, which has one writer,
//! so that a hundred requests at once cannot pass a limit of ten.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

/// A bucket that holds one minute's allowance and refills evenly.
///
/// Counted in units of 1/60 000 of a token, so that one millisecond refills exactly `per_minute`
/// units and nothing is ever rounded. The level may go below zero when the real cost turns out
/// higher than the estimate: the debt is paid off before anything else passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bucket {
    units: i64,
    at_ms: u64,
}

/// A limit for a longer time than a minute: `count` in so many minutes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Quota {
    /// How many.
    pub count: u64,
    /// In so many minutes, at least 1.
    pub minutes: u64,
}

impl Quota {
    /// [`Bucket::take`] of one, with the bucket's clock running so much slower.
    ///
    /// # Errors
    ///
    /// The wait in milliseconds, at least 1.
    pub fn take(self, bucket: Option<Bucket>, now_ms: u64) -> Result<Bucket, u64> {
        let minutes = self.minutes.max(1);
        let slow_ms = now_ms / minutes;
        let mut bucket = bucket.unwrap_or_else(|| Bucket::full(self.count, slow_ms));
        bucket.take(self.count, 1, slow_ms).map_err(|wait_ms| wait_ms.saturating_mul(minutes))?;
        Ok(bucket)
    }

    /// How long a bucket must be left alone to be full again, whatever it holds, in milliseconds.
    #[must_use]
    pub const fn forgotten_after_ms(self) -> u64 {
        self.minutes.saturating_mul(60_000)
    }
}

const UNITS_PER_TOKEN: i64 = 60_000;
const MINUTE_MS: u64 = 60_000;
/// How deep a bucket can go into debt, in minutes of its allowance.
const MAX_DEBT_MINUTES: i64 = 10;
/// Larger limits are not kept apart from this one: it is 10^12 a minute.
const MAX_PER_MINUTE: u64 = 1_000_000_000_000;

/// What a bucket says of itself, for the `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// The allowance a minute.
    pub limit: u64,
    /// What is left of it now.
    pub remaining: u64,
    /// Milliseconds until it is whole again.
    pub reset_ms: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(per_minute: u64, now_ms: u64) -> Self {
        Self { units: capacity(per_minute), at_ms: now_ms }
    }

    /// Takes `cost` tokens, or says in how many milliseconds that would succeed.
    ///
    /// A cost above the whole allowance is taken as the allowance: such a request passes when the
    /// bucket is full, rather than never. A clock that goes backwards refills nothing; once it is set back by more
    /// than a minute it counts from there, or nothing would be refilled until it has caught up.
    ///
    /// # Errors
    ///
    /// The wait in milliseconds, at least 1; nothing is taken then.
    pub fn take(&mut self, per_minute: u64, cost: u64, now_ms: u64) -> Result<(), u64> {
        self.refill(per_minute, now_ms);
        let cost = capacity(cost).min(capacity(per_minute));
        if self.units >= cost {
            self.units -= cost;
            return Ok(());
        }
        Err(wait_ms(cost - self.units, per_minute).max(1))
    }

    /// Corrects an earlier [`take`](Self::take) of `reserved` tokens to what was really `used`.
    ///
    /// Debt goes no deeper than ten minutes' allowance, whatever a backend claims to have used.
    pub fn settle(&mut self, per_minute: u64, reserved: u64, used: u64, now_ms: u64) {
        self.refill(per_minute, now_ms);
        let whole = capacity(per_minute);
        let reserved = capacity(reserved).min(whole);
        let deepest = whole.saturating_mul(-MAX_DEBT_MINUTES);
        self.units = self.units.saturating_add(reserved).saturating_sub(capacity(used)).clamp(deepest, whole);
    }

    /// The form to store: exact, where a number of JavaScript's might not be.
    #[must_use]
    pub fn to_stored(self) -> String {
        format!("{} {}", self.units, self.at_ms)
    }

    /// Reads it back; `None` for anything else, and then the bucket counts as full.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let (units, at_ms) = text.split_once(' ')?;
        Some(Self { units: units.parse().ok()?, at_ms: at_ms.parse().ok()? })
    }

    /// The bucket's standing after the last call.
    #[must_use]
    pub fn standing(&self, per_minute: u64) -> Standing {
        Standing {
            limit: per_minute,
            remaining: u64::try_from(self.units.max(0) / UNITS_PER_TOKEN).unwrap_or(0),
            reset_ms: wait_ms(capacity(per_minute) - self.units, per_minute),
        }
    }

    fn refill(&mut self, per_minute: u64, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.at_ms);
        let gained = elapsed_ms.saturating_mul(per_minute.min(MAX_PER_MINUTE));
        self.units = self.units.saturating_add(i64::try_from(gained).unwrap_or(i64::MAX)).min(capacity(per_minute));
        let is_set_back = self.at_ms.saturating_sub(now_ms) > MINUTE_MS;
        self.at_ms = if is_set_back { now_ms } else { self.at_ms.max(now_ms) };
    }
}

fn capacity(tokens: u64) -> i64 {
    i64::try_from(tokens.min(MAX_PER_MINUTE)).unwrap_or(0) * UNITS_PER_TOKEN
}

fn wait_ms(missing_units: i64, per_minute: u64) -> u64 {
    u64::try_from(missing_units.max(0)).unwrap_or(0).div_ceil(per_minute.clamp(1, MAX_PER_MINUTE))
}

/// Failed sign-ins of one address, or from one client.
///
/// The first few are free, so that a person who mistypes notices nothing; then each failure doubles
/// the wait before the next try is even looked at. Silence of twice the longest wait forgets them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// When the last one was, in Unix milliseconds.
    pub last_ms: u64,
}

/// How [`Failures`] turn into waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailurePolicy {
    /// So many failures cost nothing.
    pub free: u32,
    /// The longest wait, in seconds.
    pub max_delay_secs: u64,
}

impl Failures {
    /// How long until the next try is looked at, in milliseconds; 0 when it may come now.
    #[must_use]
    pub fn wait_ms(&self, policy: FailurePolicy, now_ms: u64) -> u64 {
        if self.count < policy.free || self.is_forgotten(policy, now_ms) {
            return 0;
        }
        let doublings = (self.count - policy.free).min(32);
        let delay_ms = (1_u64 << doublings).min(policy.max_delay_secs).saturating_mul(1000);
        self.last_ms.saturating_add(delay_ms).saturating_sub(now_ms).min(delay_ms)
    }

    /// Counts one more.
    pub fn add(&mut self, policy: FailurePolicy, now_ms: u64) {
        let count = if self.is_forgotten(policy, now_ms) { 0 } else { self.count };
        *self = Self { count: count.saturating_add(1), last_ms: now_ms };
    }

    /// Whether they are so long ago that they no longer count, or so far in the future: the clock was set back.
    #[must_use]
    pub fn is_forgotten(&self, policy: FailurePolicy, now_ms: u64) -> bool {
        now_ms.abs_diff(self.last_ms) > policy.max_delay_secs.saturating_mul(2000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_back() {
        const YEAR_MS: u64 = 365 * 86_400_000;
        let mut bucket = Bucket::full(10, YEAR_MS);
        assert_eq!(bucket.take(10, 10, YEAR_MS), Ok(()));
        assert_eq!(bucket.take(10, 1, YEAR_MS - 60_000), Err(6000), "a little: it waits");
        assert_eq!(bucket.take(10, 1, YEAR_MS + 6000), Ok(()), "and gains nothing by it");
        assert_eq!(bucket.take(10, 1, 1000), Err(6000), "a year: nothing at once");
        assert_eq!(bucket.take(10, 1, 7000), Ok(()), "and then as ever");
        let policy = FailurePolicy { free: 1, max_delay_secs: 60 };
        let failures = Failures { count: 9, last_ms: YEAR_MS };
        assert_eq!(failures.wait_ms(policy, 0), 0);
        assert_eq!(failures.wait_ms(policy, YEAR_MS - 120_000), 60_000, "never longer than the longest");
    }

    #[test]
    fn n_pass_and_the_next_does_not() {
        let mut bucket = Bucket::full(10, 0);
        for _ in 0..10 {
            assert_eq!(bucket.take(10, 1, 0), Ok(()));
        }
        assert_eq!(bucket.take(10, 1, 0), Err(6000));
        assert_eq!(bucket.take(10, 1, 5999), Err(1));
        assert_eq!(bucket.take(10, 1, 6000), Ok(()));
    }

    #[test]
    fn a_refused_request_takes_nothing() {
        let mut bucket = Bucket::full(1, 0);
        assert_eq!(bucket.take(1, 1, 0), Ok(()));
        for _ in 0..100 {
            assert_eq!(bucket.take(1, 1, 0), Err(60_000));
        }
        assert_eq!(bucket.take(1, 1, 60_000), Ok(()));
    }

    #[test]
    fn the_bucket_never_holds_more_than_a_minute() {
        let mut bucket = Bucket::full(5, 0);
        assert_eq!(bucket.take(5, 5, 10_000_000), Ok(()));
        assert!(bucket.take(5, 1, 10_000_000).is_err());
    }

    #[test]
    fn a_cost_above_the_limit_passes_when_full() {
        let mut bucket = Bucket::full(100, 0);
        assert_eq!(bucket.take(100, 5000, 0), Ok(()));
        assert_eq!(bucket.take(100, 5000, 0), Err(60_000));
        assert_eq!(bucket.take(100, 5000, 60_000), Ok(()));
    }

    #[test]
    fn settling_gives_back_or_runs_into_debt() {
        let mut bucket = Bucket::full(100, 0);
        assert_eq!(bucket.take(100, 80, 0), Ok(()));
        bucket.settle(100, 80, 30, 0);
        assert_eq!(bucket.standing(100), Standing { limit: 100, remaining: 70, reset_ms: 18_000 });
        assert_eq!(bucket.take(100, 70, 0), Ok(()));
        bucket.settle(100, 70, 170, 0);
        assert_eq!(bucket.standing(100).remaining, 0);
        assert_eq!(bucket.take(100, 1, 60_000), Err(600));
    }

    #[test]
    fn a_clock_that_wavers_gives_nothing_away() {
        let mut bucket = Bucket::full(1, 1_000_000);
        assert_eq!(bucket.take(1, 1, 1_000_000), Ok(()));
        assert!(bucket.take(1, 1, 940_000).is_err());
        assert!(bucket.take(1, 1, 1_059_999).is_err());
        assert_eq!(bucket.take(1, 1, 1_060_000), Ok(()));
    }

    #[test]
    fn extremes_do_not_overflow() {
        for per_minute in [0, 1, u64::MAX] {
            let mut bucket = Bucket::full(per_minute, 0);
            let _ = bucket.take(per_minute, u64::MAX, u64::MAX);
            bucket.settle(per_minute, u64::MAX, u64::MAX, u64::MAX);
            let _ = bucket.standing(per_minute);
        }
    }

    #[test]
    fn a_quota_counts_over_hours() {
        let quota = Quota { count: 5, minutes: 60 };
        let mut bucket = None;
        for _ in 0..5 {
            bucket = Some(quota.take(bucket, 1_000_000).unwrap());
        }
        let wait_ms = quota.take(bucket, 1_000_000).unwrap_err();
        assert_eq!(wait_ms, 12 * 60_000, "a fifth of an hour");
        assert!(quota.take(bucket, 1_000_000 + wait_ms - 61).is_err());
        assert!(quota.take(bucket, 1_000_000 + wait_ms + 60).is_ok());
    }

    #[test]
    fn a_bucket_is_stored_exactly() {
        let mut bucket = Bucket::full(u64::MAX, 1_800_000_000_123);
        assert_eq!(bucket.take(u64::MAX, 7, 1_800_000_000_124), Ok(()));
        assert_eq!(Bucket::from_stored(&bucket.to_stored()), Some(bucket));
        for text in ["", "1", "1 2 3", "x 1", r#"{"units":1,"at_ms":2}"#] {
            assert_eq!(Bucket::from_stored(text), None, "{text}");
        }
    }

    #[test]
    fn debt_ends_at_ten_minutes() {
        let mut bucket = Bucket::full(100, 0);
        for _ in 0..1000 {
            bucket.settle(100, 0, u64::MAX, 0);
        }
        assert_eq!(bucket.take(100, 1, 0), Err(600_600));
    }

    #[test]
    fn failures_are_free_then_double_then_are_capped() {
        let policy = FailurePolicy { free: 3, max_delay_secs: 10 };
        let mut failures = Failures::default();
        let mut waits = std::vec::Vec::new();
        for _ in 0..8 {
            waits.push(failures.wait_ms(policy, 1_000_000));
            failures.add(policy, 1_000_000);
        }
        assert_eq!(waits, [0, 0, 0, 1000, 2000, 4000, 8000, 10_000]);
        assert_eq!(failures.wait_ms(policy, 1_009_999), 1);
        assert_eq!(failures.wait_ms(policy, 1_010_000), 0);
    }

    #[test]
    fn silence_forgets_failures() {
        let policy = FailurePolicy { free: 1, max_delay_secs: 10 };
        let mut failures = Failures { count: 9, last_ms: 0 };
        assert!(!failures.is_forgotten(policy, 20_000));
        assert!(failures.is_forgotten(policy, 20_001));
        failures.add(policy, 20_001);
        assert_eq!(failures.count, 1);
    }
}
