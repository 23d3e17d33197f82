//! E-mail addresses, as far as an account needs to know them.

use alloc::string::String;

/// An address in the form in which two spellings of one are equal: trimmed, in lower case.
///
/// ```
/// # use comind::account::Email;
/// assert_eq!(Email::parse(" Ann@Example.COM ").unwrap().as_str(), "ann@example.com");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email(String);

/// The longest address (RFC 5321 §4.5.3.1.3).
const MAX_BYTES: usize = 254;

impl Email {
    /// Reads an address; `None` for what cannot be one: no `@`, nothing before or behind it, over 254
    /// bytes, white space, control characters, or what separates addresses in a mail's header.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let email = text.trim().to_lowercase();
        let (local, domain) = email.rsplit_once('@')?;
        let is_plain = |char: char| !char.is_whitespace() && !char.is_control() && !"<>,;:\"()[]\\".contains(char);
        let is_right =
            !local.is_empty() && !domain.is_empty() && email.len() <= MAX_BYTES && email.chars().all(is_plain);
        is_right.then_some(Self(email))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`: a name for people where nobody gave one.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn addresses_are_equal_whatever_their_letter_case() {
        let email = Email::parse(" Ann@Example.COM ").unwrap();
        assert_eq!((email.as_str(), email.local_part()), ("ann@example.com", "ann"));
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        let long = format!("{}@example.com", "a".repeat(243));
        assert!(Email::parse(&long).is_none());
        assert!(Email::parse(&long[1..]).is_some());
        for text in ["", "@", "a@", "@b", "a b@c", "a\u{0}@b", "a@b,c@d", "<a@b>", "a@b\r\nBcc: c@d", "a@[::1]"] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }
}
