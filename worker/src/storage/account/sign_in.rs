//! Passwords and sessions.

use comind::error::Code;
use comind::secret::Secret;
use comind::token::jwt::REFRESH_LIFETIME_SECS;

use super::super::{Refusal, number, password};
use super::{Account, SignedIn};
use crate::runtime;

/// How many sessions a user may have; the oldest end first.
const MAX_SESSIONS: u64 = 100;

impl Account {
    /// The first call makes the user; later ones change address and password when the operator has.
    /// Answers the address before, if it was another.
    ///
    /// `seed_hash` remembers which `ADMIN_PASSWORD` the account was made from, so that a password
    /// the user chose since is only replaced when the operator sets another one.
    pub(super) fn seed(
        &self,
        user_id: &str,
        email: &str,
        given: &Secret,
    ) -> worker::Result<Result<Option<String>, Refusal>> {
        let row = self.row()?;
        let is_as_before = row.as_ref().is_some_and(|row| {
            let seeded = row.seed_hash.as_deref();
            row.email == email && seeded.is_some_and(|seeded| password::is_right(given, seeded))
        });
        if is_as_before {
            return Ok(Ok(None));
        }
        let Some(hash) = password::hash(given, &runtime::random()) else {
            return Ok(Err(Refusal::new(Code::InternalError)));
        };
        let sql = &self.sql;
        let Some(row) = row else {
            let insert = "INSERT INTO user VALUES (?, ?, ?, ?, 'admin', '', 1, 1, 0, ?)";
            let hash = hash.as_str();
            let now = number(runtime::now_secs());
            sql.run(insert, &[user_id.into(), email.into(), hash.into(), hash.into(), now])?;
            return Ok(Ok(None));
        };
        let change =
            "UPDATE user SET email = ?, password_hash = ?, seed_hash = ?, version = version + 1, is_suspended = 0";
        sql.run(change, &[email.into(), hash.as_str().into(), hash.as_str().into()])?;
        sql.run("DELETE FROM session", &[])?;
        Ok(Ok(Some(row.email).filter(|before| before != email)))
    }

    /// Opens a session for the right password. What is wrong with the account is said only then.
    pub(super) fn sign_in(&self, given: &Secret) -> worker::Result<Result<SignedIn, Refusal>> {
        let Some(row) = self.row()?.filter(|row| password::is_right(given, &row.password_hash)) else {
            return Ok(Err(Refusal::new(Code::InvalidCredentials)));
        };
        if row.is_suspended != 0 {
            return Ok(Err(Refusal::new(Code::AccountSuspended)));
        }
        if row.is_confirmed == 0 {
            return Ok(Err(Refusal::new(Code::EmailNotConfirmed)));
        }
        let session_id = runtime::random_id();
        let now = runtime::now_secs();
        let sql = &self.sql;
        let forget = "DELETE FROM session WHERE expires_at <= ? OR id IN \
                      (SELECT id FROM session ORDER BY created_at DESC LIMIT -1 OFFSET ?)";
        sql.run(forget, &[number(now), number(MAX_SESSIONS - 1)])?;
        sql.run(
            "INSERT INTO session VALUES (?, ?, ?)",
            &[session_id.as_str().into(), number(now), number(now + REFRESH_LIFETIME_SECS)],
        )?;
        Ok(Ok(SignedIn { user: row.to_user(), session_id }))
    }
}
