//! When to try again: full jitter, the server's wait, a budget of attempts and of time.

use crate::date::parse_http_date;
use crate::error::Code;

/// How often and how long to try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Attempts in all, the first included. Default 3.
    pub max_attempts: u32,
    /// The backoff's first ceiling, in milliseconds; it doubles with each attempt. Default 500.
    pub base_ms: u64,
    /// The longest single wait, in milliseconds, also for a wait that the server asks for. Default 60 000.
    pub cap_ms: u64,
    /// The time that all attempts and waits may take together, in milliseconds. Default 120 000.
    pub budget_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_attempts: 3, base_ms: 500, cap_ms: 60_000, budget_ms: 120_000 }
    }
}

/// What [`Policy::decide`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Send the same request again after this many milliseconds.
    Retry {
        /// The wait.
        wait_ms: u64,
    },
    /// Report the failure.
    GiveUp,
}

impl Policy {
    /// Decides after attempt number `attempt` (the first is 1) failed with `code`.
    ///
    /// `jitter` is a random number supplied by the shell; all of its values are equally likely.
    /// Without `retry_after_ms` the wait is uniform between 0 and `base_ms · 2^(attempt − 1)`, at
    /// most `cap_ms` ("full jitter": it spreads a crowd best). A wait that the server asks for is
    /// kept to, plus up to a tenth so that a crowd told the same second does not come back as one;
    /// one beyond `cap_ms` is not worth waiting for, so the failure is reported with its wait.
    /// A wait that would end past `budget_ms` is not begun.
    #[must_use]
    pub fn decide(
        &self,
        attempt: u32,
        code: Code,
        retry_after_ms: Option<u64>,
        elapsed_ms: u64,
        jitter: u32,
    ) -> Decision {
        if !code.is_retryable() || attempt >= self.max_attempts {
            return Decision::GiveUp;
        }
        let share_of = |ceiling: u64| scale(ceiling, jitter);
        let wait_ms = match retry_after_ms {
            Some(asked) if asked > self.cap_ms => return Decision::GiveUp,
            Some(asked) => asked.saturating_add(share_of(asked / 10)),
            None => {
                let doublings = attempt.saturating_sub(1).min(32);
                share_of(self.base_ms.saturating_mul(1 << doublings).min(self.cap_ms))
            }
        };
        if elapsed_ms.saturating_add(wait_ms) > self.budget_ms {
            return Decision::GiveUp;
        }
        Decision::Retry { wait_ms }
    }
}

/// `ceiling · jitter / 2^32`, rounded so that the ceiling itself can come out.
fn scale(ceiling: u64, jitter: u32) -> u64 {
    let product = u128::from(ceiling.saturating_add(1)) * u128::from(jitter);
    u64::try_from(product >> 32).unwrap_or(ceiling)
}

/// Reads a `Retry-After` header (RFC 9110 §10.2.3) in both its forms, seconds and HTTP date.
///
/// Gives milliseconds from now; a date in the past gives 0. Fractions of a second, which some
/// inference servers send, are taken too. Anything else, and a wait of over ten years, is `None`.
#[must_use]
pub fn parse_retry_after(header: &str, now_unix_ms: u64) -> Option<u64> {
    const TEN_YEARS_SECS: u64 = 10 * 366 * 86_400;
    let header = header.trim();
    if let Some(unix_secs) = parse_http_date(header) {
        let wait_ms = unix_secs.saturating_mul(1000).saturating_sub(now_unix_ms);
        return (wait_ms <= TEN_YEARS_SECS * 1000).then_some(wait_ms);
    }
    let (whole, fraction) = header.split_once('.').unwrap_or((header, "0"));
    let is_number = |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let secs: u64 = whole.parse().ok()?;
    let millis = fraction.bytes().chain([b'0'; 3]).take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (secs <= TEN_YEARS_SECS).then(|| secs * 1000 + millis)
}

/// A wait as a `Retry-After` header says it: whole seconds, rounded up, at least 1.
#[must_use]
pub const fn to_retry_after_secs(wait_ms: u64) -> u64 {
    let secs = wait_ms.div_ceil(1000);
    if secs == 0 { 1 } else { secs }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { max_attempts: 4, base_ms: 100, cap_ms: 1000, budget_ms: 5000 };

    fn wait(attempt: u32, retry_after_ms: Option<u64>, jitter: u32) -> Decision {
        POLICY.decide(attempt, Code::UpstreamError, retry_after_ms, 0, jitter)
    }

    #[test]
    fn backoff_doubles_and_is_capped() {
        let ceilings = [100, 200, 400];
        for (attempt, ceiling) in (1..).zip(ceilings) {
            assert_eq!(wait(attempt, None, u32::MAX), Decision::Retry { wait_ms: ceiling });
            assert_eq!(wait(attempt, None, 0), Decision::Retry { wait_ms: 0 });
        }
        let patient = Policy { max_attempts: 100, ..POLICY };
        assert_eq!(patient.decide(99, Code::UpstreamError, None, 0, u32::MAX), Decision::Retry { wait_ms: 1000 });
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        assert_eq!(wait(3, None, 0), Decision::Retry { wait_ms: 0 });
        assert_eq!(wait(4, None, 0), Decision::GiveUp);
    }

    #[test]
    fn a_server_wait_wins_up_to_the_cap() {
        assert_eq!(wait(1, Some(1000), 0), Decision::Retry { wait_ms: 1000 });
        assert_eq!(wait(1, Some(1000), u32::MAX), Decision::Retry { wait_ms: 1100 });
        assert_eq!(wait(1, Some(1001), 0), Decision::GiveUp);
    }

    #[test]
    fn the_time_budget_ends_it() {
        let at = |elapsed_ms| POLICY.decide(1, Code::Timeout, Some(1000), elapsed_ms, 0);
        assert_eq!(at(4000), Decision::Retry { wait_ms: 1000 });
        assert_eq!(at(4001), Decision::GiveUp);
    }

    #[test]
    fn only_retryable_codes_are_retried() {
        for &code in Code::ALL {
            let retried = POLICY.decide(1, code, None, 0, 0) != Decision::GiveUp;
            assert_eq!(retried, code.is_retryable(), "{}", code.as_str());
        }
    }

    #[test]
    fn jitter_covers_the_whole_range_evenly() {
        let mut counts = [0_u32; 101];
        for step in 0..101_000_u64 {
            let jitter = u32::try_from(step * (1 << 32) / 101_000).unwrap();
            counts[usize::try_from(scale(100, jitter)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (995..=1005).contains(count)), "{counts:?}");
    }

    #[test]
    fn retry_after_reads_both_forms() {
        let now = 784_111_777_000;
        for (header, expected) in [
            ("0", Some(0)),
            ("120", Some(120_000)),
            (" 1.5 ", Some(1500)),
            ("0.0009", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("-1", None),
            ("1e3", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("999999999999", None),
            ("9999999999999999999999", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(header, now), expected, "{header}");
        }
    }

    #[test]
    fn waits_round_up_to_whole_seconds() {
        assert_eq!([0, 1, 1000, 1001].map(to_retry_after_secs), [1, 1, 1, 2]);
    }
}
