//! A user's personal access tokens.

use comind::date::to_iso_8601;
use comind::error::Code;
use comind::types::ApiToken;
use serde::Deserialize;

use super::super::{Refusal, number};
use super::Account;
use crate::runtime;

/// How many active tokens a user may have.
const MAX_ACTIVE: usize = 25;
/// How many revoked or expired tokens are kept; the oldest go first.
const MAX_DEAD: u64 = 100;

#[derive(Deserialize)]
struct Row {
    id: String,
    name: String,
    scopes: String,
    created_at: u64,
    expires_at: u64,
    last_used_at: Option<u64>,
    revoked_at: Option<u64>,
}

impl Row {
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

impl Account {
    pub(super) fn api_tokens(&self) -> worker::Result<Vec<ApiToken>> {
        let now = runtime::now_secs();
        Ok(self.token_rows()?.into_iter().map(|row| row.into_public(now)).collect())
    }

    pub(super) fn create_api_token(
        &self,
        id: &str,
        hash: &str,
        name: &str,
        scopes: &str,
        expires_at: u64,
    ) -> worker::Result<Result<ApiToken, Refusal>> {
        let now = runtime::now_secs();
        let active: Vec<Row> = self.token_rows()?.into_iter().filter(|row| row.is_active(now)).collect();
        if active.iter().any(|row| row.name == name) {
            return Ok(Err(Refusal::new(Code::Duplicate)));
        }
        if active.len() >= MAX_ACTIVE {
            return Ok(Err(Refusal::new(Code::TokenLimitReached)));
        }
        // Dead ones are kept for their owner to see, not for ever.
        let forget = "DELETE FROM api_token WHERE id IN (SELECT id FROM api_token \
                      WHERE revoked_at IS NOT NULL OR expires_at <= ? ORDER BY created_at DESC LIMIT -1 OFFSET ?)";
        self.sql.run(forget, &[number(now), number(MAX_DEAD)])?;
        self.sql.run(
            "INSERT INTO api_token VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
            &[id.into(), name.into(), hash.into(), scopes.into(), number(now), number(expires_at)],
        )?;
        let row = Row {
            id: id.to_owned(),
            name: name.to_owned(),
            scopes: scopes.to_owned(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        Ok(Ok(row.into_public(now)))
    }

    /// Revoking twice is no error: the second time there is nothing left to do.
    pub(super) fn revoke_api_token(&self, id: &str) -> worker::Result<Result<(), Refusal>> {
        if self.token_rows()?.iter().all(|row| row.id != id) {
            return Ok(Err(Refusal::new(Code::NotFound)));
        }
        let revoke = "UPDATE api_token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
        self.sql.run(revoke, &[number(runtime::now_secs()), id.into()])?;
        Ok(Ok(()))
    }

    fn token_rows(&self) -> worker::Result<Vec<Row>> {
        let query = "SELECT id, name, scopes, created_at, expires_at, last_used_at, revoked_at \
                     FROM api_token ORDER BY created_at DESC, id";
        self.sql.rows(query, &[])
    }
}
