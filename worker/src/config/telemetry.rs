//! What the settings say about the log and about traces.

use comind::secret::Secret;

use super::{Given, Invalid, invalid, parse_header_name};
use crate::config::backends::parse_base_url;

/// Of which requests a line goes to the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RequestLog {
    /// Each.
    All,
    /// Those that failed.
    Errors,
    /// None.
    Off,
}

/// Who collects spans.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Where they go.
    pub url: String,
    /// What goes with them.
    pub headers: Vec<(String, Secret)>,
    /// Of 2^32 requests without a parent so many are traced.
    pub share: u64,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";

pub(super) fn parse_request_log(given: Given<'_>) -> Result<RequestLog, Invalid> {
    match given.text("REQUEST_LOG").as_str() {
        "all" => Ok(RequestLog::All),
        "errors" => Ok(RequestLog::Errors),
        "off" => Ok(RequestLog::Off),
        _ => invalid("REQUEST_LOG", "must be `all`, `errors` or `off`."),
    }
}

pub(super) fn parse_collector(given: Given<'_>) -> Result<Option<Collector>, Invalid> {
    let share = parse_share(&given.text(SHARE))?;
    let headers = parse_headers(&given.optional(HEADERS).unwrap_or_default())?;
    let Some(endpoint) = given.optional(ENDPOINT) else { return Ok(None) };
    let Some(base) = parse_base_url(&endpoint) else {
        return invalid(ENDPOINT, "must be the address of a collector, as in `http://127.0.0.1:4318`.");
    };
    Ok(Some(Collector { url: format!("{base}/v1/traces"), headers, share }))
}

fn parse_share(text: &str) -> Result<u64, Invalid> {
    const MILLION: u64 = 1_000_000;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let millionths = || {
        let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
        Some(whole.parse::<u64>().ok()? * MILLION + fraction)
    };
    match millionths().filter(|_| is_number(whole) && is_number(fraction)) {
        Some(millionths) if millionths <= MILLION => Ok((millionths << 32) / MILLION),
        _ => invalid(SHARE, "must be a number between 0 and 1, with six digits behind the point at most."),
    }
}

/// `name=value` with commas between, as OpenTelemetry has it.
fn parse_headers(text: &str) -> Result<Vec<(String, Secret)>, Invalid> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_default();
            let name = parse_header_name(name.trim()).ok().flatten();
            let value = value.trim();
            let is_value = !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            match name.filter(|_| is_value) {
                Some(name) => Ok((name, Secret::new(value))),
                None => invalid(HEADERS, "must be `name=value` pairs with commas between."),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_two_to_the_32() {
        assert_eq!((parse_share("0"), parse_share("0.5"), parse_share("1")), (Ok(0), Ok(1 << 31), Ok(1 << 32)));
        for text in ["", "-0.1", "1.1", "1.000001", ".5", "0.1234567", "NaN", "all", "1e0"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_are_pairs() {
        let headers = parse_headers("authorization=Bearer a=b, X-Team=one").unwrap();
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(shown, [("authorization", "Bearer a=b"), ("x-team", "one")]);
        for text in ["a", "=b", "a=", "a b=c", "a=b\nc"] {
            assert!(parse_headers(text).is_err(), "{text}");
        }
    }
}
