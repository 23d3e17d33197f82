//! Which passwords an account may have (NIST SP 800-63B §5.1.1.2: length and a list, no composition rules).

use crate::secret::Secret;

/// The shortest password, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The longest password, in characters.
pub const MAX_PASSWORD_CHARS: usize = 128;

/// Why a password will not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weakness {
    /// Shorter than 12 or longer than 128 characters.
    Length,
    /// Everybody's: guessed first.
    Common,
}

impl Weakness {
    /// The rest of a sentence that begins with the field's or variable's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "must have 12 to 128 characters.",
            Self::Common => "is one that many people use, and so the first that is guessed. Choose another one.",
        }
    }
}

/// Checks a password before it becomes somebody's: 12 to 128 characters, any of them, and none of the
/// common ones in any letter case.
///
/// # Errors
///
/// [`Weakness`].
pub fn check_new_password(password: &Secret) -> Result<(), Weakness> {
    let text = password.expose();
    if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&text.chars().count()) {
        return Err(Weakness::Length);
    }
    let mut chars = text.chars();
    let first = chars.next();
    let is_one_character = chars.all(|char| Some(char) == first);
    if is_one_character || COMMON.iter().any(|common| common.eq_ignore_ascii_case(text)) {
        return Err(Weakness::Common);
    }
    Ok(())
}

/// Those of the published lists of leaked passwords that are long enough to pass otherwise.
#[rustfmt::skip]
const COMMON: &[&str] = &[
    "123123123123", "123321123321", "1234512345123", "123456123456", "123456654321", "123456789012", "1234567890123",
    "12345678901234", "123456789012345", "1234567890123456", "1234567891011", "123456789101112", "123456789123",
    "1234567898765", "123456789987654321", "1234qwerasdf", "1234qwerasdfzxcv", "1q2w3e4r5t6y", "1q2w3e4r5t6y7u",
    "1q2w3e4r5t6y7u8i", "1q2w3e4r5t6y7u8i9o", "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv",
    "1qazxsw23edc", "987654321012", "987654321987", "abc123456789", "abcd12345678", "abcd1234abcd", "abcdefghijkl",
    "abcdefghijklm", "abcdefghijklmnopqrstuvwxyz", "admin1234567", "admin12345678", "adminadminadmin",
    "administrator", "administrator1", "asdfasdfasdf", "asdfghjkl123", "asdfghjkl;'\\", "changeme1234",
    "changeme12345", "changemenow!", "correcthorsebatterystaple", "football1234", "iloveyou1234", "iloveyou12345",
    "iloveyou123456", "iloveyouforever", "letmeinletmein", "letmeinplease", "manchesterunited", "michaeljackson",
    "mypassword123", "p@ssw0rd1234", "passw0rd1234", "password0123", "password1234", "password12345",
    "password123456", "password1234567", "password12345678", "password123456789", "passwordpassword",
    "passwortpasswort", "q1w2e3r4t5y6", "q1w2e3r4t5y6u7i8", "qazwsxedcrfv", "qazwsxedcrfvtgb", "qwer1234qwer",
    "qwerasdfzxcv", "qwerty123456", "qwerty1234567", "qwerty12345678", "qwerty123456789", "qwertyqwerty",
    "qwertyuiop12", "qwertyuiop123", "qwertyuiop[]", "qwertyuiop[]\\", "qwertyuiopasdf", "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm", "secretpassword", "shinecommunity", "trustno1trustno1", "unbelievable",
    "welcome12345", "welcome123456", "zaq12wsxcde3", "zxcvbnm12345", "zxcvbnm123456", "zxcvbnmasdfghjkl",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Weakness> {
        check_new_password(&Secret::new(text))
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        let chars = |count: usize| "é2".repeat(count / 2);
        assert_eq!(check("elevenchars"), Err(Weakness::Length));
        assert_eq!(check(&chars(12)), Ok(()));
        assert_eq!(check(&chars(128)), Ok(()));
        assert_eq!(check(&(chars(128) + "x")), Err(Weakness::Length));
    }

    #[test]
    fn any_characters_will_do() {
        for text in
            ["twelve chars", "            .", "пароль-пароль", "\u{1f600}\u{1f601}234567890ab", "a\u{0}bcdefghijkl"]
        {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn what_everybody_uses_will_not() {
        let one_character = "a".repeat(20);
        for text in ["password1234", "PassWord1234", "qwertyuiop123", one_character.as_str()] {
            assert_eq!(check(text), Err(Weakness::Common), "{text:?}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_in_lower_case() {
        assert!(COMMON.is_sorted());
        assert!(COMMON.iter().all(|common| common.chars().all(|char| !char.is_uppercase())));
    }
}
