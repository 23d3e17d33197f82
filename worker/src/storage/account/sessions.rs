//! Passwords and sessions.
//!
//! A session is a family of refresh tokens: each refresh makes the next generation, and the one before
//! is dead. Using a dead one again says that two hold it, one of them a thief, so the family dies; but
//! for a moment after a rotation the same new pair is given again, for two tabs and lost answers.

use comind::account::Profile;
use comind::error::Code;
use comind::secret::Secret;
use serde::{Deserialize, Serialize};

use super::super::sql::{self, number};
use super::super::{Outcome, Refusal, password};
use super::{AccountTables, User};
use crate::{config, runtime};

/// A session that has a new pair of tokens coming.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Opened {
    /// Who it is.
    pub profile: Profile,
    /// The session's id.
    pub session_id: String,
    /// Which pair of the session it is.
    pub generation: u32,
    /// Unix seconds.
    pub issued_at: u64,
}

fn refuse<T>(code: Code) -> sql::Result<Outcome<T>> {
    Ok(Err(Refusal::new(code)))
}

impl AccountTables {
    /// Opens a session for the right password. What is wrong with the account is said only then.
    pub(super) fn sign_in(&self, user: User, given: &Secret) -> sql::Result<Outcome<Opened>> {
        if !has_password(&user, given) {
            return refuse(Code::InvalidCredentials);
        }
        self.open_session(user)
    }

    pub(super) fn open_session(&self, user: User) -> sql::Result<Outcome<Opened>> {
        if user.profile.is_suspended {
            return refuse(Code::AccountSuspended);
        }
        if !user.profile.is_confirmed {
            return refuse(Code::EmailNotConfirmed);
        }
        let session_id = runtime::random_id();
        let now = runtime::now_secs();
        let lives = config::current().lives;
        // The newest stay, whatever their clocks say.
        let forget = "DELETE FROM session WHERE expires_at <= ? OR id IN \
                      (SELECT id FROM session ORDER BY created_at DESC, id LIMIT -1 OFFSET ?)";
        self.sql.run(forget, &[number(now), number(u64::from(lives.max_sessions) - 1)])?;
        self.sql.run(
            "INSERT INTO session (id, created_at, expires_at) VALUES (?, ?, ?)",
            &[session_id.as_str().into(), number(now), number(now + lives.refresh_token_secs)],
        )?;
        Ok(Ok(Opened { profile: user.profile, session_id, generation: 0, issued_at: now }))
    }

    /// The next pair for the newest refresh token; the same pair again for one that was used a moment
    /// ago; for an older one the end of the session.
    pub(super) fn refresh(&self, user: User, session_id: &str, generation: u32) -> sql::Result<Outcome<Opened>> {
        let now_ms = runtime::now_ms();
        let lives = config::current().lives;
        let query = "SELECT generation FROM session WHERE id = ? AND expires_at > ?";
        let Some(mut session) = self.sql.row(query, &[session_id.into(), number(now_ms / 1000)])? else {
            return refuse(Code::TokenRevoked);
        };
        if user.profile.is_suspended {
            return refuse(Code::AccountSuspended);
        }
        let opened = |at_ms: u64| {
            let session_id = session_id.to_owned();
            Ok(Ok(Opened { profile: user.profile, session_id, generation: generation + 1, issued_at: at_ms / 1000 }))
        };
        if session.count() == generation {
            let oldest_ms = now_ms.saturating_sub(lives.refresh_grace_ms);
            self.sql.run("DELETE FROM rotation WHERE at_ms < ?", &[number(oldest_ms)])?;
            self.sql.run(
                "INSERT OR REPLACE INTO rotation VALUES (?, ?, ?)",
                &[session_id.into(), number(generation.into()), number(now_ms)],
            )?;
            self.sql.run(
                "UPDATE session SET generation = ?, expires_at = ? WHERE id = ?",
                &[
                    number(u64::from(generation) + 1),
                    number(now_ms / 1000 + lives.refresh_token_secs),
                    session_id.into(),
                ],
            )?;
            return opened(now_ms);
        }
        let query = "SELECT at_ms FROM rotation WHERE session_id = ? AND generation = ?";
        let rotated = self.sql.row(query, &[session_id.into(), number(generation.into())])?;
        match rotated.map(|mut row| row.number()) {
            Some(at_ms) if now_ms.saturating_sub(at_ms) < lives.refresh_grace_ms => opened(at_ms),
            _ => {
                self.end_session(session_id)?;
                refuse(Code::TokenRevoked)
            }
        }
    }

    /// Ends a session; one that has ended already is no error.
    pub(super) fn end_session(&self, id: &str) -> sql::Result<()> {
        self.sql.run("DELETE FROM rotation WHERE session_id = ?", &[id.into()])?;
        self.sql.run("DELETE FROM session WHERE id = ?", &[id.into()])
    }

    /// Ends all sessions, but perhaps one.
    pub(super) fn end_sessions(&self, but: Option<&str>) -> sql::Result<()> {
        let but = but.unwrap_or_default();
        self.sql.run("DELETE FROM rotation WHERE session_id <> ?", &[but.into()])?;
        self.sql.run("DELETE FROM session WHERE id <> ?", &[but.into()])
    }

    pub(super) fn change_password(
        &self,
        user: &User,
        session_id: &str,
        current: &Secret,
        new: &Secret,
    ) -> sql::Result<Outcome<()>> {
        if !has_password(user, current) {
            return refuse(Code::InvalidCredentials);
        }
        self.replace_password(new, Some(session_id))
    }

    pub(super) fn set_password(&self, new: &Secret) -> sql::Result<Outcome<()>> {
        self.replace_password(new, None)
    }

    fn replace_password(&self, new: &Secret, but: Option<&str>) -> sql::Result<Outcome<()>> {
        let Some(hash) = password::hash(new, &runtime::random()) else { return refuse(Code::InternalError) };
        self.sql.run("UPDATE user SET password_hash = ?, version = version + 1", &[hash.into()])?;
        self.end_sessions(but)?;
        Ok(Ok(()))
    }
}

/// Whether the password is the user's; who has none has the same work done.
fn has_password(user: &User, given: &Secret) -> bool {
    if user.password_hash.is_empty() {
        password::pretend(given);
        return false;
    }
    password::is_right(given, &user.password_hash)
}
