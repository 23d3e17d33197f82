//! What an account is made of, and the rules for it: addresses, passwords, one-time codes.

mod code;
mod email;
mod password;
mod profile;

pub use code::OneTimeCode;
pub use email::Email;
pub use password::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, Weakness, check_new_password};
pub use profile::{Profile, is_group_name};
