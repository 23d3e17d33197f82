//! To make, find and delete a user: what takes more than one object. Each step may be the last before
//! a crash, and each may be repeated: what was begun can be gone on with.

use std::cell::RefCell;
use std::collections::BTreeSet;

use comind::account::{Email, Profile};
use comind::error::{Code, Error};
use comind::token::pat::{is_user_id, make_user_id};
use worker::Env;

use super::account::{AccountCall, Description, NewUser};
use super::directory::{DirectoryCall, Owner};
use super::{ACCOUNTS, DIRECTORIES, ask, key, know, shard};
use crate::{config, runtime};

thread_local! {
    /// Users that are known to exist. One that was deleted since says so itself.
    static KNOWN: RefCell<BTreeSet<String>> = RefCell::default();
}

/// How many users an isolate remembers: some 100 bytes each.
const MAX_KNOWN: usize = 10_000;

/// The key of an address.
pub(crate) fn address_key(email: &Email) -> String {
    key("address", email.as_str())
}

/// Who answers for an address.
pub(crate) async fn find(env: &Env, address: &str) -> Result<Owner, Error> {
    know(env, DIRECTORIES, shard(address), &DirectoryCall::FindOwner { key: address.to_owned() }).await
}

/// Whether there is such a user. Asked before an account is: to ask one that does not exist would bring
/// it into being, and anybody can invent ids and tokens.
pub(crate) async fn exists(env: &Env, user_id: &str) -> Result<bool, Error> {
    if KNOWN.with_borrow(|known| known.contains(user_id)) {
        return Ok(true);
    }
    if !is_user_id(user_id) {
        return Ok(false);
    }
    let key = key("user", user_id);
    let exists = know(env, DIRECTORIES, shard(&key), &DirectoryCall::HasUser { key: key.clone() }).await?;
    if exists {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(user_id.to_owned());
        });
    }
    Ok(exists)
}

/// Takes a key for a user; gives who has it now.
pub(crate) async fn claim(env: &Env, kind: &str, key: &str, user_id: &str) -> Result<String, Error> {
    let call = DirectoryCall::Claim { kind: kind.to_owned(), key: key.to_owned(), user_id: user_id.to_owned() };
    know(env, DIRECTORIES, shard(key), &call).await
}

/// Gives a key of a user up.
pub(crate) async fn release(env: &Env, key: &str, user_id: &str) -> Result<(), Error> {
    let call = DirectoryCall::Release { key: key.to_owned(), user_id: user_id.to_owned() };
    know(env, DIRECTORIES, shard(key), &call).await
}

/// Notes that a user exists.
pub(crate) async fn add(env: &Env, user_id: &str) -> Result<(), Error> {
    let key = key("user", user_id);
    know(env, DIRECTORIES, shard(&key), &DirectoryCall::AddUser { key: key.clone() }).await
}

/// What a new user starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// The address.
    pub email: Email,
    /// A name for people; the local part of the address unless given.
    pub username: Option<String>,
    /// See [`NewUser`].
    pub password_hash: Option<String>,
    /// See [`NewUser`].
    pub identity: Option<String>,
    /// None but an operator gives any.
    pub privileges: Vec<String>,
    /// The seeded organization unless given.
    pub groups: Option<Vec<String>>,
}

/// Makes a confirmed user. The account first, the address last: until then nobody can find it.
///
/// # Errors
///
/// `duplicate` when the address is somebody's.
pub(crate) async fn create(env: &Env, start: Start) -> Result<Profile, Error> {
    let taken =
        || Error { param: Some("email".into()), ..Error::new(Code::Duplicate, "The address has an account already.") };
    let user_id = make_user_id(&runtime::random());
    let address = address_key(&start.email);
    if find(env, &address).await?.user_id.is_some() {
        return Err(taken());
    }
    let profile = Profile {
        id: user_id.clone(),
        username: start.username.unwrap_or_else(|| start.email.local_part().to_owned()),
        email: start.email.into(),
        is_confirmed: true,
        is_suspended: false,
        created_at: runtime::now_secs(),
        privileges: start.privileges,
        groups: start.groups.unwrap_or_else(|| vec![config::current().organization.clone()]),
        version: 1,
    };
    let new = NewUser { profile: profile.clone(), password_hash: start.password_hash, identity: start.identity };
    know::<_, ()>(env, ACCOUNTS, &user_id, &AccountCall::Create(new)).await?;
    add(env, &user_id).await?;
    if claim(env, "address", &address, &user_id).await? == user_id {
        return Ok(profile);
    }
    // Somebody was faster.
    forget(env, &user_id).await?;
    Err(taken())
}

/// What an account says of itself; `None` where there is none.
pub(crate) async fn describe(env: &Env, user_id: &str) -> Result<Option<Description>, Error> {
    if !exists(env, user_id).await? {
        return Ok(None);
    }
    Ok(ask(env, ACCOUNTS, user_id, &AccountCall::Describe).await?.ok())
}

/// Deletes a user with everything of theirs; whether there was one. Sessions and tokens are dead with
/// the first step.
pub(crate) async fn delete(env: &Env, user_id: &str) -> Result<bool, Error> {
    if !exists(env, user_id).await? {
        return Ok(false);
    }
    let begun = ask(env, ACCOUNTS, user_id, &AccountCall::BeginDeletion).await?;
    if let Ok(Description { profile, identity }) = begun {
        release(env, &key("address", &profile.email), user_id).await?;
        release(env, &key("first", "admin"), user_id).await?;
        if let Some(identity) = identity {
            release(env, &identity, user_id).await?;
        }
        super::forget(env, ACCOUNTS, user_id).await?;
    }
    let key = key("user", user_id);
    know::<_, ()>(env, DIRECTORIES, shard(&key), &DirectoryCall::RemoveUser { key: key.clone() }).await?;
    KNOWN.with_borrow_mut(|known| known.remove(user_id));
    Ok(true)
}

/// Takes back an account that nobody could find yet.
async fn forget(env: &Env, user_id: &str) -> Result<(), Error> {
    super::forget(env, ACCOUNTS, user_id).await?;
    let key = key("user", user_id);
    know::<_, ()>(env, DIRECTORIES, shard(&key), &DirectoryCall::RemoveUser { key: key.clone() }).await
}

/// The ids of up to `limit` users whose addresses' keys come after `after`.
pub(crate) async fn list(env: &Env, after: &str, limit: u32) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let first = after.get(..2).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    for place in first..256 {
        let missing = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if missing == 0 {
            break;
        }
        let call = DirectoryCall::ListUsers { after: after.to_owned(), limit: missing };
        let mut more: Vec<String> = know(env, DIRECTORIES, &format!("{place:02x}"), &call).await?;
        found.append(&mut more);
    }
    Ok(found)
}
