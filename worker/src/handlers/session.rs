//! `/v1/auth/{login,refresh,logout,me}`: sessions.

use comind::account::Profile;
use comind::error::{Code, Error};
use comind::request::account::{LoginRequest, LogoutRequest, RefreshRequest};
use comind::token::jwt::Use;
use comind::token::session::PairOf;

use super::read_account_body;
use crate::context::RequestContext;
use crate::guard::Guess;
use crate::http::Answer;
use crate::storage::account::{AccountCall, Opened};
use crate::storage::{ACCOUNTS, ask, know, shard, users};
use crate::{admission, runtime, seed};

/// Signs in: the right password opens a session and gives its first pair of tokens.
///
/// An address that nobody has takes the same way as one with a wrong password: the same objects are
/// asked, the same hash is computed, the same answer is given.
///
/// # Errors
///
/// `invalid_credentials`; `rate_limited` after too many failures for the address or from the client;
/// `account_suspended` and `email_not_confirmed`, both only after the right password.
pub(crate) async fn sign_in(context: &RequestContext) -> Result<Answer, Error> {
    let LoginRequest { email, password } = LoginRequest::parse(&read_account_body(context).await?)?;
    seed::ensure(context).await?;
    let address = users::address_key(&email);
    let guess = Guess::count(context, &address).await?;
    let owner = users::find(&context.env, &address).await?;
    let password = password.expose().to_owned();
    let (account, call) = match owner.user_id {
        Some(user_id) => {
            context.journal.note_user(&user_id);
            (user_id, AccountCall::SignIn { password })
        }
        // The digest spreads them over several objects, so that they do not wait for each other.
        None => {
            let hash = owner.pending_hash;
            (format!("nobody-{}", shard(&address)), AccountCall::Pretend { password, hash })
        }
    };
    let opened: Opened =
        ask(&context.env, ACCOUNTS, &account, &call).await?.map_err(|refusal| refused(refusal.code()))?;
    guess.was_right(context).await?;
    Ok(first_pair(context, &opened))
}

/// The answer of every route that opens a session.
pub(crate) fn first_pair(context: &RequestContext, opened: &Opened) -> Answer {
    Answer::json_text(200, pair(context, opened, &opened.profile.to_sign_in_json()))
}

fn pair(context: &RequestContext, opened: &Opened, user_json: &str) -> String {
    context.journal.note_resource(&opened.session_id);
    let lives = context.config.lives;
    let pair = PairOf {
        user_id: &opened.profile.id,
        session_id: &opened.session_id,
        generation: opened.generation,
        version: opened.profile.version,
        issued_at: opened.issued_at,
        access_secs: lives.access_token_secs,
        refresh_secs: lives.refresh_token_secs,
    };
    pair.sign(&context.config.jwt_keys, user_json)
}

/// Why an account opens no session.
pub(crate) fn refused(code: Code) -> Error {
    let message = match code {
        Code::InvalidCredentials => "The e-mail address and the password do not go together.",
        Code::AccountSuspended => "The account is suspended. Ask your administrator.",
        Code::EmailNotConfirmed => "The e-mail address is not confirmed yet: use the code that was mailed.",
        _ => "The edge could not check the password.",
    };
    Error::new(code, message)
}

/// Gives the next pair for a refresh token, which dies with that.
///
/// # Errors
///
/// `unauthorized`, `token_expired`; `token_revoked` for a token that was used already, which ends the
/// session; `account_suspended`.
pub(crate) async fn refresh(context: &RequestContext) -> Result<Answer, Error> {
    let RefreshRequest { refresh_token } = RefreshRequest::parse(&read_account_body(context).await?)?;
    let claims = context.config.jwt_keys.verify(refresh_token.expose(), Use::Refresh, runtime::now_secs())?;
    context.journal.note_user(&claims.sub);
    context.journal.note_resource(&claims.sid);
    seed::ensure(context).await?;
    if !users::exists(&context.env, &claims.sub).await? {
        return Err(admission::to_error(Code::TokenRevoked));
    }
    let call = AccountCall::Refresh { session_id: claims.sid.clone(), generation: claims.generation };
    match ask::<_, Opened>(&context.env, ACCOUNTS, &claims.sub, &call).await? {
        Ok(opened) => Ok(Answer::json_text(200, pair(context, &opened, &opened.profile.to_refresh_json()))),
        Err(refusal) => {
            admission::forget_credential(&claims.sub, &claims.sid);
            let code = refusal.code();
            Err(admission::to_error(if code == Code::Unauthorized { Code::TokenRevoked } else { code }))
        }
    }
}

/// Ends the sessions of the tokens in the body; what is no token of ours, or dead, needs no end.
///
/// # Errors
///
/// `bad_request` for a body that is not of the documented form.
pub(crate) async fn sign_out(context: &RequestContext) -> Result<Answer, Error> {
    let LogoutRequest { tokens } = LogoutRequest::parse(&read_account_body(context).await?)?;
    for token in tokens {
        // One that has expired still says which session its owner wants to end.
        let Ok(claims) = context.config.jwt_keys.read(token.expose()) else { continue };
        if !users::exists(&context.env, &claims.sub).await? {
            continue;
        }
        context.journal.note_user(&claims.sub);
        context.journal.note_resource(&claims.sid);
        let call = AccountCall::EndSession { session_id: claims.sid.clone() };
        let _gone_already = ask::<_, ()>(&context.env, ACCOUNTS, &claims.sub, &call).await?;
        admission::forget_credential(&claims.sub, &claims.sid);
    }
    Ok(Answer::empty(204))
}

/// Who the caller is.
pub(crate) fn me(profile: &Profile) -> Answer {
    Answer::json_text(200, profile.to_own_json())
}

/// Opens a session for a user whom something other than a password vouches for.
///
/// # Errors
///
/// `account_suspended`.
pub(crate) async fn open(context: &RequestContext, user_id: &str) -> Result<Answer, Error> {
    context.journal.note_user(user_id);
    let outcome = ask(&context.env, ACCOUNTS, user_id, &AccountCall::OpenSession).await?;
    Ok(first_pair(context, &outcome.map_err(|refusal| refused(refusal.code()))?))
}

/// Ends what a change of password ends: all sessions of a user, but perhaps one.
pub(crate) async fn set_password(context: &RequestContext, user_id: &str, new: &str) -> Result<(), Error> {
    context.journal.note_user(user_id);
    know::<_, ()>(&context.env, ACCOUNTS, user_id, &AccountCall::SetPassword { new: new.to_owned() }).await?;
    admission::forget_user(user_id);
    Ok(())
}
