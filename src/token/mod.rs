//! Tokens: JWTs for sessions, personal access tokens for programs, ID tokens from those who sign users
//! in besides us.

pub mod id_token;
pub mod jwks;
pub mod jwt;
mod object;
pub mod pat;
mod renewal;
pub mod session;

pub use renewal::renew_at_ms;

use alloc::string::String;

use crate::error::{Code, Error};

/// A digest in hexadecimal: `ba7816bf…`.
#[must_use]
pub fn to_hex(digest: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * digest.len());
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    hex.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    hex
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejected {
    /// Not a token of ours: malformed, mistyped, forged, or of the wrong use.
    Invalid,
    /// Ours, past its time.
    Expired,
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Invalid => Self::new(Code::Unauthorized, "The token is not valid."),
            Rejected::Expired => Self::new(
                Code::TokenExpired,
                "The token has expired. Sign in again with POST /v1/auth/login, or refresh it.",
            ),
        }
    }
}
