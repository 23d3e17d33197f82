//! `/v1/auth/admin/users`: users, for the operator.

use comind::account::{Email, Profile};
use comind::error::{Code, Error};
use comind::request::account::{CreateUserRequest, UpdateUserRequest};
use worker::Env;

use super::read_account_body;
use crate::context::RequestContext;
use crate::http::{Answer, query_value};
use crate::storage::account::{AccountCall, Changes};
use crate::storage::users::{self, Start};
use crate::storage::{ACCOUNTS, ask, key, password};
use crate::{admission, runtime, seed};

const DEFAULT_PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;

fn no_such_user() -> Error {
    Error::new(Code::NotFound, "There is no such user.")
}

/// Makes a user.
///
/// # Errors
///
/// `bad_request`, `duplicate`.
pub(crate) async fn create(context: &RequestContext) -> Result<Answer, Error> {
    let request = CreateUserRequest::parse(&read_account_body(context).await?)?;
    seed::ensure(context).await?;
    let hash = |password| {
        let failed = || Error::new(Code::InternalError, "The edge could not keep the password.");
        password::hash(&password, &runtime::random()).ok_or_else(failed)
    };
    let start = Start {
        email: request.email,
        username: request.username,
        password_hash: request.password.map(hash).transpose()?,
        identity: None,
        privileges: request.privileges,
        groups: request.groups,
    };
    let profile = users::create(&context.env, start).await?;
    context.journal.note_user(&profile.id);
    Ok(Answer::json_text(201, profile.to_operator_json()))
}

/// A page of all users: `?limit=20&after=<id>`; or the one of an address: `?email=`.
///
/// # Errors
///
/// `bad_request` for a `limit` out of range, an `after` that is nobody or an `email` that is no address.
pub(crate) async fn list(context: &RequestContext) -> Result<Answer, Error> {
    let (env, url) = (&context.env, context.head.url());
    seed::ensure(context).await?;
    let limit = match query_value(url, "limit") {
        None => DEFAULT_PAGE,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| Error::bad_param("limit", "`limit` must be a whole number between 1 and 100."))?,
    };
    if let Some(email) = query_value(url, "email") {
        let email =
            Email::parse(&email).ok_or_else(|| Error::bad_param("email", "`email` must be an e-mail address."))?;
        let found = users::find(env, &users::address_key(&email)).await?.user_id;
        return page(env, found.into_iter().collect(), false).await;
    }
    let after = match query_value(url, "after") {
        None => String::new(),
        Some(id) => {
            let nobody = || Error::bad_param("after", "`after` must be the id of a user.");
            key("address", &users::describe(env, &id).await?.ok_or_else(nobody)?.profile.email)
        }
    };
    let mut found: Vec<String> = users::list(env, &after, limit + 1).await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    page(env, found, has_more).await
}

async fn page(env: &Env, user_ids: Vec<String>, has_more: bool) -> Result<Answer, Error> {
    let mut users = Vec::with_capacity(user_ids.len());
    for user_id in &user_ids {
        if let Some(account) = users::describe(env, user_id).await? {
            users.push(account.profile.to_operator_json());
        }
    }
    let text = format!(r#"{{"object":"list","data":[{}],"has_more":{has_more}}}"#, users.join(","));
    Ok(Answer::json_text(200, text))
}

/// One user.
///
/// # Errors
///
/// `not_found`.
pub(crate) async fn one(context: &RequestContext, id: &str) -> Result<Answer, Error> {
    let account = users::describe(&context.env, id).await?.ok_or_else(no_such_user)?;
    Ok(Answer::json_text(200, account.profile.to_operator_json()))
}

/// Suspends a user, or changes name, privileges and groups.
///
/// # Errors
///
/// `bad_request`, `not_found`.
pub(crate) async fn update(context: &RequestContext, id: &str) -> Result<Answer, Error> {
    let request = UpdateUserRequest::parse(&read_account_body(context).await?)?;
    if !users::exists(&context.env, id).await? {
        return Err(no_such_user());
    }
    context.journal.note_user(id);
    let changes = Changes {
        is_suspended: request.is_suspended,
        username: request.username,
        privileges: request.privileges,
        groups: request.groups,
    };
    let outcome = ask(&context.env, ACCOUNTS, id, &AccountCall::Update(changes)).await?;
    let profile: Profile = outcome.map_err(|_| no_such_user())?;
    admission::forget_user(id);
    Ok(Answer::json_text(200, profile.to_operator_json()))
}

/// Deletes a user with everything of theirs.
///
/// # Errors
///
/// `not_found`.
pub(crate) async fn delete(context: &RequestContext, id: &str) -> Result<Answer, Error> {
    let was_there = users::delete(&context.env, id).await?;
    if was_there {
        context.journal.note_user(id);
    }
    admission::forget_user(id);
    if was_there { Ok(Answer::empty(204)) } else { Err(no_such_user()) }
}
