//! How deep a body is nested, before anybody recurses into it.

use alloc::format;

use memchr::memchr2;

use crate::error::{Code, Error};

/// Checks that the arrays and objects of a JSON text are nested no deeper than `limit` levels: a
/// backend's parser may recurse, and fall.
///
/// What is not JSON passes: the parser says so better.
///
/// ```
/// # use comind::request::check_nesting;
/// assert!(check_nesting(br#"{"a":["[[["]}"#, 2).is_ok());
/// assert!(check_nesting(br#"{"a":[{}]}"#, 2).is_err());
/// ```
///
/// # Errors
///
/// [`Code::BadRequest`], naming the limit.
pub fn check_nesting(json: &[u8], limit: u32) -> Result<(), Error> {
    let mut depth = 0_u32;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > limit {
                    let message = format!("The request body is nested deeper than the limit of {limit} levels.");
                    return Err(Error::new(Code::BadRequest, message));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = behind_string(after),
            _ => {}
        }
    }
    Ok(())
}

/// What stands behind the closing quote.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn nested(levels: usize) -> String {
        std::format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn the_limit_itself_passes_and_one_more_does_not() {
        assert!(check_nesting(nested(64).as_bytes(), 64).is_ok());
        assert!(check_nesting(nested(65).as_bytes(), 64).unwrap_err().message.contains("64 levels"));
        let beside = std::format!("[{},{}]", nested(63), nested(63));
        assert!(check_nesting(beside.as_bytes(), 64).is_ok());
    }

    #[test]
    fn what_stands_in_strings_does_not_count() {
        for text in [r#"["[[[","\"[[[","\\","\\\"[["]"#, r#"{"[[[":"{{{"}"#, "\"[[", r#""\"#, "]]]][", ""] {
            assert!(check_nesting(text.as_bytes(), 1).is_ok(), "{text}");
        }
        assert!(check_nesting(br#"["\\",[]]"#, 1).is_err());
    }
}
