//! What ties the parts of one request together: W3C Trace Context, and how long each part took.

use alloc::format;
use alloc::string::String;

/// Whether a `traceparent` is well-formed (W3C Trace Context §3.2): `00-<trace>-<parent>-<flags>`, in lower-case
/// hexadecimal, neither id all zeros. Versions to come may have more behind it.
///
/// ```
/// # use comind::trace::is_traceparent;
/// assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
/// ```
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    const BYTES: usize = 55;
    let Some((known, rest)) = text.split_at_checked(BYTES) else { return false };
    let mut parts = known.split('-');
    let mut part = |chars: usize| {
        parts.next().filter(|part| part.len() == chars && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    let (version, trace, parent, flags) = (part(2), part(32), part(16), part(2));
    let is_not_zero = |id: Option<&str>| id.is_some_and(|id| id.bytes().any(|byte| byte != b'0'));
    let fits = match version {
        None | Some("ff") => false,
        Some("00") => rest.is_empty(),
        Some(_) => rest.is_empty() || rest.starts_with('-'),
    };
    fits && is_not_zero(trace) && is_not_zero(parent) && flags.is_some() && is_printable(rest)
}

/// Whether a `tracestate` may pass (§3.3.1.1: at least 512 characters are to be kept; more are not).
#[must_use]
pub fn is_tracestate(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && is_printable(text)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A part of a request's way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Stage {
    /// Reading and verifying the credential.
    Auth,
    /// Asking the account.
    Admit,
    /// Reading the body and choosing a backend.
    Route,
    /// The backend, until its answer or the first byte of its stream.
    Upstream,
}

const STAGES: [&str; 4] = ["auth", "admit", "route", "upstream"];

/// How long each stage took, for `Server-Timing`.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    last_ms: u64,
    spent_ms: [Option<u64>; STAGES.len()],
}

impl Timings {
    /// At the start of a request.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self { last_ms: now_ms, spent_ms: [None; STAGES.len()] }
    }

    /// The time since the last stage ended was this one's; a stage may come several times.
    pub fn end(&mut self, stage: Stage, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(now_ms);
        if let Some(spent_ms) = self.spent_ms.get_mut(stage as usize) {
            *spent_ms = Some(spent_ms.unwrap_or(0).saturating_add(elapsed_ms));
        }
    }

    /// The header's value (W3C Server Timing), in milliseconds: `auth;dur=0, admit;dur=2`. Empty before
    /// the first stage has ended.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut text = String::new();
        for (name, spent_ms) in STAGES.iter().zip(self.spent_ms) {
            if let Some(spent_ms) = spent_ms {
                let comma = if text.is_empty() { "" } else { ", " };
                text.push_str(&format!("{comma}{name};dur={spent_ms}"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_taken_only_well_formed() {
        assert!(is_traceparent(GOOD) && is_traceparent(&GOOD.replacen("00", "01", 1)));
        assert!(is_traceparent(&format!("{}-what-comes", GOOD.replacen("00", "cc", 1))));
        for bad in [
            "",
            "00",
            &GOOD[1..],
            &format!("{GOOD}-x"),
            &format!("{GOOD}0"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            &format!("{}-\r\nx", GOOD.replacen("00", "cc", 1)),
            &GOOD.replace('4', "é"),
        ] {
            assert!(!is_traceparent(bad), "{bad:?}");
        }
        assert!(is_tracestate("a=1,b=2") && is_tracestate(&"a".repeat(512)));
        for bad in ["", "a=\u{7f}", "é=1", &"a".repeat(513)] {
            assert!(!is_tracestate(bad));
        }
    }

    #[test]
    fn time_goes_to_the_stage_that_ends() {
        let mut timings = Timings::new(100);
        assert_eq!(timings.to_header(), "");
        timings.end(Stage::Auth, 100);
        timings.end(Stage::Admit, 103);
        timings.end(Stage::Route, 104);
        timings.end(Stage::Upstream, 150);
        timings.end(Stage::Route, 151);
        timings.end(Stage::Upstream, 90);
        assert_eq!(timings.to_header(), "auth;dur=0, admit;dur=3, route;dur=2, upstream;dur=46");
    }
}
