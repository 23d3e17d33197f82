//! One user: who it is, its sessions, its tokens, what it has left.

mod admission;
mod api_tokens;
mod sessions;

use std::cell::{Cell, RefCell};

use comind::account::Profile;
use comind::error::Code;
use comind::lease::{Allowance, Ask, Share};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::sql::{self, Sql, number, optional_text};
use super::{Outcome, Refusal, password, reply, serve};
use crate::runtime;
pub(crate) use admission::{Admitted, Shown};
pub(crate) use api_tokens::NewApiToken;
pub(crate) use sessions::Opened;

const SCHEMA: &[&str] = &[
    "
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
    ",
    "
    ALTER TABLE user ADD COLUMN username TEXT NOT NULL DEFAULT '';
    ALTER TABLE user ADD COLUMN identity TEXT;
    UPDATE user SET username = substr(email, 1, instr(email, '@') - 1);
    ALTER TABLE session ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE rotation (
        session_id TEXT NOT NULL, generation INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        PRIMARY KEY (session_id, generation)
    ) WITHOUT ROWID;
    DELETE FROM bucket;
    ",
];

/// A user about to be.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NewUser {
    /// Who it will be.
    pub profile: Profile,
    /// See [`password::hash`]; `None`: no password is right until one is set.
    pub password_hash: Option<String>,
    /// By whose word it comes in: the key of the identity.
    pub identity: Option<String>,
}

/// What an operator changes; `None` stays.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Changes {
    /// See [`Profile`].
    pub is_suspended: Option<bool>,
    /// See [`Profile`].
    pub username: Option<String>,
    /// See [`Profile`].
    pub privileges: Option<Vec<String>>,
    /// See [`Profile`].
    pub groups: Option<Vec<String>>,
}

/// What an account says of itself to the edge.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Description {
    /// Who it is.
    pub profile: Profile,
    /// See [`NewUser::identity`].
    pub identity: Option<String>,
}

/// What can be asked of an account. All but the first three are refused with `unauthorized` where there
/// is no account.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum AccountCall {
    /// Makes the account, once. Answers nothing.
    Create(NewUser),
    /// Makes the first admin, or gives it what the operator has set since. Answers the address it had
    /// until then, if that was another, else `None`.
    Seed { user_id: String, email: String, password: String, organization: String },
    /// Does the work of a sign-in for an address without an account; `hash` is that of a password with
    /// which one was asked for. Refused with `invalid_credentials`, or `email_not_confirmed`.
    Pretend { password: String, hash: Option<String> },
    /// Checks the password and opens a session. Answers [`Opened`].
    SignIn { password: String },
    /// Opens a session for whom somebody else vouches for. Answers [`Opened`].
    OpenSession,
    /// The next pair of a session's tokens. Answers [`Opened`].
    Refresh { session_id: String, generation: u32 },
    /// Ends a session. Answers nothing.
    EndSession { session_id: String },
    /// Changes the password; all sessions but this one end. Answers nothing.
    ChangePassword { session_id: String, current: String, new: String },
    /// Sets the password; all sessions end. Answers nothing.
    SetPassword { new: String },
    /// Whether a verified credential is alive and has something left. Answers [`Admitted`].
    Admit { shown: Shown, ask: Ask },
    /// Takes back what an isolate held. Answers nothing.
    PutBack { share: Share },
    /// Stores a new personal access token. Answers its [`ApiToken`](comind::types::ApiToken).
    CreateApiToken(NewApiToken),
    /// Answers all tokens as a list of [`ApiToken`](comind::types::ApiToken).
    ApiTokens,
    /// Revokes a token. Answers nothing; `not_found` when there is none.
    RevokeApiToken { id: String },
    /// Puts a new token in the place of one. Answers its [`ApiToken`](comind::types::ApiToken).
    RotateApiToken { old_id: String, id: String, hash: String },
    /// Answers a [`Description`].
    Describe,
    /// Answers the new [`Profile`].
    Update(Changes),
    /// Ends everything but remembers whose it was, so that a deletion that broke off can be gone on
    /// with; [`forget`](super::forget) is the last step. Answers a [`Description`].
    BeginDeletion,
}

/// The tables of one user.
#[wasm_bindgen]
#[derive(Debug)]
pub struct AccountTables {
    sql: Sql,
    /// What is left, and when that was last written. Written at most once a second: a crash forgets no
    /// more than what passed since.
    allowance: RefCell<Option<Allowance>>,
    written_ms: Cell<u64>,
}

#[wasm_bindgen]
impl AccountTables {
    /// The tables behind the runtime's `ctx.storage.sql`.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(sql: JsValue) -> Self {
        Self { sql: Sql::new(sql), allowance: RefCell::default(), written_ms: Cell::new(0) }
    }

    /// Answers a question of the worker's.
    ///
    /// # Errors
    ///
    /// What the tables complain about.
    pub fn call(&self, question: &[u8]) -> Result<Vec<u8>, JsValue> {
        serve(question, |call| self.answer(call))
    }

    fn answer(&self, call: AccountCall) -> sql::Result<Vec<u8>> {
        let is_made = !self.sql.is_empty()?;
        if is_made || matches!(call, AccountCall::Create(_) | AccountCall::Seed { .. }) {
            self.sql.migrate(SCHEMA)?;
        }
        let user = if is_made { self.user()? } else { None };
        let Some(user) = user else { return self.answer_for_nobody(call) };
        Ok(match call {
            AccountCall::Create(_) | AccountCall::Pretend { .. } => reply::<()>(&Err(Refusal::new(Code::Duplicate))),
            AccountCall::Seed { email, password, organization, .. } => {
                reply(&self.seed(user, &email, &password.into(), &organization)?)
            }
            AccountCall::SignIn { password } => reply(&self.sign_in(user, &password.into())?),
            AccountCall::OpenSession => reply(&self.open_session(user)?),
            AccountCall::Refresh { session_id, generation } => reply(&self.refresh(user, &session_id, generation)?),
            AccountCall::EndSession { session_id } => reply(&Ok(self.end_session(&session_id)?)),
            AccountCall::ChangePassword { session_id, current, new } => {
                reply(&self.change_password(&user, &session_id, &current.into(), &new.into())?)
            }
            AccountCall::SetPassword { new } => reply(&self.set_password(&new.into())?),
            AccountCall::Admit { shown, ask } => reply(&self.admit(user, &shown, ask)?),
            AccountCall::PutBack { share } => reply(&Ok(self.put_back(share)?)),
            AccountCall::CreateApiToken(token) => reply(&self.create_api_token(&token)?),
            AccountCall::ApiTokens => reply(&Ok(self.api_tokens()?)),
            AccountCall::RevokeApiToken { id } => reply(&self.revoke_api_token(&id)?),
            AccountCall::RotateApiToken { old_id, id, hash } => reply(&self.rotate_api_token(&old_id, id, hash)?),
            AccountCall::Describe => reply(&Ok(user.into_description())),
            AccountCall::Update(changes) => reply(&Ok(self.update(user, changes)?)),
            AccountCall::BeginDeletion => {
                self.end_everything()?;
                reply(&Ok(user.into_description()))
            }
        })
    }

    /// A token or a session may name an account that does not exist, or no longer.
    fn answer_for_nobody(&self, call: AccountCall) -> sql::Result<Vec<u8>> {
        Ok(match call {
            AccountCall::Create(new) => reply(&Ok(self.insert(&new, None)?)),
            AccountCall::Seed { user_id, email, password, organization } => {
                reply(&self.seed_first(user_id, email, &password.into(), organization)?)
            }
            AccountCall::SignIn { password } => reply::<()>(&Err(pretend(&password.into(), None))),
            AccountCall::Pretend { password, hash } => reply::<()>(&Err(pretend(&password.into(), hash.as_deref()))),
            _ => reply::<()>(&Err(Refusal::new(Code::Unauthorized))),
        })
    }
}

/// The work of a sign-in without an account, and its answer.
fn pretend(given: &comind::secret::Secret, hash: Option<&str>) -> Refusal {
    let Some(hash) = hash else {
        password::pretend(given);
        return Refusal::new(Code::InvalidCredentials);
    };
    let code = if password::is_right(given, hash) { Code::EmailNotConfirmed } else { Code::InvalidCredentials };
    Refusal::new(code)
}

/// The user's row.
struct User {
    profile: Profile,
    password_hash: String,
    seed_hash: Option<String>,
    identity: Option<String>,
}

impl User {
    fn into_description(self) -> Description {
        Description { profile: self.profile, identity: self.identity }
    }
}

impl AccountTables {
    fn user(&self) -> sql::Result<Option<User>> {
        let query = "SELECT id, email, username, is_confirmed, is_suspended, created_at, privileges, groups, version, \
                     password_hash, seed_hash, identity FROM user";
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Ok(self.sql.row(query, &[])?.map(|mut row| User {
            profile: Profile {
                id: row.text(),
                email: row.text(),
                username: row.text(),
                is_confirmed: row.flag(),
                is_suspended: row.flag(),
                created_at: row.number(),
                privileges: words(&row.text()),
                groups: words(&row.text()),
                version: row.count(),
            },
            password_hash: row.text(),
            seed_hash: row.optional_text(),
            identity: row.optional_text(),
        }))
    }

    fn insert(&self, new: &NewUser, seed_hash: Option<&str>) -> sql::Result<()> {
        let profile = &new.profile;
        let insert = "INSERT INTO user (id, email, username, is_confirmed, is_suspended, created_at, privileges, groups, \
                      version, password_hash, seed_hash, identity) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.sql.run(
            insert,
            &[
                profile.id.as_str().into(),
                profile.email.as_str().into(),
                profile.username.as_str().into(),
                number(profile.is_confirmed.into()),
                number(profile.is_suspended.into()),
                number(profile.created_at),
                profile.privileges.join(" ").into(),
                profile.groups.join(" ").into(),
                number(profile.version.into()),
                new.password_hash.as_deref().unwrap_or_default().into(),
                optional_text(seed_hash),
                optional_text(new.identity.as_deref()),
            ],
        )
    }

    fn seed_first(
        &self,
        user_id: String,
        email: String,
        given: &comind::secret::Secret,
        organization: String,
    ) -> sql::Result<Outcome<Option<String>>> {
        let Some(hash) = password::hash(given, &runtime::random()) else {
            return Ok(Err(Refusal::new(Code::InternalError)));
        };
        let username = email.split('@').next().unwrap_or_default().to_owned();
        let profile = Profile {
            id: user_id,
            email,
            username,
            is_confirmed: true,
            is_suspended: false,
            created_at: runtime::now_secs(),
            privileges: vec!["admin".to_owned()],
            groups: vec![organization],
            version: 1,
        };
        self.insert(&NewUser { profile, password_hash: Some(hash.clone()), identity: None }, Some(&hash))?;
        Ok(Ok(None))
    }

    /// Takes over address and password when the operator has changed them. Answers the address before,
    /// if it was another.
    ///
    /// `seed_hash` remembers which `ADMIN_PASSWORD` the account was made from, so that a password
    /// the user chose since is only replaced when the operator sets another one.
    fn seed(
        &self,
        user: User,
        email: &str,
        given: &comind::secret::Secret,
        organization: &str,
    ) -> sql::Result<Outcome<Option<String>>> {
        if !user.profile.groups.iter().any(|group| group == organization) {
            let groups = [user.profile.groups.as_slice(), &[organization.to_owned()]].concat().join(" ");
            self.sql.run("UPDATE user SET groups = ?", &[groups.into()])?;
        }
        let is_seed = |seeded: &str| password::is_right(given, seeded);
        if user.profile.email == email && user.seed_hash.as_deref().is_some_and(is_seed) {
            return Ok(Ok(None));
        }
        let Some(hash) = password::hash(given, &runtime::random()) else {
            return Ok(Err(Refusal::new(Code::InternalError)));
        };
        let change =
            "UPDATE user SET email = ?, password_hash = ?, seed_hash = ?, version = version + 1, is_suspended = 0";
        self.sql.run(change, &[email.into(), hash.as_str().into(), hash.as_str().into()])?;
        self.end_sessions(None)?;
        Ok(Ok(Some(user.profile.email).filter(|before| before != email)))
    }

    fn update(&self, user: User, changes: Changes) -> sql::Result<Profile> {
        let Profile { is_suspended, username, privileges, groups, .. } = user.profile.clone();
        let profile = Profile {
            is_suspended: changes.is_suspended.unwrap_or(is_suspended),
            username: changes.username.unwrap_or(username),
            privileges: changes.privileges.unwrap_or(privileges),
            groups: changes.groups.unwrap_or(groups),
            ..user.profile
        };
        self.sql.run(
            "UPDATE user SET is_suspended = ?, username = ?, privileges = ?, groups = ?",
            &[
                number(profile.is_suspended.into()),
                profile.username.as_str().into(),
                profile.privileges.join(" ").into(),
                profile.groups.join(" ").into(),
            ],
        )?;
        Ok(profile)
    }

    fn end_everything(&self) -> sql::Result<()> {
        self.end_sessions(None)?;
        self.sql.run("DELETE FROM api_token", &[])?;
        self.sql.run("UPDATE user SET password_hash = '', seed_hash = NULL, is_suspended = 1", &[])
    }
}
