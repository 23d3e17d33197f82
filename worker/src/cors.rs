//! Which pages may call the API (the Fetch standard's CORS protocol), by an exact list of origins.

use crate::head::Head;
use crate::http::Answer;

/// What a page's script may read of an answer, besides what the standard allows.
const EXPOSED: &str = "x-request-id, retry-after, x-should-retry, x-attempt-count, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
     x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, \
     server-timing, x-comind-backend";
/// How long a browser may keep a preflight's answer, in seconds; browsers cut it to what they like.
const MAX_AGE_SECS: &str = "86400";
/// The most of `Access-Control-Request-Headers` that is echoed, in bytes.
const MAX_ECHO_BYTES: usize = 2048;

/// Adds what the browser needs to hand the answer to the page, if the page is on the list.
///
/// There are no cookies, so credentials in the standard's sense are never allowed.
pub(crate) fn allow(answer: Answer, allowed: &[String], origin: Option<&str>) -> Answer {
    let answer = answer.with("vary", "Origin");
    match origin.filter(|origin| is_allowed(allowed, origin)) {
        Some(origin) => {
            answer.with("access-control-allow-origin", origin).with("access-control-expose-headers", EXPOSED)
        }
        None => answer,
    }
}

/// Answers `OPTIONS`: the methods of the path, and for a preflight what the page may send.
///
/// Every header that a page asks for is allowed, by name: what is not understood is not looked at,
/// and vendors' clients send a dozen of their own (`x-stainless-…`).
pub(crate) fn preflight(head: &Head, allow: &str, allowed: &[String]) -> Answer {
    let answer = Answer::empty(204).with("allow", allow);
    if head.header("access-control-request-method").is_none() {
        return answer;
    }
    let answer = answer.with("vary", "Access-Control-Request-Method, Access-Control-Request-Headers");
    if !head.header("origin").is_some_and(|origin| is_allowed(allowed, origin)) {
        return answer;
    }
    let answer = answer.with("access-control-allow-methods", allow).with("access-control-max-age", MAX_AGE_SECS);
    match head.header("access-control-request-headers").filter(|names| is_list_of_names(names)) {
        Some(names) => answer.with("access-control-allow-headers", names),
        None => answer,
    }
}

fn is_allowed(allowed: &[String], origin: &str) -> bool {
    allowed.iter().any(|known| known == origin)
}

fn is_list_of_names(list: &str) -> bool {
    list.len() <= MAX_ECHO_BYTES && list.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_origin(origin: &str) -> Option<String> {
        let list = ["https://app.example.com".to_owned()];
        let answer = allow(Answer::empty(204), &list, Some(origin));
        assert!(answer.headers.contains(&("vary", "Origin".to_owned())));
        answer.headers.into_iter().find(|(name, _)| *name == "access-control-allow-origin").map(|(_, value)| value)
    }

    #[test]
    fn only_the_exact_origin_is_allowed() {
        assert_eq!(allowed_origin("https://app.example.com").as_deref(), Some("https://app.example.com"));
        for other in
            ["https://app.example.com.evil.org", "http://app.example.com", "https://app.example.com:8443", "null", ""]
        {
            assert_eq!(allowed_origin(other), None, "{other}");
        }
    }

    #[test]
    fn only_names_are_echoed() {
        assert!(is_list_of_names("authorization,content-type, x-stainless-os"));
        assert!(!is_list_of_names("a\r\nset-cookie: x"));
        assert!(is_list_of_names(&"a".repeat(MAX_ECHO_BYTES)));
        assert!(!is_list_of_names(&"a".repeat(MAX_ECHO_BYTES + 1)));
    }
}
