//! When a client buys the next pair of tokens.

/// So long before its end an access token is renewed, in milliseconds; ours: a request that leaves then arrives with
/// a token that still counts.
const AHEAD_MS: u64 = 60_000;

/// When to renew an access token that was received at `received_ms` and lives `lifetime_secs`, on the same clock.
///
/// A minute before its end, or after nine tenths of its life if that is later. Counted from the receipt and with the
/// receiver's clock alone: how far that clock is from the server's does not matter.
///
/// ```
/// # use comind::token::renew_at_ms;
/// assert_eq!(renew_at_ms(5_000, 3600), 5_000 + 3_540_000);
/// assert_eq!(renew_at_ms(0, 100), 90_000);
/// ```
#[must_use]
pub const fn renew_at_ms(received_ms: u64, lifetime_secs: u64) -> u64 {
    let life_ms = lifetime_secs.saturating_mul(1000);
    let tenth_ms = life_ms / 10;
    let ahead_ms = if tenth_ms < AHEAD_MS { tenth_ms } else { AHEAD_MS };
    received_ms.saturating_add(life_ms - ahead_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_ahead_is_a_tenth_of_ten_minutes() {
        assert_eq!(renew_at_ms(7, 599), 7 + 539_100);
        assert_eq!(renew_at_ms(7, 600), 7 + 540_000);
        assert_eq!(renew_at_ms(7, 601), 7 + 541_000);
    }

    #[test]
    fn no_number_is_too_odd() {
        assert_eq!(renew_at_ms(7, 0), 7);
        assert_eq!(renew_at_ms(u64::MAX, 1), u64::MAX);
        assert_eq!(renew_at_ms(1, u64::MAX), u64::MAX - AHEAD_MS + 1);
    }
}
