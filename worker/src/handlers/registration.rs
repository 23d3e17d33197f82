//! `/v1/auth/{check-registration,register,confirm}`: accounts that people make themselves.

use comind::account::Email;
use comind::account::OneTimeCode;
use comind::error::{Code, Error};
use comind::mail::Notice;
use comind::request::account::{ConfirmRequest, RegisterRequest, invalid_code};

use super::{message, read_account_body, session};
use crate::context::RequestContext;
use crate::guard;
use crate::http::{Answer, query_value};
use crate::mail;
use crate::runtime;
use crate::seed;
use crate::storage::directory::{DirectoryCall, Pending, Purpose, Taken};
use crate::storage::users::Start;
use crate::storage::{DIRECTORIES, ask, know, password, shard, users};

fn only_when_open(context: &RequestContext) -> Result<(), Error> {
    if context.config.is_registration_open {
        return Ok(());
    }
    Err(Error::new(Code::NotFound, "Accounts are made by the administrator here."))
}

/// Whether an address has an account.
///
/// # Errors
///
/// `not_found` unless registration is open; `bad_request` without an address.
pub(crate) async fn check(context: &RequestContext) -> Result<Answer, Error> {
    only_when_open(context)?;
    let email = query_value(context.head.url(), "email");
    let email = email
        .and_then(|email| Email::parse(&email))
        .ok_or_else(|| Error::bad_param("email", "`email` must be an e-mail address."))?;
    seed::ensure(context).await?;
    let owner = users::find(&context.env, &users::address_key(&email)).await?;
    Ok(Answer::json_text(200, format!(r#"{{"registered":{}}}"#, owner.user_id.is_some())))
}

/// Mails a code with which the account is made. Whether the address has one already makes no difference
/// but to the mail.
///
/// # Errors
///
/// `not_found` unless registration is open; `bad_request`; `rate_limited`.
pub(crate) async fn register(context: &RequestContext) -> Result<Answer, Error> {
    only_when_open(context)?;
    let RegisterRequest { email, password, username } = RegisterRequest::parse(&read_account_body(context).await?)?;
    seed::ensure(context).await?;
    let address = users::address_key(&email);
    guard::count_mail(context, &address).await?;
    guard::count_password(context)?;
    let password_hash = password::hash(&password, &runtime::random())
        .ok_or_else(|| Error::new(Code::InternalError, "The edge could not keep the password."))?;
    let code = OneTimeCode::make(runtime::random());
    let pending = Pending { password_hash: Some(password_hash), username };
    let owner = put_code(context, Purpose::Confirm, &address, &code, pending).await?;
    let notice = if owner.is_some() { Notice::AlreadyRegistered } else { Notice::Registration(code) };
    mail::post(context, email, notice);
    Ok(message(201, "If the address can have an account here, a mail with the next step is on its way."))
}

/// Keeps a code for an address; gives whose the address is.
pub(super) async fn put_code(
    context: &RequestContext,
    purpose: Purpose,
    address: &str,
    code: &OneTimeCode,
    pending: Pending,
) -> Result<Option<String>, Error> {
    let digest = context.config.jwt_keys.seal(purpose.as_str(), address, code.expose());
    let call = DirectoryCall::PutCode { purpose, key: address.to_owned(), digest, pending };
    know(&context.env, DIRECTORIES, shard(address), &call).await
}

/// Takes a code back.
///
/// # Errors
///
/// `invalid_code`, whatever is wrong with it.
pub(super) async fn take_code(
    context: &RequestContext,
    purpose: Purpose,
    address: &str,
    code: &OneTimeCode,
) -> Result<Taken, Error> {
    let digest = context.config.jwt_keys.seal(purpose.as_str(), address, code.expose());
    let call = DirectoryCall::TakeCode { purpose, key: address.to_owned(), digest };
    ask(&context.env, DIRECTORIES, shard(address), &call).await?.map_err(|_| invalid_code())
}

/// Makes the account that was asked for and signs its owner in.
///
/// # Errors
///
/// `invalid_code`.
pub(crate) async fn confirm(context: &RequestContext) -> Result<Answer, Error> {
    let ConfirmRequest { email, code } = ConfirmRequest::parse(&read_account_body(context).await?)?;
    let Taken { pending, owner } = take_code(context, Purpose::Confirm, &users::address_key(&email), &code).await?;
    // Two codes, both used: the account has the password that came with the first.
    if owner.is_some() {
        return Err(invalid_code());
    }
    let start = Start {
        email,
        username: pending.username,
        password_hash: pending.password_hash,
        identity: None,
        privileges: Vec::new(),
        groups: None,
    };
    let profile = users::create(&context.env, start).await.map_err(|error| match error.code {
        Code::Duplicate => invalid_code(),
        _ => error,
    })?;
    session::open(context, &profile.id).await
}
