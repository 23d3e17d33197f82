//! `POST /v1/auth/sso`: signing in with what a tenant says of somebody.

use comind::error::{Code, Error};
use comind::request::account::SsoRequest;
use comind::route::NoMatch;
use comind::token::id_token::Identity;
use worker::Env;

use super::session;
use crate::context::RequestContext;
use crate::http::{Answer, read_json_body};
use crate::storage::key;
use crate::storage::users::{self, Start};
use crate::{seed, sso};

/// Enough for the longest token and what stands beside it.
const BODY_LIMIT_BYTES: u32 = 32 * 1024;

/// Signs in with an ID token. Who comes for the first time gets an account.
///
/// # Errors
///
/// `not_found` where nobody but us signs users in; what [`sso::verify`] finds; `duplicate` when the
/// address has an account that this user did not come in with; `account_suspended`.
pub(crate) async fn sign_in(context: &RequestContext) -> Result<Answer, Error> {
    let Some(sso) = &context.config.sso else { return Err(NoMatch::NotFound.into()) };
    let limit_bytes = BODY_LIMIT_BYTES.min(context.config.body_limit_bytes);
    let (_, body) = read_json_body(&context.request, &context.head, limit_bytes).await?;
    let identity = sso::verify(sso, &SsoRequest::parse(&body)?).await?;
    // The first admin's address is somebody's from the first request on.
    seed::ensure(context).await?;
    let user_id = find_or_make(&context.env, identity).await?;
    session::open(context, &user_id).await
}

/// The user that an identity is. An address alone makes nobody the owner of an account: tenants give
/// addresses out as they please, and pass them on.
///
/// The account is made first and found by its identity last, so that what broke off in between, or was
/// begun by two requests at once, is found by its address and gone on with.
async fn find_or_make(env: &Env, identity: Identity) -> Result<String, Error> {
    // No tenant's id has a zero byte in it.
    let identity_key = key("identity", &format!("{}\0{}", identity.tid, identity.oid));
    if let Some(user_id) = users::find(env, &identity_key).await?.user_id {
        return Ok(user_id);
    }
    let address = users::address_key(&identity.upn);
    let user_id = loop {
        if let Some(owner) = users::find(env, &address).await?.user_id {
            break owner;
        }
        let start = Start {
            email: identity.upn.clone(),
            username: None,
            password_hash: None,
            identity: Some(identity_key.clone()),
            privileges: Vec::new(),
            groups: None,
        };
        match users::create(env, start).await {
            Ok(profile) => break profile.id,
            // Somebody was faster: look again.
            Err(error) if error.code == Code::Duplicate => {}
            Err(error) => return Err(error),
        }
    };
    let is_theirs = users::describe(env, &user_id)
        .await?
        .is_some_and(|description| description.identity.as_ref() == Some(&identity_key));
    if !is_theirs {
        let message = "The address has an account already, which this user of the tenant did not come in with.";
        return Err(Error { param: Some("upn".into()), ..Error::new(Code::Duplicate, message) });
    }
    let winner = users::claim(env, "identity", &identity_key, &user_id).await?;
    if winner != user_id {
        // Two first sign-ins at once, with two addresses.
        users::delete(env, &user_id).await?;
    }
    Ok(winner)
}
