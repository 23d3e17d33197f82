//! Who is calling, and may they: from the `Authorization` header to an admitted caller.
//!
//! The account has the last word; what it said holds for `ADMISSION_LEASE_MS` in this isolate. What an
//! isolate revokes itself is dead in it at once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use comind::account::Profile;
use comind::auth::{Credential, Need, Rights, Scopes, parse_authorization};
use comind::cost::Cost;
use comind::error::{Code, Error};
use comind::lease::{Decision, Grant, Lease, Share};
use comind::route::Route;
use comind::telemetry::Limit;
use comind::token::jwt::Use;
use comind::trace::Stage;
use comind::types::Usage;
use subtle::ConstantTimeEq;
use worker::{Context, Env};

use crate::config::{self, Config};
use crate::context::RequestContext;
use crate::journal::Journal;
use crate::storage::account::{AccountCall, Admitted, Shown};
use crate::storage::{ACCOUNTS, Refusal, ask, know, users};
use crate::{pool, runtime, seed, telemetry};

/// What a request costs: so much was taken from its caller's allowance before the real number was
/// known, which is set right when it is.
#[derive(Debug)]
pub(crate) struct Bill {
    user_id: String,
    reserved: u64,
    /// What the caller has been charged until now.
    charged: Cell<u64>,
    usage: Cell<Option<Usage>>,
    events: Cell<u64>,
    /// The place of the backend that had it, in the configuration; until its cost is counted.
    backend: Cell<Option<usize>>,
    is_final: Cell<bool>,
    journal: Rc<Journal>,
}

impl Bill {
    const fn new(user_id: String, reserved: u64, journal: Rc<Journal>) -> Self {
        Self {
            user_id,
            reserved,
            journal,
            charged: Cell::new(reserved),
            usage: Cell::new(None),
            events: Cell::new(0),
            backend: Cell::new(None),
            is_final: Cell::new(false),
        }
    }

    /// A backend is asked.
    pub(crate) fn note_backend(&self, place: Option<usize>) {
        self.backend.set(place);
    }

    /// What is known of the answer until now: what the backend says it cost, and how many events came.
    pub(crate) fn note(&self, usage: Option<Usage>, events: u64) {
        self.usage.set(usage);
        self.events.set(events);
        self.journal.note_usage(usage);
    }

    /// The answer is whole.
    pub(crate) fn settle(&self, context: &RequestContext) {
        self.correct(Cost::of_answer(self.usage.get(), self.reserved, self.events.get()), Some(context));
        self.is_final.set(true);
    }

    /// The answer was left, or broke off, as far as is known: should it go on after all, it is settled
    /// again. Without a context what comes back stays in this isolate until somebody else gives back.
    pub(crate) fn settle_part(&self, context: Option<&RequestContext>) {
        self.correct(Cost::of_part(self.usage.get(), self.reserved, self.events.get()), context);
    }

    /// The caller has gone, and the runtime has ended the request without a word.
    pub(crate) fn leave(&self, context: &RequestContext) {
        self.settle_part(Some(context));
        self.journal.leave();
    }

    /// Nothing was asked of a backend.
    pub(crate) fn release(&self, context: &RequestContext) {
        self.correct(Cost::NOTHING, Some(context));
    }

    fn correct(&self, cost: Cost, context: Option<&RequestContext>) {
        if self.is_final.get() {
            return;
        }
        if let Some(backend) = self.backend.take() {
            pool::count_cost(backend, cost);
        }
        if config::current().rate_limit_tpm == 0 {
            return;
        }
        let charged = self.charged.replace(cost.tokens);
        if charged == cost.tokens {
            return;
        }
        with_entry(&self.user_id, |entry| entry.lease.settle(charged, cost.tokens));
        if let Some(context) = context {
            give_back_later(&context.env, &context.ctx, &self.user_id);
        }
    }
}

/// A caller who may do what the route does.
pub(crate) struct Admission {
    /// Who it is.
    pub profile: Rc<Profile>,
    /// The session; `None` for a personal access token.
    pub session_id: Option<String>,
    /// What was taken from the allowance.
    pub bill: Rc<Bill>,
}

/// The most tokens that are reserved by the length of a request: an image is long and cheap.
const MAX_RESERVED: u64 = 16_384;
/// How many users' leases an isolate keeps: some 500 bytes each.
const MAX_LEASES: usize = 10_000;
/// Bytes of JSON for a token of the prompt, as a rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;

/// What was found out about a credential.
#[derive(Clone)]
struct Known {
    profile: Rc<Profile>,
    /// Of the whole token; empty for a session.
    hash: String,
    rights: Rights,
    /// Unix seconds.
    expires_at: u64,
}

#[derive(Default)]
struct Entry {
    lease: Lease<Known>,
    /// Until then somebody sees to it that what is held goes back.
    watched_until_ms: u64,
}

thread_local! {
    static LEASES: RefCell<BTreeMap<String, Entry>> = const { RefCell::new(BTreeMap::new()) };
}

fn with_entry<T>(user_id: &str, work: impl FnOnce(&mut Entry) -> T) -> T {
    LEASES.with_borrow_mut(|leases| {
        if let Some(entry) = leases.get_mut(user_id) {
            return work(entry);
        }
        if leases.len() >= MAX_LEASES {
            let now_ms = runtime::steady_ms();
            leases.retain(|_, entry| !entry.lease.is_over(now_ms));
        }
        if leases.len() >= MAX_LEASES {
            // What they hold is lost to their users for as long as a bucket takes to fill.
            leases.clear();
        }
        work(leases.entry(user_id.to_owned()).or_default())
    })
}

/// From now on a credential of this user is asked about again: it was revoked here.
pub(crate) fn forget_credential(user_id: &str, id: &str) {
    LEASES.with_borrow_mut(|leases| {
        if let Some(entry) = leases.get_mut(user_id) {
            entry.lease.forget(id, runtime::steady_ms());
        }
    });
}

/// From now on every credential of this user is asked about again.
pub(crate) fn forget_user(user_id: &str) {
    LEASES.with_borrow_mut(|leases| {
        if let Some(entry) = leases.get_mut(user_id) {
            entry.lease.forget_all(runtime::steady_ms());
        }
    });
}

/// Lets the operator's own programs in.
///
/// # Errors
///
/// `unauthorized`, also when no service token is set.
pub(crate) fn admit_service(context: &RequestContext) -> Result<(), Error> {
    let header = context.header("authorization").unwrap_or_default();
    let shown = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = shown.map(|(_, token)| token.trim());
    match (&context.config.service_token, token) {
        (Some(secret), Some(token)) if secret.is_equal_to(token) => Ok(()),
        _ => Rights::Session.check(Need::Service),
    }
}

/// Lets a caller in, or says why not: without a question while a lease lasts, else with one question
/// for life of the credential and limits both.
///
/// # Errors
///
/// The 401, 403 and 429 of the contract.
pub(crate) async fn admit(context: &RequestContext, route: Route) -> Result<Admission, Error> {
    let (user_id, shown) = verify(context, &context.config)?;
    context.journal.note_user(&user_id);
    context.end_stage(Stage::Auth);
    seed::ensure(context).await?;
    let tokens = match route.operation() {
        Some(_) => {
            // What others have left behind may be what this one needs.
            pool::sweep(context);
            estimate(context)
        }
        None => 0,
    };
    let known = match decide(context, &user_id, &shown, tokens) {
        (Some(known), Decision::Pass { is_renewal_due }) => {
            if is_renewal_due {
                renew(context, &user_id, &shown);
            }
            known
        }
        (Some(_), Decision::Refuse { wait_ms }) => {
            note_standing(context, &user_id);
            return Err(exhausted(wait_ms));
        }
        _ => {
            // To ask an account that does not exist would bring it into being.
            if !users::exists(&context.env, &user_id).await? {
                return Err(to_error(Code::Unauthorized));
            }
            let needed = Share { requests: 1, tokens: i64::try_from(tokens).unwrap_or(i64::MAX) };
            let outcome = ask_account(&context.env, &user_id, &shown, needed).await;
            note_standing(context, &user_id);
            give_back_later(&context.env, &context.ctx, &user_id);
            outcome?
        }
    };
    note_standing(context, &user_id);
    context.end_stage(Stage::Admit);
    let bill = Rc::new(Bill::new(user_id, tokens, Rc::clone(&context.journal)));
    if let Err(error) = known.rights.check(route.need()) {
        bill.release(context);
        return Err(error);
    }
    let session_id = match shown {
        Shown::Session(id) => Some(id),
        Shown::ApiToken(..) => None,
    };
    Ok(Admission { profile: known.profile, session_id, bill })
}

/// What the lease says, if there is one and it knows the credential.
fn decide(context: &RequestContext, user_id: &str, shown: &Shown, tokens: u64) -> (Option<Known>, Decision) {
    if context.config.admission_lease_ms == 0 {
        return (None, Decision::Ask);
    }
    let now_ms = runtime::steady_ms();
    LEASES.with_borrow_mut(|leases| {
        let Some(entry) = leases.get_mut(user_id) else { return (None, Decision::Ask) };
        let Some(known) = entry.lease.credential(shown.id(), now_ms).cloned() else { return (None, Decision::Ask) };
        let is_alive =
            runtime::now_secs() < known.expires_at && known.hash.as_bytes().ct_eq(hash_of(shown).as_bytes()).into();
        if is_alive { (Some(known), entry.lease.decide(tokens, now_ms)) } else { (None, Decision::Ask) }
    })
}

fn hash_of(shown: &Shown) -> &str {
    match shown {
        Shown::Session(_) => "",
        Shown::ApiToken(_, hash) => hash,
    }
}

/// Asks the account, and takes its answer into the lease.
async fn ask_account(env: &Env, user_id: &str, shown: &Shown, needed: Share) -> Result<Known, Error> {
    let asked_ms = runtime::steady_ms();
    let lease_ms = config::current().admission_lease_ms;
    let question = with_entry(user_id, |entry| entry.lease.ask(needed, asked_ms));
    let call = AccountCall::Admit { shown: shown.clone(), ask: question };
    let admitted = match ask::<_, Admitted>(env, ACCOUNTS, user_id, &call).await {
        Ok(Ok(admitted)) => admitted,
        refused => {
            // The question did not get as far as the allowance.
            let returned = Share { requests: 0, tokens: question.returned_tokens };
            with_entry(user_id, |entry| {
                entry.lease.keep(returned);
                entry.lease.refuse(shown.id());
            });
            return Err(match refused {
                Err(error) => error,
                Ok(refusal) => to_error(refusal.err().map_or(Code::InternalError, Refusal::code)),
            });
        }
    };
    let Admitted { profile, scopes, expires_at, grant } = admitted;
    // What only an admin may do, a token of somebody who no longer is one may not.
    let rights = scopes.map_or(Rights::Session, |scopes| {
        Rights::Pat(Scopes::from_stored(&scopes).within(Scopes::available_to(profile.is_admin())))
    });
    let known = Known { profile: Rc::new(profile), hash: hash_of(shown).to_owned(), rights, expires_at };
    let outcome = with_entry(user_id, |entry| {
        entry.lease.remember(shown.id(), known.clone(), asked_ms, lease_ms);
        take_in(&mut entry.lease, grant, needed, asked_ms, lease_ms)
    });
    outcome.map(|()| known)
}

fn take_in(lease: &mut Lease<Known>, grant: Grant, needed: Share, asked_ms: u64, lease_ms: u64) -> Result<(), Error> {
    lease.take_in(grant, needed, asked_ms, lease_ms).map_err(exhausted)
}

/// Asks for the next lease behind the answer, so that a busy caller never waits for it.
fn renew(context: &RequestContext, user_id: &str, shown: &Shown) {
    let (env, ctx) = (context.env.clone(), Rc::clone(&context.ctx));
    let (user_id, shown) = (user_id.to_owned(), shown.clone());
    context.ctx.wait_until(async move {
        // A refusal is found out by the next request, which asks again.
        let _ = ask_account(&env, &user_id, &shown, Share::default()).await;
        give_back_later(&env, &ctx, &user_id);
    });
}

/// Sees to it that what is held and not spent goes back when the lease is over.
fn give_back_later(env: &Env, ctx: &Context, user_id: &str) {
    let lease_ms = config::current().admission_lease_ms;
    let now_ms = runtime::steady_ms();
    let is_due = with_entry(user_id, |entry| {
        let is_due = entry.lease.holds_something() && entry.watched_until_ms <= now_ms;
        if is_due && lease_ms > 0 {
            // Who watches may be ended by the runtime; then somebody else does.
            entry.watched_until_ms = now_ms.saturating_add(2 * lease_ms);
        }
        is_due
    });
    if !is_due {
        return;
    }
    let (env, user_id) = (env.clone(), user_id.to_owned());
    ctx.wait_until(async move {
        if lease_ms > 0 {
            runtime::sleep(lease_ms).await;
        }
        while let Some(rest_ms) = with_entry(&user_id, |entry| entry.lease.rest_ms(runtime::steady_ms())) {
            with_entry(&user_id, |entry| {
                entry.watched_until_ms = runtime::steady_ms().saturating_add(rest_ms + lease_ms);
            });
            runtime::sleep(rest_ms).await;
        }
        let share = with_entry(&user_id, |entry| {
            entry.watched_until_ms = 0;
            entry.lease.give_back(runtime::steady_ms())
        });
        if !share.is_empty() && know::<_, ()>(&env, ACCOUNTS, &user_id, &AccountCall::PutBack { share }).await.is_err()
        {
            with_entry(&user_id, |entry| entry.lease.keep(share));
        }
    });
}

fn note_standing(context: &RequestContext, user_id: &str) {
    let (requests, tokens) = with_entry(user_id, |entry| entry.lease.standings());
    context.note_standing(requests, tokens);
}

/// How many tokens a prompt may have, by the length of the request. One of unknown length counts as
/// long: what was too much is given back when the answer is there.
fn estimate(context: &RequestContext) -> u64 {
    let length: Option<u64> = context.header("content-length").and_then(|value| value.parse().ok());
    let estimate = length.map_or(MAX_RESERVED, |length| (length / BYTES_PER_TOKEN).clamp(1, MAX_RESERVED));
    match context.config.rate_limit_tpm {
        0 => 0,
        // What costs more than a whole minute's allowance passes when that is full.
        limit => estimate.min(limit),
    }
}

/// What can be found out without the account: the user's id, and what to show to the account.
fn verify(context: &RequestContext, config: &Config) -> Result<(String, Shown), Error> {
    let header = context.header("authorization");
    match parse_authorization(header)? {
        Credential::Jwt(token) => {
            let claims = config.jwt_keys.verify(token, Use::Access, runtime::now_secs())?;
            Ok((claims.sub, Shown::Session(claims.sid)))
        }
        Credential::Pat(pat) => Ok((pat.user_id(), Shown::ApiToken(pat.id().to_owned(), pat.hash()))),
    }
}

fn exhausted(wait_ms: u64) -> Error {
    telemetry::refuse(Limit::User);
    let message = "Too many requests or tokens in a minute. Wait as long as `Retry-After` says, then go on.";
    Error::new(Code::RateLimited, message).retry_after_ms(wait_ms)
}

/// Why an account refuses a credential.
pub(crate) fn to_error(code: Code) -> Error {
    let message = match code {
        Code::Unauthorized => "The token is not known.",
        Code::TokenExpired => "The token has expired. Make a new one.",
        Code::TokenRevoked => "The token, or the session it belongs to, has been revoked. Sign in again.",
        Code::AccountSuspended => "The account is suspended. Ask your administrator.",
        _ => "The edge could not check the token.",
    };
    Error::new(code, message)
}
