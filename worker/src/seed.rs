//! The first admin, from `ADMIN_EMAIL` and `ADMIN_PASSWORD`.

use std::cell::Cell;

use comind::error::Error;
use comind::token::pat::make_user_id;
use worker::Env;

use crate::context::RequestContext;
use crate::storage::account::AccountCall;
use crate::storage::directory::DirectoryCall;
use crate::storage::{ACCOUNTS, DIRECTORIES, ask, key, shard};
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
    let user_id = claim(env, key("first", "admin"), make_user_id(&runtime::random())).await?;
    let address = key("address", &admin.email);
    if claim(env, address, user_id.clone()).await? != user_id {
        // Nobody else is to suffer from it: the admin stays as it was.
        log::internal("seed", "ADMIN_EMAIL is the address of another user; the admin keeps the address it had.");
        IS_DONE.set(true);
        return Ok(());
    }
    let user = key("user", &user_id);
    let add = DirectoryCall::AddUser { key: user.clone() };
    ask::<_, ()>(env, DIRECTORIES, shard(&user), &add).await?.done()?;
    let password = admin.password.expose().to_owned();
    let make = AccountCall::Seed { user_id: user_id.clone(), email: admin.email.clone(), password };
    let before: Option<String> = ask(env, ACCOUNTS, &user_id, &make).await?.done()?;
    if let Some(email) = before {
        let old = key("address", &email);
        let release = DirectoryCall::Release { key: old.clone(), user_id };
        ask::<_, ()>(env, DIRECTORIES, shard(&old), &release).await?.done()?;
    }
    IS_DONE.set(true);
    Ok(())
}

/// Takes a key of the directory for a user; gives who has it.
async fn claim(env: &Env, key: String, user_id: String) -> Result<String, Error> {
    let call = DirectoryCall::Claim { key: key.clone(), user_id };
    ask(env, DIRECTORIES, shard(&key), &call).await?.done()
}
