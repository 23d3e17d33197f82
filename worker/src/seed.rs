//! The first admin, from `ADMIN_EMAIL` and `ADMIN_PASSWORD`.

use std::cell::Cell;

use comind::error::Error;
use comind::token::pat::make_user_id;

use crate::context::RequestContext;
use crate::storage::account::AccountCall;
use crate::storage::{ACCOUNTS, key, know, users};
use crate::{log, runtime};

thread_local! {
    static IS_DONE: Cell<bool> = const { Cell::new(false) };
}

/// Makes the admin, or takes over an address or password that the operator has changed since the last
/// start. It is one account for ever: the old address then belongs to nobody.
///
/// Done once for each isolate, before it first looks at anybody's credentials, whoever that is: so a
/// changed password ends sessions at the start, and time does not tell the admin's address. Every step
/// may be repeated and every one may be the last: the next start goes on from there.
///
/// # Errors
///
/// `internal_error` when storage cannot be reached.
pub(crate) async fn ensure(context: &RequestContext) -> Result<(), Error> {
    let Some(admin) = context.config.admin.as_ref().filter(|_| !IS_DONE.get()) else { return Ok(()) };
    let env = &context.env;
    let user_id = users::claim(env, "first", &key("first", "admin"), &make_user_id(&runtime::random())).await?;
    if users::claim(env, "address", &users::address_key(&admin.email), &user_id).await? != user_id {
        // Nobody else is to suffer from it: the admin stays as it was.
        log::internal("seed", "ADMIN_EMAIL is the address of another user; the admin keeps the address it had.");
        IS_DONE.set(true);
        return Ok(());
    }
    users::add(env, &user_id).await?;
    let call = AccountCall::Seed {
        user_id: user_id.clone(),
        email: admin.email.as_str().to_owned(),
        password: admin.password.expose().to_owned(),
        organization: context.config.organization.clone(),
    };
    let before: Option<String> = know(env, ACCOUNTS, &user_id, &call).await?;
    if let Some(email) = before {
        users::release(env, &key("address", &email), &user_id).await?;
    }
    IS_DONE.set(true);
    Ok(())
}
