//! The first admin, from `ADMIN_EMAIL` and `ADMIN_PASSWORD`.

use std::cell::Cell;

use comind::error::{Code, Error};
use comind::token::pat::make_user_id;

use crate::context::RequestContext;
use crate::runtime;
use crate::storage::account::AccountCall;
use crate::storage::directory::DirectoryCall;
use crate::storage::{ACCOUNTS, DIRECTORIES, Reply, ask, key, shard};

thread_local! {
    static IS_DONE: Cell<bool> = const { Cell::new(false) };
}

/// Makes the admin, or takes over a password that the operator has changed since the last start.
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
    let address = key("address", &admin.email);
    let claim = DirectoryCall::Claim { key: address.clone(), user_id: make_user_id(&runtime::random()) };
    let Reply::Done(user_id) = ask::<_, String>(env, DIRECTORIES, shard(&address), &claim).await? else {
        return Err(failed());
    };
    let user = key("user", &user_id);
    let add = DirectoryCall::AddUser { key: user.clone() };
    let Reply::Done(()) = ask(env, DIRECTORIES, shard(&user), &add).await? else { return Err(failed()) };
    let password = admin.password.expose().to_owned();
    let make = AccountCall::Seed { user_id: user_id.clone(), email: admin.email.clone(), password };
    let Reply::Done(()) = ask(env, ACCOUNTS, &user_id, &make).await? else { return Err(failed()) };
    IS_DONE.set(true);
    Ok(())
}

fn failed() -> Error {
    Error::new(Code::InternalError, "The edge could not reach its own storage.").retry_after_ms(1000)
}
