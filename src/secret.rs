//! Credentials that cannot be printed.

use alloc::string::String;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password, token or key.
///
/// `Debug` prints `Secret(…)`; there is no `Display` and no `Serialize`, so no log line, error or
/// answer can carry it by accident. The memory is cleared when it goes.
///
/// ```
/// # use comind::secret::Secret;
/// let key = Secret::new("hunter2");
/// assert_eq!(std::format!("{key:?}"), "Secret(…)");
/// assert!(key.is_equal_to("hunter2"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a credential in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The credential itself. Each call has a reason: a header about to be sent, a key about to be used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in time that depends on the lengths alone.
    #[must_use]
    pub fn is_equal_to(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(std::format!("{:?}", Some(Secret::new("k"))), "Some(Secret(…))");
    }

    #[test]
    fn comparison_is_exact() {
        let secret = Secret::new("abc");
        assert!(secret.is_equal_to("abc"));
        for other in ["", "ab", "abd", "abcd"] {
            assert!(!secret.is_equal_to(other));
        }
    }
}
