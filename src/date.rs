//! Calendar dates from Unix time and back: ISO 8601 out, HTTP dates in.
//!
//! Ours because the date crates cost the client more bytes than everything else it does with time:
//! two fixed formats in UTC need no locale, no time zone and no parser generator.

use alloc::format;
use alloc::string::String;

const SECS_PER_DAY: u64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix seconds as ISO 8601 in UTC: `2026-11-22T21:42:01Z`.
#[must_use]
pub fn to_iso_8601(unix_secs: u64) -> String {
    let (year, month, day) = civil_from_days(unix_secs / SECS_PER_DAY);
    let secs = unix_secs % SECS_PER_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", secs / 3600, secs / 60 % 60, secs % 60)
}

/// Unix milliseconds as ISO 8601 in UTC: `2026-11-22T21:42:01.250Z`.
#[must_use]
pub fn to_iso_8601_ms(unix_ms: u64) -> String {
    let mut text = to_iso_8601(unix_ms / 1000);
    text.pop();
    text.push_str(&format!(".{:03}Z", unix_ms % 1000));
    text
}

/// Reads a day or an instant in UTC, ISO 8601: `2026-11-22`, `2026-11-22T21:42:01Z`, `2026-11-22T21:42:01.250Z`.
/// Gives Unix milliseconds, of a day its beginning; `None` for anything else, and before 1970.
#[must_use]
pub fn parse_iso_8601(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let in_range = parts.next().is_none() && year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    let days = in_range.then(|| days_from_civil(year, month, day))?;
    // There are months without a 31st.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let day_ms = days * SECS_PER_DAY * 1000;
    let Some(time) = time else { return Some(day_ms) };
    let (time, fraction) = time.strip_suffix('Z')?.split_once('.').unwrap_or((time.strip_suffix('Z')?, "000"));
    let mut clock = time.split(':');
    let (hour, minute, second) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let is_time = clock.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    let time_ms = (hour * 3600 + minute * 60 + second) * 1000 + number(fraction, 3)?;
    is_time.then_some(day_ms + time_ms)
}

/// Unix seconds as the date of a mail (RFC 5322 §3.3): `Sun, 22 Nov 2026 21:42:01 +0000`.
#[must_use]
pub fn to_rfc_5322(unix_secs: u64) -> String {
    let days = unix_secs / SECS_PER_DAY;
    let (year, month, day) = civil_from_days(days);
    let secs = unix_secs % SECS_PER_DAY;
    let name = |names: &[&'static str], at: u64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
    // The first day was a Thursday.
    let weekday = name(&WEEKDAYS, (days + 4) % 7).unwrap_or_default();
    let month = name(&MONTHS, month.saturating_sub(1)).unwrap_or_default();
    format!("{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} +0000", secs / 3600, secs / 60 % 60, secs % 60)
}

/// Reads an HTTP date (RFC 9110 §5.6.7) in its preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// The two obsolete forms are not read: no server of this trade sends them, and a date that is not
/// understood only means that the default wait applies. Dates before 1970 give `None`.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<u64> {
    let (_weekday, rest) = text.trim().split_once(',')?;
    let mut parts = rest.strip_prefix(' ')?.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = 1 + MONTHS.iter().position(|&month| month == name)? as u64;
    let year: u64 = number(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let ends_well = parts.next() == Some("GMT") && parts.next().is_none() && clock.next().is_none();
    let in_range = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60 && year >= 1970;
    if !ends_well || !in_range {
        return None;
    }
    Some(days_from_civil(year, month, day) * SECS_PER_DAY + hour * 3600 + minute * 60 + second)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

// Both conversions count in eras of 400 years that begin on 1 March, so that the leap day is the
// last day of its year: the proleptic Gregorian algorithm in common use (RFC 3339's calendar).

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_print_as_iso_8601() {
        assert_eq!(to_iso_8601(0), "1970-01-01T00:00:00Z");
        assert_eq!(to_iso_8601(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(to_iso_8601(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(to_iso_8601(1_795_383_721), "2026-11-22T21:42:01Z");
        assert_eq!(to_iso_8601(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn an_instant_goes_there_and_back() {
        for unix_ms in [0, 1, 951_782_399_999, 951_782_400_000, 1_795_383_721_250] {
            assert_eq!(parse_iso_8601(&to_iso_8601_ms(unix_ms)), Some(unix_ms));
        }
        assert_eq!(parse_iso_8601("2026-11-22"), Some(1_795_305_600_000));
        assert_eq!(parse_iso_8601("2026-11-22T21:42:01Z"), Some(1_795_383_721_000));
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-30",
            "2026-00-01",
            "1969-12-31",
            "2026-11-22T",
            "2026-11-22T21:42:01",
            "2026-11-22T24:00:00Z",
            "2026-11-22T21:42:01.25Z",
            "2026-11-22 21:42:01Z",
            "2026-11-22T21:42:01ZZ",
            "+026-11-22",
        ] {
            assert_eq!(parse_iso_8601(text), None, "{text}");
        }
    }

    #[test]
    fn a_mail_is_dated() {
        assert_eq!(to_rfc_5322(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(to_rfc_5322(784_111_777), "Sun, 06 Nov 1994 08:49:37 +0000");
        assert_eq!(to_rfc_5322(1_795_383_721), "Sun, 22 Nov 2026 21:42:01 +0000");
    }

    #[test]
    fn the_example_of_the_rfc_reads() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }

    #[test]
    fn every_day_of_three_centuries_goes_there_and_back() {
        for days in 0..110_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
