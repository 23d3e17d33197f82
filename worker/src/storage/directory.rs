//! Who exists: whose an e-mail address is, and which users there are.
//!
//! Kept in 256 objects by the digest of the key, not in one for each address: on a disk every object
//! that was ever asked, even in vain, is a file, and anybody can ask for invented addresses and
//! tokens. Two accounts cannot have one address all the same, since one object has the last word on it.

use std::rc::Rc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{Refusal, Sql, question, reply};

const SCHEMA: &[&str] = &["
    CREATE TABLE address (key TEXT PRIMARY KEY, user_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE user (key TEXT PRIMARY KEY) WITHOUT ROWID;
"];

/// What can be asked. Keys are [`key`](super::key)s: what somebody typed is not stored.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DirectoryCall {
    /// Whose an address is: `null` or a user's id.
    FindOwner {
        /// The address.
        key: String,
    },
    /// Takes an address for this user unless somebody has it; answers who has it now.
    Claim {
        /// The address.
        key: String,
        /// The user's id.
        user_id: String,
    },
    /// Gives an address of this user up. Answers nothing.
    Release {
        /// The address.
        key: String,
        /// The user's id.
        user_id: String,
    },
    /// Whether there is such a user.
    HasUser {
        /// The user's id.
        key: String,
    },
    /// Notes that there is. Answers nothing.
    AddUser {
        /// The user's id.
        key: String,
    },
}

/// One of the objects that know who exists.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct Directory {
    sql: Rc<Sql>,
}

impl DurableObject for Directory {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: Sql::of(&state) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: DirectoryCall = question(&mut request).await?;
        self.sql.migrate(SCHEMA)?;
        match call {
            DirectoryCall::FindOwner { key } => reply(Ok::<_, Refusal>(self.owner(&key)?)),
            DirectoryCall::Claim { key, user_id } => {
                let take = "INSERT OR IGNORE INTO address VALUES (?, ?)";
                self.sql.run(take, &[key.as_str().into(), user_id.as_str().into()])?;
                reply(Ok::<_, Refusal>(self.owner(&key)?.unwrap_or(user_id)))
            }
            DirectoryCall::Release { key, user_id } => {
                let give_up = "DELETE FROM address WHERE key = ? AND user_id = ?";
                self.sql.run(give_up, &[key.into(), user_id.into()])?;
                reply(Ok(()))
            }
            DirectoryCall::HasUser { key } => {
                let found: Vec<IgnoredAny> = self.sql.rows("SELECT 1 FROM user WHERE key = ?", &[key.into()])?;
                reply(Ok::<_, Refusal>(!found.is_empty()))
            }
            DirectoryCall::AddUser { key } => {
                self.sql.run("INSERT OR IGNORE INTO user VALUES (?)", &[key.into()])?;
                reply(Ok(()))
            }
        }
    }
}

impl Directory {
    fn owner(&self, key: &str) -> worker::Result<Option<String>> {
        #[derive(Deserialize)]
        struct Owner {
            user_id: String,
        }
        let owners: Vec<Owner> = self.sql.rows("SELECT user_id FROM address WHERE key = ?", &[key.into()])?;
        Ok(owners.into_iter().next().map(|owner| owner.user_id))
    }
}
