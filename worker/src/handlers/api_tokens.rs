//! `/v1/api-tokens`: personal access tokens, for their owner.

use comind::auth::Scopes;
use comind::error::{Code, Error};
use comind::token::pat::{Pat, user_of};
use comind::types::{ApiToken, CreateApiTokenRequest, ScopeList, User, to_json};
use serde::Serialize;

use crate::context::RequestContext;
use crate::http::{Answer, read_json_body};
use crate::runtime;
use crate::storage::account::AccountCall;
use crate::storage::{ACCOUNTS, Refusal, Reply, ask};

const BODY_LIMIT_BYTES: u32 = 16 * 1024;
const MAX_NAME_CHARS: usize = 100;
const DEFAULT_LIFE_DAYS: u32 = 90;
const MAX_LIFE_DAYS: u32 = 365;
const SECS_PER_DAY: u64 = 86_400;

/// The scopes that the user may give to a token.
pub(crate) fn scopes(user: &User) -> Answer {
    let is_admin = user.is_admin();
    Answer::json(&ScopeList { scopes: Scopes::available_to(is_admin).spellings(), is_admin })
}

/// Makes a token and shows it, this once.
///
/// # Errors
///
/// `bad_request` naming the field, `admin_scopes_required`, `duplicate`, `token_limit_reached`.
pub(crate) async fn create(context: &RequestContext, user: &User) -> Result<Answer, Error> {
    #[derive(Serialize)]
    struct Created<'a> {
        token: &'a str,
        id: &'a str,
        name: &'a str,
        scopes: &'a [String],
        created_at: &'a str,
        expires_at: &'a str,
    }
    let (_, body) = read_json_body(&context.request, BODY_LIMIT_BYTES.min(context.config.body_limit_bytes)).await?;
    let wanted = CreateApiTokenRequest::parse(&body)?;
    let name = wanted.name.trim();
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(Error::bad_param("name", "`name` must have 1 to 100 characters."));
    }
    let days = wanted.expires_in_days.unwrap_or(DEFAULT_LIFE_DAYS);
    if !(1..=MAX_LIFE_DAYS).contains(&days) {
        return Err(Error::bad_param("expires_in_days", "`expires_in_days` must be between 1 and 365."));
    }
    let scopes = Scopes::parse_requested(&wanted.scopes, user.is_admin())?;
    let pat = Pat::make(&user.id, &runtime::random(), &runtime::random())?;
    let call = AccountCall::CreateApiToken {
        id: pat.id().to_owned(),
        hash: pat.hash(),
        name: name.to_owned(),
        scopes: scopes.to_stored(),
        expires_at: runtime::now_secs() + u64::from(days) * SECS_PER_DAY,
    };
    let stored: ApiToken = unwrap(ask(&context.env, ACCOUNTS, &user.id, &call).await?)?;
    // The token leaves: it is shown to its owner, this once.
    let secret = pat.into_secret();
    let created = Created {
        token: secret.expose(),
        id: &stored.id,
        name: &stored.name,
        scopes: &stored.scopes,
        created_at: &stored.created_at,
        expires_at: &stored.expires_at,
    };
    Ok(Answer::json_text(201, to_json(&created)))
}

/// The user's tokens, the newest first, without their secrets.
///
/// # Errors
///
/// `internal_error` when the account cannot be reached.
pub(crate) async fn list(context: &RequestContext, user: &User) -> Result<Answer, Error> {
    let tokens: Vec<ApiToken> = unwrap(ask(&context.env, ACCOUNTS, &user.id, &AccountCall::ApiTokens).await?)?;
    Ok(Answer::json(&tokens))
}

/// Revokes a token, at once.
///
/// # Errors
///
/// `not_found` for one that is not the user's own.
pub(crate) async fn revoke(context: &RequestContext, user: &User, id: &str) -> Result<Answer, Error> {
    if user_of(id).as_deref() != Some(user.id.as_str()) {
        return Err(to_error(&Refusal::new(Code::NotFound)));
    }
    let call = AccountCall::RevokeApiToken { id: id.to_owned() };
    unwrap::<()>(ask(&context.env, ACCOUNTS, &user.id, &call).await?)?;
    Ok(Answer::empty(204))
}

fn unwrap<T>(reply: Reply<T>) -> Result<T, Error> {
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Refused(refusal) => Err(to_error(&refusal)),
    }
}

fn to_error(refusal: &Refusal) -> Error {
    match refusal.code() {
        Code::Duplicate => Error {
            param: Some("name".into()),
            ..Error::new(Code::Duplicate, "You have an active token of this name.")
        },
        Code::TokenLimitReached => {
            Error::new(Code::TokenLimitReached, "You have 25 active tokens, which is the most. Revoke one first.")
        }
        Code::NotFound => Error::new(Code::NotFound, "You have no such token."),
        code => Error::new(code, "The account could not do this."),
    }
}
