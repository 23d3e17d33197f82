//! One user: who it is, its sessions, its tokens, what it has left.

mod admission;
mod api_tokens;
mod sign_in;

use std::cell::RefCell;
use std::rc::Rc;

use comind::error::Code;
use comind::types::{ApiToken, User};
use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{Refusal, Sql, question, reply};
use admission::Buckets;
pub(crate) use admission::{Admitted, Shown};

const SCHEMA: &[&str] = &["
    CREATE TABLE user (
        id TEXT NOT NULL, email TEXT NOT NULL, password_hash TEXT NOT NULL, seed_hash TEXT,
        privileges TEXT NOT NULL, groups TEXT NOT NULL, version INTEGER NOT NULL,
        is_confirmed INTEGER NOT NULL, is_suspended INTEGER NOT NULL, created_at INTEGER NOT NULL
    );
    CREATE TABLE session (
        id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE api_token (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, last_used_at INTEGER, revoked_at INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE bucket (kind TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"];

/// What can be asked of an account.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountCall {
    /// Makes the first admin, or gives it what the operator has set since. Answers the address it had
    /// until then, if that was another, else `null`.
    Seed {
        /// The user's id.
        user_id: String,
        /// The address.
        email: String,
        /// The password in `ADMIN_PASSWORD`.
        password: String,
    },
    /// Checks the password and opens a session. Answers [`SignedIn`].
    SignIn {
        /// The password.
        password: String,
    },
    /// Whether a verified credential is alive and has something left. Answers [`Admitted`].
    Admit {
        /// Shown by the caller.
        shown: Shown,
        /// How many tokens are reserved.
        tokens: u64,
    },
    /// Corrects a reservation to what was used. Answers nothing.
    Settle {
        /// What was reserved.
        reserved: u64,
        /// What was used.
        used: u64,
    },
    /// Stores a new personal access token. Answers its [`ApiToken`].
    CreateApiToken {
        /// The token's id.
        id: String,
        /// The digest of the whole token, in hexadecimal.
        hash: String,
        /// The name.
        name: String,
        /// The scopes, as stored.
        scopes: String,
        /// Unix seconds.
        expires_at: u64,
    },
    /// Answers all tokens as a list of [`ApiToken`].
    ApiTokens,
    /// Revokes a token. Answers nothing; `not_found` when there is none.
    RevokeApiToken {
        /// The token's id.
        id: String,
    },
}

/// A session just opened.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// The session's id.
    pub session_id: String,
}

/// The object of one user.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct Account {
    state: State,
    sql: Rc<Sql>,
    buckets: Rc<RefCell<Buckets>>,
}

impl DurableObject for Account {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: Sql::of(&state), state, buckets: Rc::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: AccountCall = question(&mut request).await?;
        let is_made = !self.sql.is_empty()?;
        if is_made || matches!(call, AccountCall::Seed { .. }) {
            self.sql.migrate(SCHEMA)?;
        }
        match call {
            AccountCall::Seed { user_id, email, password } => reply(self.seed(&user_id, &email, &password.into())?),
            AccountCall::SignIn { password } if is_made => reply(self.sign_in(&password.into())?),
            AccountCall::SignIn { password } => {
                super::password::pretend(&password.into());
                reply::<SignedIn>(Err(Refusal::new(Code::InvalidCredentials)))
            }
            // A token that names an account which does not exist.
            _ if !is_made => reply::<()>(Err(Refusal::new(Code::Unauthorized))),
            AccountCall::Admit { shown, tokens } => reply(self.admit(&shown, tokens)?),
            AccountCall::Settle { reserved, used } => {
                self.settle(reserved, used);
                reply(Ok(()))
            }
            AccountCall::CreateApiToken { id, hash, name, scopes, expires_at } => {
                reply(self.create_api_token(&id, &hash, &name, &scopes, expires_at)?)
            }
            AccountCall::ApiTokens => reply(Ok::<Vec<ApiToken>, Refusal>(self.api_tokens()?)),
            AccountCall::RevokeApiToken { id } => reply(self.revoke_api_token(&id)?),
        }
    }
}

/// The user's row.
#[derive(Deserialize)]
struct Row {
    id: String,
    email: String,
    password_hash: String,
    seed_hash: Option<String>,
    privileges: String,
    groups: String,
    version: u32,
    is_confirmed: u32,
    is_suspended: u32,
}

impl Row {
    fn to_user(&self) -> User {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        User {
            id: self.id.clone(),
            email: self.email.clone(),
            privileges: words(&self.privileges),
            group_memberships: words(&self.groups),
            user_version: self.version,
        }
    }
}

impl Account {
    fn row(&self) -> worker::Result<Option<Row>> {
        Ok(self.sql.rows::<Row>("SELECT * FROM user", &[])?.into_iter().next())
    }
}
