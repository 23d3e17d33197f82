//! `/v1/auth/{change-password,password-reset-request,password-reset}` and the operator's `set-password`.

use comind::account::OneTimeCode;
use comind::error::{Code, Error};
use comind::mail::Notice;
use comind::request::account::{
    ChangePasswordRequest, ResetPasswordRequest, SetPasswordRequest, UserName, invalid_code, parse_reset_request,
};

use super::registration::{put_code, take_code};
use super::{message, read_account_body, session};
use crate::admission::{self, Admission};
use crate::context::RequestContext;
use crate::guard::{self, Guess};
use crate::http::Answer;
use crate::storage::account::AccountCall;
use crate::storage::directory::{Pending, Purpose};
use crate::storage::{ACCOUNTS, ask, key, users};
use crate::{mail, runtime, seed};

/// Changes the caller's own password; every other session of the caller ends.
///
/// # Errors
///
/// `bad_request` for a new password that will not do; `invalid_credentials` for a wrong current one;
/// `rate_limited` after too many of those.
pub(crate) async fn change(context: &RequestContext, caller: Admission) -> Result<Answer, Error> {
    let request = ChangePasswordRequest::parse(&read_account_body(context).await?)?;
    let profile = caller.profile;
    let guess = Guess::count(context, &key("address", &profile.email)).await?;
    let call = AccountCall::ChangePassword {
        session_id: caller.session_id.unwrap_or_default(),
        current: request.current.expose().to_owned(),
        new: request.new.expose().to_owned(),
    };
    let outcome = ask::<_, ()>(&context.env, ACCOUNTS, &profile.id, &call).await?;
    outcome.map_err(|refusal| Error {
        param: Some("currentPassword".into()),
        ..Error::new(refusal.code(), "The current password is not right.")
    })?;
    admission::forget_user(&profile.id);
    guess.was_right(context).await?;
    Ok(message(200, "The password is changed. Your other sessions have ended."))
}

/// Mails a code with which a new password can be set, if the address has an account with a password.
/// Whether it has makes no difference but to the mail.
///
/// # Errors
///
/// `not_found` where no mail can be sent; `bad_request`; `rate_limited`.
pub(crate) async fn request_reset(context: &RequestContext) -> Result<Answer, Error> {
    if context.config.mailer.is_none() {
        return Err(Error::new(Code::NotFound, "No mail can be sent from here. Ask your administrator."));
    }
    let email = parse_reset_request(&read_account_body(context).await?)?;
    seed::ensure(context).await?;
    let address = users::address_key(&email);
    guard::count_mail(context, &address).await?;
    let code = OneTimeCode::make(runtime::random());
    let owner = put_code(context, Purpose::Reset, &address, &code, Pending::default()).await?;
    if let Some(user_id) = owner {
        context.journal.note_user(&user_id);
        let env = context.env.clone();
        let posting = mail::Posting::new(context);
        context.ctx.wait_until(async move {
            // Who signs in elsewhere has no password here to set.
            let described = users::describe(&env, &user_id).await;
            if described.is_ok_and(|account| account.is_some_and(|account| account.identity.is_none())) {
                posting.send(email, Notice::PasswordReset(code)).await;
            }
        });
    }
    Ok(message(200, "If the address has an account, a mail with a code is on its way."))
}

/// Sets a new password with a code; all sessions end.
///
/// # Errors
///
/// `invalid_code`; `bad_request` for a password that will not do.
pub(crate) async fn reset(context: &RequestContext) -> Result<Answer, Error> {
    let request = ResetPasswordRequest::parse(&read_account_body(context).await?)?;
    guard::count_password(context)?;
    let address = users::address_key(&request.email);
    let taken = take_code(context, Purpose::Reset, &address, &request.code).await?;
    let user_id = taken.owner.ok_or_else(invalid_code)?;
    session::set_password(context, &user_id, request.new.expose()).await?;
    guard::forgive(context, &address).await?;
    Ok(message(200, "The password is set. All sessions have ended: sign in again."))
}

/// Sets a user's password, as the operator; all sessions end.
///
/// # Errors
///
/// `not_found`; `bad_request` for a password that will not do.
pub(crate) async fn set(context: &RequestContext) -> Result<Answer, Error> {
    let SetPasswordRequest { user, new } = SetPasswordRequest::parse(&read_account_body(context).await?)?;
    let env = &context.env;
    let user_id = match user {
        UserName::Id(id) => Some(id),
        UserName::Email(email) => users::find(env, &users::address_key(&email)).await?.user_id,
    };
    let account = match &user_id {
        Some(user_id) => users::describe(env, user_id).await?,
        None => None,
    };
    let account = account.ok_or_else(|| Error::new(Code::NotFound, "There is no such user."))?;
    session::set_password(context, &account.profile.id, new.expose()).await?;
    guard::forgive(context, &key("address", &account.profile.email)).await?;
    Ok(Answer::empty(204))
}
