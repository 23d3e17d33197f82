//! Whether a credential is alive and has something left: one question for both.

use comind::account::Profile;
use comind::error::Code;
use comind::lease::{Allowance, Ask, Grant, Limits, Share};
use comind::limit::Bucket;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::super::sql::{self, number};
use super::super::{Outcome, Refusal};
use super::{AccountTables, User};
use crate::{config, runtime};

/// What a caller showed, verified as far as it can be without the account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Shown {
    /// A JWT with a good signature: the session's id.
    Session(String),
    /// A well-formed personal access token: its id, and the digest of all of it in hexadecimal.
    ApiToken(String, String),
}

impl Shown {
    /// The name of the credential among those of its user.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Session(id) | Self::ApiToken(id, _) => id,
        }
    }
}

/// A caller who may go on, or who has had enough.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Admitted {
    /// Who it is.
    pub profile: Profile,
    /// The scopes of a personal access token, as stored; `None` for a session.
    pub scopes: Option<String>,
    /// When the credential ends, in Unix seconds.
    pub expires_at: u64,
    /// What it may spend.
    pub grant: Grant,
}

/// How seldom what is written behind is written, in milliseconds.
const WRITE_EVERY_MS: u64 = 1000;
/// How exact `last_used_at` is, in seconds: it is not worth a write for each request.
const LAST_USE_SECS: u64 = 60;

fn limits() -> Limits {
    let config = config::current();
    Limits { requests: config.rate_limit_rpm, tokens: config.rate_limit_tpm }
}

impl AccountTables {
    pub(super) fn admit(&self, user: User, shown: &Shown, ask: Ask) -> sql::Result<Outcome<Admitted>> {
        let (scopes, expires_at) = match self.check(shown)? {
            Ok(alive) => alive,
            Err(code) => return Ok(Err(Refusal::new(code))),
        };
        if user.profile.is_suspended {
            return Ok(Err(Refusal::new(Code::AccountSuspended)));
        }
        let grant = self.with_allowance(|allowance, now_ms| allowance.answer(ask, limits(), now_ms))?;
        Ok(Ok(Admitted { profile: user.profile, scopes, expires_at, grant }))
    }

    pub(super) fn put_back(&self, share: Share) -> sql::Result<()> {
        self.with_allowance(|allowance, now_ms| allowance.put_back(share, limits(), now_ms))
    }

    /// The scopes, if it is a token, and when it ends.
    fn check(&self, shown: &Shown) -> sql::Result<Result<(Option<String>, u64), Code>> {
        let now = runtime::now_secs();
        match shown {
            Shown::Session(id) => {
                let session = self.sql.row("SELECT expires_at FROM session WHERE id = ?", &[id.as_str().into()])?;
                let expires_at = session.map(|mut row| row.number()).filter(|&expires_at| expires_at > now);
                Ok(expires_at.map(|expires_at| (None, expires_at)).ok_or(Code::TokenRevoked))
            }
            Shown::ApiToken(id, hash) => {
                let query = "SELECT hash, scopes, expires_at, revoked_at, last_used_at FROM api_token WHERE id = ?";
                let Some(mut token) = self.sql.row(query, &[id.as_str().into()])? else {
                    return Ok(Err(Code::Unauthorized));
                };
                let is_right: bool = token.text().as_bytes().ct_eq(hash.as_bytes()).into();
                let (scopes, expires_at) = (token.text(), token.number());
                if !is_right {
                    return Ok(Err(Code::Unauthorized));
                }
                if token.optional_number().is_some() {
                    return Ok(Err(Code::TokenRevoked));
                }
                if expires_at <= now {
                    return Ok(Err(Code::TokenExpired));
                }
                if token.number().saturating_add(LAST_USE_SECS) <= now {
                    let used = "UPDATE api_token SET last_used_at = ? WHERE id = ?";
                    self.sql.run(used, &[number(now), id.as_str().into()])?;
                }
                Ok(Ok((Some(scopes), expires_at)))
            }
        }
    }

    /// Works on what is left. It is read once, and written when that is due.
    fn with_allowance<T>(&self, work: impl FnOnce(&mut Allowance, u64) -> T) -> sql::Result<T> {
        let now_ms = runtime::now_ms();
        let stored = *self.allowance.borrow();
        let mut allowance = match stored {
            Some(allowance) => allowance,
            None => self.read_allowance(now_ms)?,
        };
        let result = work(&mut allowance, now_ms);
        if now_ms.saturating_sub(self.written_ms.get()) >= WRITE_EVERY_MS {
            for (kind, bucket) in [("requests", allowance.requests), ("tokens", allowance.tokens)] {
                let write = "INSERT OR REPLACE INTO bucket VALUES (?, ?)";
                self.sql.run(write, &[kind.into(), bucket.to_stored().into()])?;
            }
            self.written_ms.set(now_ms);
        }
        self.allowance.replace(Some(allowance));
        Ok(result)
    }

    fn read_allowance(&self, now_ms: u64) -> sql::Result<Allowance> {
        let mut allowance = Allowance::full(limits(), now_ms);
        for mut row in self.sql.rows("SELECT kind, state FROM bucket", &[])? {
            let (kind, bucket) = (row.text(), Bucket::from_stored(&row.text()));
            let place = if kind == "requests" { &mut allowance.requests } else { &mut allowance.tokens };
            *place = bucket.unwrap_or(*place);
        }
        Ok(allowance)
    }
}
