//! Personal access tokens: `cmnd_<token id>.sk_<secret><checksum>`.
//!
//! ```text
//! cmnd_ 22 characters 11 characters . sk_ 43 characters 6 characters
//!       the user      the token           the secret    the checksum
//! ```
//!
//! All parts are base64url without padding. The token id carries the user's key, so the account is
//! found without a table. The checksum, over everything before it, refuses a mistyped token without
//! any I/O and lets a scanner tell a leaked token from noise; it protects nothing.
//!
//! What is stored is the SHA-256 of the whole token. That is sound here and would not be for a
//! password: the secret is 256 random bits, so there is nothing to guess that a slow hash would slow.

use alloc::string::String;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use super::{Rejected, to_hex};
use crate::secret::Secret;

/// What every token begins with; how a client tells one from a JWT.
pub const PREFIX: &str = "cmnd_";
const SECRET_PREFIX: &str = ".sk_";
const USER_CHARS: usize = 22;
const ID_CHARS: usize = USER_CHARS + 11;
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;

/// What all users' ids begin with.
pub const USER_PREFIX: &str = "user_";

/// A well-formed token. Whether it is known, alive and allowed is the account's word.
#[derive(Clone, Debug)]
pub struct Pat {
    text: Secret,
}

/// Makes a user's id from 16 random bytes: `user_` and 22 characters.
#[must_use]
pub fn make_user_id(random: &[u8; 16]) -> String {
    let mut id = String::from(USER_PREFIX);
    id.push_str(&Base64UrlUnpadded::encode_string(random));
    id
}

impl Pat {
    /// Makes a token for a user from 40 random bytes.
    ///
    /// # Errors
    ///
    /// [`Rejected::Invalid`] when the user's id is not one of [`make_user_id`].
    pub fn make(user_id: &str, token_random: &[u8; 8], secret_random: &[u8; 32]) -> Result<Self, Rejected> {
        let user = user_id.strip_prefix(USER_PREFIX).filter(|key| is_base64url(key, USER_CHARS));
        let mut text = String::from(PREFIX);
        text.push_str(user.ok_or(Rejected::Invalid)?);
        text.push_str(&Base64UrlUnpadded::encode_string(token_random));
        text.push_str(SECRET_PREFIX);
        text.push_str(&Base64UrlUnpadded::encode_string(secret_random));
        text.push_str(&checksum(&text));
        Ok(Self { text: Secret::new(text) })
    }

    /// Reads a token, refusing what is mistyped.
    ///
    /// # Errors
    ///
    /// [`Rejected::Invalid`] when it is not of the form, or its checksum is not right.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let body = text.strip_prefix(PREFIX).ok_or(Rejected::Invalid)?;
        let (id, rest) = body.split_once(SECRET_PREFIX).ok_or(Rejected::Invalid)?;
        if !is_base64url(id, ID_CHARS) || !is_base64url(rest, SECRET_CHARS + CHECKSUM_CHARS) {
            return Err(Rejected::Invalid);
        }
        let (checked, sum) = text.split_at_checked(text.len() - CHECKSUM_CHARS).ok_or(Rejected::Invalid)?;
        if checksum(checked) != sum {
            return Err(Rejected::Invalid);
        }
        Ok(Self { text: Secret::new(text) })
    }

    /// The token's id: public, shown in lists, the name to revoke it by.
    #[must_use]
    pub fn id(&self) -> &str {
        let start = PREFIX.len();
        self.text.expose().get(start..start + ID_CHARS).unwrap_or_default()
    }

    /// The id of the user whose token it claims to be.
    #[must_use]
    pub fn user_id(&self) -> String {
        user_of(self.id()).unwrap_or_default()
    }

    /// What to store, and what to compare with what is stored: the SHA-256 in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        to_hex(&Sha256::digest(self.text.expose()))
    }

    /// The token itself, to be shown once.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.text
    }
}

/// The user's id that a token's id carries; `None` for what is no token id.
#[must_use]
pub fn user_of(token_id: &str) -> Option<String> {
    if !is_base64url(token_id, ID_CHARS) {
        return None;
    }
    let mut id = String::from(USER_PREFIX);
    id.push_str(token_id.get(..USER_CHARS)?);
    Some(id)
}

/// Whether a text has the form of a user's id.
#[must_use]
pub fn is_user_id(text: &str) -> bool {
    text.strip_prefix(USER_PREFIX).is_some_and(|key| is_base64url(key, USER_CHARS))
}

fn is_base64url(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text);
    Base64UrlUnpadded::encode_string(digest.get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn sample() -> String {
        let user = make_user_id(&[0xfb; 16]);
        Pat::make(&user, &[7; 8], &[9; 32]).unwrap().into_secret().expose().to_string()
    }

    #[test]
    fn a_made_token_reads_back() {
        let text = sample();
        assert_eq!(text.len(), PREFIX.len() + ID_CHARS + SECRET_PREFIX.len() + SECRET_CHARS + CHECKSUM_CHARS);
        let pat = Pat::parse(&text).unwrap();
        assert_eq!(pat.user_id(), make_user_id(&[0xfb; 16]));
        assert_eq!(user_of(pat.id()), Some(pat.user_id()));
        assert_eq!(pat.hash().len(), 64);
        assert_ne!(pat.hash(), Pat::make(&pat.user_id(), &[7; 8], &[8; 32]).unwrap().hash());
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let text = sample();
        for at in 0..text.len() {
            for other in ['A', 'b', '-', '.', ' '] {
                let mut edited: std::vec::Vec<char> = text.chars().collect();
                if edited[at] == other {
                    continue;
                }
                edited[at] = other;
                let edited: String = edited.into_iter().collect();
                assert_eq!(Pat::parse(&edited).err(), Some(Rejected::Invalid), "character {at}");
            }
        }
    }

    #[test]
    fn shorter_longer_and_foreign_texts_are_refused() {
        let text = sample();
        for other in
            ["", "cmnd_", "cmnd_.sk_", "sk_live", &text[1..], &text[..text.len() - 1], &std::format!("{text}A")]
        {
            assert!(Pat::parse(other).is_err());
        }
        assert!(Pat::make("user_short", &[0; 8], &[0; 32]).is_err());
        assert!(Pat::make("somebody", &[0; 8], &[0; 32]).is_err());
    }
}
