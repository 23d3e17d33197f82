//! Whether a credential is alive and has something left: one call for both.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use comind::error::Code;
use comind::limit::{Bucket, Standing};
use comind::types::{User, to_json};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use worker::Delay;

use super::super::{Refusal, Sql, number};
use super::{Account, Row};
use crate::{config, log, runtime};

/// What a caller showed, verified as far as it can be without the account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shown {
    /// A JWT with a good signature.
    Session {
        /// The session's id.
        id: String,
        /// The user's version when it was made.
        version: u32,
    },
    /// A well-formed personal access token.
    ApiToken {
        /// The token's id.
        id: String,
        /// The digest of the whole token, in hexadecimal.
        hash: String,
    },
}

/// A caller who may go on, or who has had enough.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Admitted {
    /// Who it is.
    pub user: User,
    /// The scopes of a personal access token, as stored; `None` for a session.
    pub scopes: Option<String>,
    /// What is left of the requests; `None` without a limit.
    pub requests: Option<Standing>,
    /// What is left of the tokens; `None` without a limit.
    pub tokens: Option<Standing>,
    /// Set when a limit is reached: how long until this request would pass.
    pub wait_ms: Option<u64>,
}

/// The limits' state. Kept in memory and written behind the answer, at most once a second.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    is_read: bool,
    is_write_due: bool,
    /// The tokens used since the last write, and when.
    used: BTreeMap<String, u64>,
}

const WRITE_BEHIND: Duration = Duration::from_secs(1);

impl Account {
    pub(super) fn admit(&self, shown: &Shown, tokens: u64) -> worker::Result<Result<Admitted, Refusal>> {
        let refuse = |code| Ok(Err(Refusal::new(code)));
        let Some(row) = self.row()? else { return refuse(Code::Unauthorized) };
        let scopes = match self.check(&row, shown)? {
            Ok(scopes) => scopes,
            Err(code) => return refuse(code),
        };
        if row.is_suspended != 0 {
            return refuse(Code::AccountSuspended);
        }
        if let Shown::ApiToken { id, .. } = shown {
            self.buckets.borrow_mut().used.insert(id.clone(), runtime::now_secs());
        }
        let (requests, tokens, wait_ms) = self.take(tokens)?;
        self.write_behind();
        Ok(Ok(Admitted { user: row.to_user(), scopes, requests, tokens, wait_ms }))
    }

    pub(super) fn settle(&self, reserved: u64, used: u64) {
        let limit = config::current().rate_limit_tpm;
        if limit == 0 {
            return;
        }
        if let Some(bucket) = &mut self.buckets.borrow_mut().tokens {
            bucket.settle(limit, reserved, used, runtime::now_ms());
        }
        self.write_behind();
    }

    fn check(&self, row: &Row, shown: &Shown) -> worker::Result<Result<Option<String>, Code>> {
        match shown {
            Shown::Session { id, version } => {
                #[derive(Deserialize)]
                struct Session {
                    expires_at: u64,
                }
                let query = "SELECT expires_at FROM session WHERE id = ?";
                let sessions = self.sql.rows::<Session>(query, &[id.as_str().into()])?;
                let is_alive = sessions.first().is_some_and(|session| session.expires_at > runtime::now_secs());
                Ok(if is_alive && *version == row.version { Ok(None) } else { Err(Code::TokenRevoked) })
            }
            Shown::ApiToken { id, hash } => {
                #[derive(Deserialize)]
                struct Token {
                    hash: String,
                    scopes: String,
                    expires_at: u64,
                    revoked_at: Option<u64>,
                }
                let query = "SELECT hash, scopes, expires_at, revoked_at FROM api_token WHERE id = ?";
                let tokens = self.sql.rows::<Token>(query, &[id.as_str().into()])?;
                let known =
                    tokens.into_iter().next().filter(|token| token.hash.as_bytes().ct_eq(hash.as_bytes()).into());
                Ok(match known {
                    None => Err(Code::Unauthorized),
                    Some(token) if token.revoked_at.is_some() => Err(Code::TokenRevoked),
                    Some(token) if token.expires_at <= runtime::now_secs() => Err(Code::TokenExpired),
                    Some(token) => Ok(Some(token.scopes)),
                })
            }
        }
    }

    /// Takes one request and so many tokens, both or neither.
    fn take(&self, cost: u64) -> worker::Result<(Option<Standing>, Option<Standing>, Option<u64>)> {
        self.read_buckets()?;
        let config = config::current();
        let (rpm, tpm, now_ms) = (config.rate_limit_rpm, config.rate_limit_tpm, runtime::now_ms());
        let mut buckets = self.buckets.borrow_mut();
        let Buckets { requests, tokens, .. } = &mut *buckets;
        let requests = requests.get_or_insert_with(|| Bucket::full(rpm, now_ms));
        let tokens = tokens.get_or_insert_with(|| Bucket::full(tpm, now_ms));
        let mut wait_ms = None;
        if rpm > 0 {
            wait_ms = requests.take(rpm, 1, now_ms).err();
        }
        if tpm > 0 && wait_ms.is_none() {
            wait_ms = tokens.take(tpm, cost, now_ms).err();
            if wait_ms.is_some() && rpm > 0 {
                requests.settle(rpm, 1, 0, now_ms);
            }
        }
        let standing = |limit, bucket: &Bucket| (limit > 0).then(|| bucket.standing(limit));
        Ok((standing(rpm, requests), standing(tpm, tokens), wait_ms))
    }

    fn read_buckets(&self) -> worker::Result<()> {
        #[derive(Deserialize)]
        struct Stored {
            kind: String,
            state: String,
        }
        if self.buckets.borrow().is_read {
            return Ok(());
        }
        let stored = self.sql.rows::<Stored>("SELECT kind, state FROM bucket", &[])?;
        let mut buckets = self.buckets.borrow_mut();
        for Stored { kind, state } in stored {
            let bucket = serde_json::from_str(&state).ok();
            if kind == "requests" {
                buckets.requests = bucket;
            } else {
                buckets.tokens = bucket;
            }
        }
        buckets.is_read = true;
        Ok(())
    }

    /// Writes the state a second from now, unless that is due already: a busy user costs one write
    /// a second, and a crash forgets one second of counting at most.
    fn write_behind(&self) {
        if std::mem::replace(&mut self.buckets.borrow_mut().is_write_due, true) {
            return;
        }
        let (sql, buckets) = (Rc::clone(&self.sql), Rc::clone(&self.buckets));
        self.state.wait_until(async move {
            Delay::from(WRITE_BEHIND).await;
            if let Err(error) = buckets.borrow_mut().write(&sql) {
                log::internal("account", &error.to_string());
            }
        });
    }
}

impl Buckets {
    fn write(&mut self, sql: &Sql) -> worker::Result<()> {
        self.is_write_due = false;
        for (kind, bucket) in [("requests", &self.requests), ("tokens", &self.tokens)] {
            if let Some(bucket) = bucket {
                sql.run("INSERT OR REPLACE INTO bucket VALUES (?, ?)", &[kind.into(), to_json(bucket).into()])?;
            }
        }
        for (id, at) in std::mem::take(&mut self.used) {
            sql.run("UPDATE api_token SET last_used_at = ? WHERE id = ?", &[number(at), id.into()])?;
        }
        Ok(())
    }
}
