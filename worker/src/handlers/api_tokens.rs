//! `/v1/api-tokens`: personal access tokens, for their owner.

use comind::account::Profile;
use comind::auth::Scopes;
use comind::error::{Code, Error};
use comind::request::account::CreateApiTokenRequest;
use comind::token::pat::{Pat, user_of};
use comind::types::{ApiToken, ScopeList, to_json};
use serde::Serialize;

use super::read_account_body;
use crate::context::RequestContext;
use crate::http::Answer;
use crate::storage::account::{AccountCall, NewApiToken};
use crate::storage::{ACCOUNTS, ask};
use crate::{admission, runtime};

const SECS_PER_DAY: u64 = 86_400;

/// The scopes that the user may give to a token.
pub(crate) fn scopes(user: &Profile) -> Answer {
    let is_admin = user.is_admin();
    Answer::json(&ScopeList { scopes: Scopes::available_to(is_admin).spellings(), is_admin })
}

/// Whether a plan that the user has includes tokens.
fn check_plan(context: &RequestContext, user: &Profile) -> Result<(), Error> {
    match &context.config.api_token_organizations {
        Some(organizations) if !user.is_member_of_any(organizations) => {
            let message = "None of your organizations has a plan with personal access tokens. Ask your administrator.";
            Err(Error::new(Code::PlanRequired, message))
        }
        _ => Ok(()),
    }
}

/// Makes a token and shows it, this once.
///
/// # Errors
///
/// `bad_request` naming the field, `plan_required`, `admin_scopes_required`, `duplicate`, `token_limit_reached`.
pub(crate) async fn create(context: &RequestContext, user: &Profile) -> Result<Answer, Error> {
    let wanted = CreateApiTokenRequest::parse(&read_account_body(context).await?)?;
    check_plan(context, user)?;
    let scopes = Scopes::parse_requested(&wanted.scopes, user.is_admin())?;
    let pat = Pat::make(&user.id, &runtime::random(), &runtime::random())?;
    context.journal.note_resource(pat.id());
    let call = AccountCall::CreateApiToken(NewApiToken {
        id: pat.id().to_owned(),
        hash: pat.hash(),
        name: wanted.name,
        scopes: scopes.to_stored(),
        life_secs: u64::from(wanted.expires_in_days) * SECS_PER_DAY,
    });
    Ok(show(201, pat, &of_account(context, user, &call).await?))
}

/// Puts a new token in the place of one: same name, scopes and length of life. The old one is dead with
/// the answer.
///
/// # Errors
///
/// `not_found` for one that is not the user's own, or dead; `plan_required`; `admin_scopes_required` when
/// it has scopes that the user may no longer give.
pub(crate) async fn rotate(context: &RequestContext, user: &Profile, id: &str) -> Result<Answer, Error> {
    check_owner(user, id)?;
    check_plan(context, user)?;
    let tokens: Vec<ApiToken> = of_account(context, user, &AccountCall::ApiTokens).await?;
    let old = tokens.into_iter().find(|token| token.id == id).ok_or_else(|| to_error(Code::NotFound))?;
    Scopes::parse_requested(&old.scopes, user.is_admin())?;
    let pat = Pat::make(&user.id, &runtime::random(), &runtime::random())?;
    let call = AccountCall::RotateApiToken { old_id: id.to_owned(), id: pat.id().to_owned(), hash: pat.hash() };
    let stored = of_account(context, user, &call).await?;
    admission::forget_credential(&user.id, id);
    Ok(show(200, pat, &stored))
}

/// The user's tokens, the newest first, without their secrets.
///
/// # Errors
///
/// `internal_error` when the account cannot be reached.
pub(crate) async fn list(context: &RequestContext, user: &Profile) -> Result<Answer, Error> {
    let tokens: Vec<ApiToken> = of_account(context, user, &AccountCall::ApiTokens).await?;
    Ok(Answer::json(&tokens))
}

/// Revokes a token, at once.
///
/// # Errors
///
/// `not_found` for one that is not the user's own.
pub(crate) async fn revoke(context: &RequestContext, user: &Profile, id: &str) -> Result<Answer, Error> {
    check_owner(user, id)?;
    of_account::<()>(context, user, &AccountCall::RevokeApiToken { id: id.to_owned() }).await?;
    admission::forget_credential(&user.id, id);
    Ok(Answer::empty(204))
}

/// The one answer in which a token leaves: it is shown to its owner, this once.
fn show(status: u16, pat: Pat, stored: &ApiToken) -> Answer {
    #[derive(Serialize)]
    struct Created<'a> {
        token: &'a str,
        id: &'a str,
        name: &'a str,
        scopes: &'a [String],
        created_at: &'a str,
        expires_at: &'a str,
    }
    let secret = pat.into_secret();
    let created = Created {
        token: secret.expose(),
        id: &stored.id,
        name: &stored.name,
        scopes: &stored.scopes,
        created_at: &stored.created_at,
        expires_at: &stored.expires_at,
    };
    Answer::json_text(status, to_json(&created))
}

fn check_owner(user: &Profile, id: &str) -> Result<(), Error> {
    if user_of(id).as_deref() == Some(user.id.as_str()) { Ok(()) } else { Err(to_error(Code::NotFound)) }
}

async fn of_account<T: serde::de::DeserializeOwned>(
    context: &RequestContext,
    user: &Profile,
    call: &AccountCall,
) -> Result<T, Error> {
    ask(&context.env, ACCOUNTS, &user.id, call).await?.map_err(|refusal| to_error(refusal.code()))
}

fn to_error(code: Code) -> Error {
    match code {
        Code::Duplicate => Error {
            param: Some("name".into()),
            ..Error::new(Code::Duplicate, "You have an active token of this name.")
        },
        Code::TokenLimitReached => {
            Error::new(Code::TokenLimitReached, "You have as many active tokens as anyone may have. Revoke one first.")
        }
        Code::NotFound => Error::new(Code::NotFound, "You have no such token."),
        code => Error::new(code, "The account could not do this."),
    }
}
