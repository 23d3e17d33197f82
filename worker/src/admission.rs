//! Who is calling, and may they: from the `Authorization` header to an admitted caller.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use comind::auth::{Credential, Rights, Scopes, parse_authorization};
use comind::error::{Code, Error};
use comind::route::Route;
use comind::token::jwt::Use;
use comind::types::{Usage, User};
use worker::{Context, Env};

use crate::config::{self, Config};
use crate::context::RequestContext;
use crate::storage::account::{AccountCall, Admitted, Shown};
use crate::storage::directory::DirectoryCall;
use crate::storage::{ACCOUNTS, DIRECTORIES, Reply, ask, key, shard};
use crate::{runtime, seed};

/// Tokens that were taken from a caller's allowance before their real number was known.
#[derive(Clone)]
pub struct Reservation {
    env: Env,
    ctx: Rc<Context>,
    user_id: String,
    tokens: u64,
}

impl Reservation {
    /// Corrects the allowance behind the answer to what the backend says was used. Where it says
    /// nothing, the prompt is what was reserved and every event of the answer a token.
    pub(crate) fn settle(self, usage: Option<Usage>, events: u64) {
        let used = usage.map_or(self.tokens.saturating_add(events), |usage| usage.total_tokens);
        self.correct(used);
    }

    /// Gives all of it back: nothing was used.
    pub(crate) fn release(self) {
        self.correct(0);
    }

    fn correct(self, used: u64) {
        if self.tokens == used || config::current().rate_limit_tpm == 0 {
            return;
        }
        let call = AccountCall::Settle { reserved: self.tokens, used };
        let (env, user_id) = (self.env, self.user_id);
        self.ctx.wait_until(async move {
            // A failure is logged where it happens; the caller has the answer already.
            let _ = ask::<_, ()>(&env, ACCOUNTS, &user_id, &call).await;
        });
    }
}

/// A caller who may do what the route does.
pub(crate) struct Admission {
    /// Who it is.
    pub user: User,
    /// What was taken from the allowance.
    pub reservation: Reservation,
}

/// The most tokens that are reserved by the length of a request: an image is long and cheap.
const MAX_RESERVED: u64 = 16_384;
/// How many users an isolate remembers: some 100 bytes each.
const MAX_KNOWN_USERS: usize = 10_000;
/// Bytes of JSON for a token of the prompt, as a rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;

/// Lets a caller in, or says why not. One object call, for life of the credential and limits both.
///
/// # Errors
///
/// The 401, 403 and 429 of the contract.
pub(crate) async fn admit(context: &RequestContext, route: Route) -> Result<Admission, Error> {
    let (user_id, shown) = verify(context, &context.config)?;
    seed::ensure(context).await?;
    let tokens = if route == Route::ChatCompletions { estimate(context) } else { 0 };
    if matches!(shown, Shown::ApiToken { .. }) && !exists(context, &user_id).await? {
        return Err(to_error(Code::Unauthorized));
    }
    let call = AccountCall::Admit { shown, tokens };
    let admitted: Admitted = match ask(&context.env, ACCOUNTS, &user_id, &call).await? {
        Reply::Done(admitted) => admitted,
        Reply::Refused(refusal) => return Err(to_error(refusal.code())),
    };
    context.note_standing(admitted.requests, admitted.tokens);
    if let Some(wait_ms) = admitted.wait_ms {
        let message = "Too many requests or tokens in a minute. Wait as long as `Retry-After` says, then go on.";
        return Err(Error::new(Code::RateLimited, message).retry_after_ms(wait_ms));
    }
    let rights = admitted.scopes.as_deref().map_or(Rights::Session, |scopes| Rights::Pat(Scopes::from_stored(scopes)));
    let reservation = Reservation { env: context.env.clone(), ctx: Rc::clone(&context.ctx), user_id, tokens };
    if let Err(error) = rights.check(route.need()) {
        reservation.release();
        return Err(error);
    }
    Ok(Admission { user: admitted.user, reservation })
}

/// How many tokens a prompt may have, by the length of the request. One of unknown length counts as
/// long: what was too much is given back when the answer is there.
fn estimate(context: &RequestContext) -> u64 {
    let length: Option<u64> = context.header("content-length").and_then(|value| value.parse().ok());
    length.map_or(MAX_RESERVED, |length| (length / BYTES_PER_TOKEN).min(MAX_RESERVED))
}

thread_local! {
    /// Users that are known to exist: nobody stops existing who once did.
    static KNOWN_USERS: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Whether there is the user whose token this claims to be. Asked before the account is: to ask an
/// account that does not exist would bring it into being, and anybody can invent tokens.
async fn exists(context: &RequestContext, user_id: &str) -> Result<bool, Error> {
    if KNOWN_USERS.with_borrow(|known| known.contains(user_id)) {
        return Ok(true);
    }
    let key = key("user", user_id);
    let call = DirectoryCall::HasUser { key: key.clone() };
    let exists: bool = ask(&context.env, DIRECTORIES, shard(&key), &call).await?.done()?;
    if exists {
        KNOWN_USERS.with_borrow_mut(|known| {
            if known.len() >= MAX_KNOWN_USERS {
                known.clear();
            }
            known.insert(user_id.to_owned());
        });
    }
    Ok(exists)
}

/// What can be found out without the account: the user's id, and what to show to the account.
fn verify(context: &RequestContext, config: &Config) -> Result<(String, Shown), Error> {
    let header = context.header("authorization");
    match parse_authorization(header.as_deref())? {
        Credential::Jwt(token) => {
            let claims = config.jwt_keys.verify(token, Use::Access, runtime::now_secs())?;
            Ok((claims.sub, Shown::Session { id: claims.sid, version: claims.ver }))
        }
        Credential::Pat(pat) => Ok((pat.user_id(), Shown::ApiToken { id: pat.id().to_owned(), hash: pat.hash() })),
    }
}

fn to_error(code: Code) -> Error {
    let message = match code {
        Code::Unauthorized => "The token is not known.",
        Code::TokenExpired => "The token has expired. Make a new one.",
        Code::TokenRevoked => "The token, or the session it belongs to, has been revoked. Sign in again.",
        Code::AccountSuspended => "The account is suspended. Ask your administrator.",
        _ => "The edge could not check the token.",
    };
    Error::new(code, message)
}
