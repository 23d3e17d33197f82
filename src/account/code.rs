//! One-time codes: six digits that go out by mail and come back once.

use alloc::format;

use crate::secret::Secret;

/// Six decimal digits.
///
/// Few enough to type, too many to guess in the handful of tries that the caller allows.
#[derive(Clone, Debug)]
pub struct OneTimeCode(Secret);

const DIGITS: usize = 6;
const COUNT: u64 = 1_000_000;

impl OneTimeCode {
    /// Makes a code from 8 random bytes: every one is equally likely, to within 2^-44.
    #[must_use]
    pub fn make(random: [u8; 8]) -> Self {
        Self(Secret::new(format!("{:06}", u64::from_le_bytes(random) % COUNT)))
    }

    /// Reads what somebody typed; blanks around and within it do not matter. `None`: not six digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: alloc::string::String = text.chars().filter(|char| !char.is_whitespace()).collect();
        let is_right = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_right.then(|| Self(Secret::new(digits)))
    }

    /// The digits: for the mail, and for the digest to store.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_six_digits_whatever_the_dice_say() {
        assert_eq!(OneTimeCode::make([0; 8]).expose(), "000000");
        assert_eq!(OneTimeCode::make(1_999_999_u64.to_le_bytes()).expose(), "999999");
        assert_eq!(OneTimeCode::make([255; 8]).expose().len(), 6);
    }

    #[test]
    fn what_was_typed_is_read_kindly() {
        assert_eq!(OneTimeCode::parse(" 012 345\n").unwrap().expose(), "012345");
        for text in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "-12345"] {
            assert!(OneTimeCode::parse(text).is_none(), "{text:?}");
        }
    }
}
