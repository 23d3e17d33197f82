//! Who exists: whose an e-mail address is, which users there are, and which codes were mailed to whom.
//!
//! Kept in 256 objects by the digest of the key, not in one for each address: on a disk every object
//! that was ever asked, even in vain, is a file, and anybody can ask for invented addresses and
//! tokens. Two accounts cannot have one address all the same, since one object has the last word on it.
//!
//! A code is kept here whether or not the address has an account, so that the two cost the same. An
//! account that was asked for is made when its code comes back: until then it is one row, with the
//! password that came with that request, so that nobody's code confirms somebody else's password.

use comind::error::Code;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use wasm_bindgen::prelude::*;

use super::sql::{self, Row, Sql, number, optional_text};
use super::{Outcome, Refusal, reply, serve};
use crate::{config, runtime};

const SCHEMA: &[&str] = &[
    "
    CREATE TABLE address (key TEXT PRIMARY KEY, user_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE user (key TEXT PRIMARY KEY) WITHOUT ROWID;
    ",
    // The one row that was no address: key("first", "admin").
    "
    ALTER TABLE address ADD COLUMN kind TEXT NOT NULL DEFAULT 'address';
    UPDATE address SET kind = 'first' WHERE key = '1791c9285322aa60517f06128687ec06c822c0226cb85bf13ffddbd4abd38c91';
    CREATE TABLE code (
        purpose TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, tries INTEGER NOT NULL,
        expires_at INTEGER NOT NULL, password_hash TEXT, username TEXT, PRIMARY KEY (purpose, key, digest)
    ) WITHOUT ROWID;
    CREATE INDEX code_by_age ON code (expires_at);
    ",
];

/// What a code is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Purpose {
    /// To make the account that was asked for.
    Confirm,
    /// To set a new password.
    Reset,
}

impl Purpose {
    /// The spelling in the tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Reset => "reset",
        }
    }
}

/// What is kept with a code.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Pending {
    /// Of the password that the account is to have.
    pub password_hash: Option<String>,
    /// Its name for people.
    pub username: Option<String>,
}

/// A code that came back.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Taken {
    /// What was kept with it.
    pub pending: Pending,
    /// Whose the address is by now.
    pub owner: Option<String>,
}

/// Who answers for an address.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Owner {
    /// The user's id.
    pub user_id: Option<String>,
    /// The hash of the password with which an account was asked for, while its code is out.
    pub pending_hash: Option<String>,
}

/// What can be asked. Keys are [`key`](super::key)s: what somebody typed is not stored.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum DirectoryCall {
    /// Answers an [`Owner`].
    FindOwner { key: String },
    /// Takes a key for this user unless somebody has it; answers who has it now.
    Claim { kind: String, key: String, user_id: String },
    /// Gives a key of this user up. Answers nothing.
    Release { key: String, user_id: String },
    /// Whether there is such a user.
    HasUser { key: String },
    /// Notes that there is. Answers nothing.
    AddUser { key: String },
    /// Notes that there no longer is. Answers nothing.
    RemoveUser { key: String },
    /// The ids of the users whose addresses' keys come after this one.
    ListUsers { after: String, limit: u32 },
    /// Keeps a code. Answers whose the address is.
    PutCode { purpose: Purpose, key: String, digest: String, pending: Pending },
    /// Answers [`Taken`] once for a right code; a wrong one counts against all codes of the address.
    TakeCode { purpose: Purpose, key: String, digest: String },
}

/// The tables of one of the objects that know who exists.
#[wasm_bindgen]
#[derive(Debug)]
pub struct DirectoryTables {
    sql: Sql,
}

#[wasm_bindgen]
impl DirectoryTables {
    /// The tables behind the runtime's `ctx.storage.sql`.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(sql: JsValue) -> Self {
        Self { sql: Sql::new(sql) }
    }

    /// Answers a question of the worker's.
    ///
    /// # Errors
    ///
    /// What the tables complain about.
    pub fn call(&self, question: &[u8]) -> Result<Vec<u8>, JsValue> {
        serve(question, |call| self.answer(call))
    }

    fn answer(&self, call: DirectoryCall) -> sql::Result<Vec<u8>> {
        let sql = &self.sql;
        sql.migrate(SCHEMA)?;
        Ok(match call {
            DirectoryCall::FindOwner { key } => {
                let query = "SELECT password_hash FROM code WHERE purpose = 'confirm' AND key = ? AND expires_at > ? \
                             ORDER BY expires_at DESC LIMIT 1";
                let pending = sql.row(query, &[key.as_str().into(), number(runtime::now_secs())])?;
                let pending_hash = pending.and_then(|mut row| row.optional_text());
                reply(&Ok(Owner { user_id: self.owner(&key)?, pending_hash }))
            }
            DirectoryCall::Claim { kind, key, user_id } => {
                let take = "INSERT OR IGNORE INTO address (key, user_id, kind) VALUES (?, ?, ?)";
                sql.run(take, &[key.as_str().into(), user_id.as_str().into(), kind.into()])?;
                reply(&Ok(self.owner(&key)?.unwrap_or(user_id)))
            }
            DirectoryCall::Release { key, user_id } => {
                sql.run("DELETE FROM address WHERE key = ? AND user_id = ?", &[key.into(), user_id.into()])?;
                reply(&Ok(()))
            }
            DirectoryCall::HasUser { key } => {
                reply(&Ok(sql.row("SELECT 1 FROM user WHERE key = ?", &[key.into()])?.is_some()))
            }
            DirectoryCall::AddUser { key } => {
                sql.run("INSERT OR IGNORE INTO user VALUES (?)", &[key.into()])?;
                reply(&Ok(()))
            }
            DirectoryCall::RemoveUser { key } => {
                sql.run("DELETE FROM user WHERE key = ?", &[key.into()])?;
                reply(&Ok(()))
            }
            DirectoryCall::ListUsers { after, limit } => {
                let query = "SELECT user_id FROM address WHERE kind = 'address' AND key > ? ORDER BY key LIMIT ?";
                let rows = sql.rows(query, &[after.into(), number(limit.into())])?;
                let users: Vec<String> = rows.into_iter().map(|mut row| row.text()).collect();
                reply(&Ok(users))
            }
            DirectoryCall::PutCode { purpose, key, digest, pending } => {
                let now = runtime::now_secs();
                sql.run("DELETE FROM code WHERE expires_at <= ?", &[number(now)])?;
                sql.run(
                    "INSERT OR REPLACE INTO code VALUES (?, ?, ?, 0, ?, ?, ?)",
                    &[
                        purpose.as_str().into(),
                        key.as_str().into(),
                        digest.into(),
                        number(now + config::current().lives.code_secs),
                        optional_text(pending.password_hash.as_deref()),
                        optional_text(pending.username.as_deref()),
                    ],
                )?;
                reply(&Ok(self.owner(&key)?))
            }
            DirectoryCall::TakeCode { purpose, key, digest } => reply(&self.take_code(purpose, &key, &digest)?),
        })
    }

    fn owner(&self, key: &str) -> sql::Result<Option<String>> {
        let owner = self.sql.row("SELECT user_id FROM address WHERE key = ?", &[key.into()])?;
        Ok(owner.map(|mut row| row.text()))
    }

    fn take_code(&self, purpose: Purpose, key: &str, digest: &str) -> sql::Result<Outcome<Taken>> {
        let subject = [purpose.as_str().into(), key.into()];
        let query = "SELECT digest, password_hash, username FROM code \
                     WHERE purpose = ? AND key = ? AND expires_at > ? AND tries < ?";
        let [purpose_value, key_value] = subject.clone();
        let tries = config::current().lives.code_tries;
        let live =
            self.sql.rows(query, &[purpose_value, key_value, number(runtime::now_secs()), number(tries.into())])?;
        let is_right = |mut row: Row| {
            let is_right: bool = row.text().as_bytes().ct_eq(digest.as_bytes()).into();
            is_right.then(|| Pending { password_hash: row.optional_text(), username: row.optional_text() })
        };
        let Some(pending) = live.into_iter().filter_map(is_right).next_back() else {
            self.sql.run("UPDATE code SET tries = tries + 1 WHERE purpose = ? AND key = ?", &subject)?;
            return Ok(Err(Refusal::new(Code::InvalidCode)));
        };
        // Whoever reads the mails has shown it: the other codes are worth nothing any more.
        self.sql.run("DELETE FROM code WHERE purpose = ? AND key = ?", &subject)?;
        Ok(Ok(Taken { pending, owner: self.owner(key)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::SCHEMA;

    #[test]
    fn the_row_that_is_no_address_is_named_in_the_second_version() {
        assert!(SCHEMA[1].contains(&key("first", "admin")), "{}", key("first", "admin"));
    }
}
