//! A user's personal access tokens.

use comind::date::to_iso_8601;
use comind::error::Code;
use comind::types::ApiToken;
use serde::{Deserialize, Serialize};

use super::super::sql::{self, Row, number};
use super::super::{Outcome, Refusal};
use super::AccountTables;
use crate::{config, runtime};

/// How many revoked or expired tokens are kept for their owner to see; the oldest go first.
const MAX_DEAD: u64 = 100;

/// A token about to be.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NewApiToken {
    /// The token's id.
    pub id: String,
    /// The digest of the whole token, in hexadecimal.
    pub hash: String,
    /// The name.
    pub name: String,
    /// The scopes, as stored.
    pub scopes: String,
    /// In seconds.
    pub life_secs: u64,
}

struct Stored {
    id: String,
    name: String,
    scopes: String,
    created_at: u64,
    expires_at: u64,
    last_used_at: Option<u64>,
    revoked_at: Option<u64>,
}

impl Stored {
    fn read(mut row: Row) -> Self {
        Self {
            id: row.text(),
            name: row.text(),
            scopes: row.text(),
            created_at: row.number(),
            expires_at: row.number(),
            last_used_at: row.optional_number(),
            revoked_at: row.optional_number(),
        }
    }

    fn is_active(&self, now: u64) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }

    fn into_public(self, now: u64) -> ApiToken {
        ApiToken {
            id: self.id,
            name: self.name,
            scopes: self.scopes.split(' ').map(str::to_owned).collect(),
            created_at: to_iso_8601(self.created_at),
            expires_at: to_iso_8601(self.expires_at),
            last_used_at: self.last_used_at.map(to_iso_8601),
            is_expired: self.expires_at <= now,
            is_revoked: self.revoked_at.is_some(),
        }
    }
}

impl AccountTables {
    pub(super) fn api_tokens(&self) -> sql::Result<Vec<ApiToken>> {
        let now = runtime::now_secs();
        Ok(self.tokens()?.into_iter().map(|token| token.into_public(now)).collect())
    }

    pub(super) fn create_api_token(&self, new: &NewApiToken) -> sql::Result<Outcome<ApiToken>> {
        let now = runtime::now_secs();
        let tokens = self.tokens()?;
        let mut active = tokens.iter().filter(|token| token.is_active(now));
        if active.clone().any(|token| token.name == new.name) {
            return Ok(Err(Refusal::new(Code::Duplicate)));
        }
        if active.nth(config::current().lives.max_api_tokens as usize - 1).is_some() {
            return Ok(Err(Refusal::new(Code::TokenLimitReached)));
        }
        self.insert_token(new, now).map(Ok)
    }

    /// Revoking twice is no error: the second time there is nothing left to do.
    pub(super) fn revoke_api_token(&self, id: &str) -> sql::Result<Outcome<()>> {
        if self.tokens()?.iter().all(|token| token.id != id) {
            return Ok(Err(Refusal::new(Code::NotFound)));
        }
        let revoke = "UPDATE api_token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
        self.sql.run(revoke, &[number(runtime::now_secs()), id.into()])?;
        Ok(Ok(()))
    }

    /// The new one has name, scopes and length of life of the old one, which is dead with that.
    pub(super) fn rotate_api_token(&self, old_id: &str, id: String, hash: String) -> sql::Result<Outcome<ApiToken>> {
        let now = runtime::now_secs();
        let Some(old) = self.tokens()?.into_iter().find(|token| token.id == old_id && token.is_active(now)) else {
            return Ok(Err(Refusal::new(Code::NotFound)));
        };
        self.sql.run("UPDATE api_token SET revoked_at = ? WHERE id = ?", &[number(now), old_id.into()])?;
        let life_secs = old.expires_at.saturating_sub(old.created_at);
        self.insert_token(&NewApiToken { id, hash, name: old.name, scopes: old.scopes, life_secs }, now).map(Ok)
    }

    fn insert_token(&self, new: &NewApiToken, now: u64) -> sql::Result<ApiToken> {
        // Dead ones are kept for their owner to see, not for ever.
        let forget = "DELETE FROM api_token WHERE id IN (SELECT id FROM api_token \
                      WHERE revoked_at IS NOT NULL OR expires_at <= ? ORDER BY created_at DESC LIMIT -1 OFFSET ?)";
        self.sql.run(forget, &[number(now), number(MAX_DEAD)])?;
        let expires_at = now.saturating_add(new.life_secs);
        let NewApiToken { id, hash, name, scopes, .. } = new;
        self.sql.run(
            "INSERT INTO api_token VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
            &[id.into(), name.into(), hash.into(), scopes.into(), number(now), number(expires_at)],
        )?;
        let token = Stored {
            id: id.clone(),
            name: name.clone(),
            scopes: scopes.clone(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        Ok(token.into_public(now))
    }

    fn tokens(&self) -> sql::Result<Vec<Stored>> {
        let query = "SELECT id, name, scopes, created_at, expires_at, last_used_at, revoked_at \
                     FROM api_token ORDER BY created_at DESC, id";
        Ok(self.sql.rows(query, &[])?.into_iter().map(Stored::read).collect())
    }
}
