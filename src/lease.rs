//! Leases: how an isolate goes on for a moment with what an account said last.
//!
//! An account has the last word on a user's credentials and allowance. To ask it for each request would
//! cost more than all the rest, so its answer holds for a short while ([`Lease`]): the credentials it
//! admitted stay admitted, and a part of the allowance is handed over to be spent without asking.
//! What is handed over has left the account's bucket, so that however many isolates hold a part, no
//! more passes than the limit says; what is not spent goes back when the lease is over.
//!
//! ```text
//! isolate                                  account
//!   Ask { needed: 1, wanted: 0 }      ──▶  takes 1                      nothing is handed over at first
//!   Ask { needed: 1, wanted: 2 }      ──▶  takes 3: 2 are handed over   twice what was spent of late
//!   … 2 requests without a question …
//!   Ask { needed: 1, wanted: 6 }      ──▶  takes 7
//!   … half of the lease is over, there is still some: asked for behind an answer …
//!   Ask { needed: 0, wanted: n }      ──▶  takes n
//!   … nobody came for the rest of the lease …
//!   what is held goes back            ──▶
//! ```

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::limit::{Bucket, Standing};

/// A part of an allowance.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Share {
    /// Requests.
    pub requests: u64,
    /// Tokens; below zero when more were used than had been reserved.
    pub tokens: i64,
}

impl Share {
    /// Whether there is nothing to give back or to pay.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.requests == 0 && self.tokens == 0
    }
}

/// What an isolate asks an account for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ask {
    /// Tokens that go back first; below zero when more were used than had been reserved.
    pub returned_tokens: i64,
    /// What the request at hand takes: all of it or nothing. None at a renewal.
    pub needed: Share,
    /// What would be welcome besides.
    pub wanted: Share,
}

/// What an account answers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Grant {
    /// Besides what was needed.
    pub share: Share,
    /// What is left of the requests; `None` without a limit.
    pub requests: Option<Standing>,
    /// What is left of the tokens; `None` without a limit.
    pub tokens: Option<Standing>,
    /// Set when what was needed is not there: in how many milliseconds it will be.
    pub wait_ms: Option<u64>,
}

/// A user's two buckets, as the account keeps them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// Requests.
    pub requests: Bucket,
    /// Tokens.
    pub tokens: Bucket,
}

/// How much a minute; 0 is without limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
}

impl Allowance {
    /// Everything is there.
    #[must_use]
    pub fn full(limits: Limits, now_ms: u64) -> Self {
        Self { requests: Bucket::full(limits.requests, now_ms), tokens: Bucket::full(limits.tokens, now_ms) }
    }

    /// Answers an isolate. Of what is left at most half is handed over besides what is needed, so that
    /// one isolate does not starve the others.
    pub fn answer(&mut self, ask: Ask, limits: Limits, now_ms: u64) -> Grant {
        self.put_back(Share { requests: 0, tokens: ask.returned_tokens }, limits, now_ms);
        let mut grant = Grant::default();
        let needed_tokens = u64::try_from(ask.needed.tokens).unwrap_or(0);
        if limits.requests > 0 {
            grant.wait_ms = self.requests.take(limits.requests, ask.needed.requests, now_ms).err();
        }
        if limits.tokens > 0 && needed_tokens > 0 && grant.wait_ms.is_none() {
            grant.wait_ms = self.tokens.take(limits.tokens, needed_tokens, now_ms).err();
            if grant.wait_ms.is_some() && limits.requests > 0 {
                self.requests.settle(limits.requests, ask.needed.requests, 0, now_ms);
            }
        }
        if grant.wait_ms.is_none() {
            grant.share.requests = hand_over(&mut self.requests, limits.requests, ask.wanted.requests, now_ms);
            let wanted = u64::try_from(ask.wanted.tokens).unwrap_or(0);
            let tokens = hand_over(&mut self.tokens, limits.tokens, wanted, now_ms);
            grant.share.tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
        }
        grant.requests = (limits.requests > 0).then(|| self.requests.standing(limits.requests));
        grant.tokens = (limits.tokens > 0).then(|| self.tokens.standing(limits.tokens));
        grant
    }

    /// Takes back what an isolate held, and what it owes.
    pub fn put_back(&mut self, held: Share, limits: Limits, now_ms: u64) {
        if limits.requests > 0 {
            self.requests.settle(limits.requests, held.requests, 0, now_ms);
        }
        if limits.tokens > 0 {
            let unused = u64::try_from(held.tokens).unwrap_or(0);
            let owed = u64::try_from(held.tokens.saturating_neg()).unwrap_or(0);
            self.tokens.settle(limits.tokens, unused, owed, now_ms);
        }
    }
}

fn hand_over(bucket: &mut Bucket, per_minute: u64, wanted: u64, now_ms: u64) -> u64 {
    if per_minute == 0 {
        return 0;
    }
    let share = wanted.min(bucket.standing(per_minute).remaining / 2);
    match bucket.take(per_minute, share, now_ms) {
        Ok(()) => share,
        Err(_) => 0,
    }
}

/// What a credential was found to be: `C` is the shell's own record of it.
#[derive(Clone, Debug)]
struct Admitted<C> {
    record: C,
    until_ms: u64,
}

/// What an isolate knows and holds of one user.
#[derive(Debug)]
pub struct Lease<C> {
    credentials: BTreeMap<String, Admitted<C>>,
    held: Share,
    /// Spent since the last answer, with what that was for.
    spent: Share,
    standings: (Option<Standing>, Option<Standing>),
    until_ms: u64,
    renew_ms: u64,
    /// Who did not come until then is not expected back.
    busy_until_ms: u64,
    refused: Option<Refused>,
    /// When a credential was last revoked here: what was asked before that may have been true then.
    forgotten_ms: Option<u64>,
}

/// What asking again would be in vain for.
#[derive(Clone, Copy, Debug)]
struct Refused {
    /// Requests of so many tokens, or more.
    tokens: u64,
    /// Until then.
    until_ms: u64,
    /// Then there is enough.
    ready_ms: u64,
}

impl<C> Default for Lease<C> {
    fn default() -> Self {
        Self {
            credentials: BTreeMap::new(),
            held: Share::default(),
            spent: Share::default(),
            standings: (None, None),
            until_ms: 0,
            renew_ms: u64::MAX,
            busy_until_ms: 0,
            refused: None,
            forgotten_ms: None,
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It passes.
    Pass {
        /// The lease is half over: somebody should ask for the next one, behind the answer.
        is_renewal_due: bool,
    },
    /// It does not, for so many milliseconds.
    Refuse {
        /// At least 1.
        wait_ms: u64,
    },
    /// The account must be asked.
    Ask,
}

/// Credentials of one user that an isolate remembers.
const MAX_CREDENTIALS: usize = 256;

impl<C> Lease<C> {
    /// What is known of a credential, while the lease lasts.
    #[must_use]
    pub fn credential(&self, id: &str, now_ms: u64) -> Option<&C> {
        self.credentials.get(id).filter(|known| now_ms < known.until_ms).map(|known| &known.record)
    }

    /// Decides on a request of a known credential that costs so many tokens.
    pub fn decide(&mut self, tokens: u64, now_ms: u64) -> Decision {
        if now_ms < self.until_ms && self.spend(tokens) {
            let is_renewal_due = now_ms >= self.renew_ms;
            if is_renewal_due {
                // Whoever is told does it; nobody else is told.
                self.renew_ms = u64::MAX;
            }
            return Decision::Pass { is_renewal_due };
        }
        match self.refused {
            Some(refused) if now_ms < refused.until_ms && tokens >= refused.tokens => {
                Decision::Refuse { wait_ms: refused.ready_ms.saturating_sub(now_ms).max(1) }
            }
            _ => Decision::Ask,
        }
    }

    /// The question to the account. What is owed is paid with it, and tokens that were not enough for
    /// what is needed go back, so that the account can add them up.
    pub fn ask(&mut self, needed: Share, now_ms: u64) -> Ask {
        if now_ms >= self.busy_until_ms {
            self.spent = Share::default();
        }
        let kept = if needed.is_empty() { self.held.tokens.max(0) } else { 0 };
        let returned_tokens = self.held.tokens.saturating_sub(kept);
        self.held.tokens = kept;
        let wanted = Share {
            requests: self.spent.requests.saturating_mul(2).saturating_sub(self.held.requests),
            tokens: self.spent.tokens.saturating_mul(2).saturating_sub(self.held.tokens).max(0),
        };
        Ask { returned_tokens, needed, wanted }
    }

    /// The account could not be told: it stays with us.
    pub fn keep(&mut self, share: Share) {
        self.add(share);
    }

    /// Takes an answer in. The lease runs from when the question was asked, so that nothing said after
    /// that is overlooked for longer than `lease_ms`. Without a lease nothing is kept.
    ///
    /// A request that was refused passes all the same when others have brought enough in the meantime.
    ///
    /// # Errors
    ///
    /// How long to wait, in milliseconds.
    pub fn take_in(&mut self, grant: Grant, needed: Share, asked_ms: u64, lease_ms: u64) -> Result<(), u64> {
        self.add(grant.share);
        self.standings = (grant.requests, grant.tokens);
        let tokens = u64::try_from(needed.tokens).unwrap_or(0);
        if lease_ms == 0 {
            return grant.wait_ms.map_or(Ok(()), Err);
        }
        let Some(wait_ms) = grant.wait_ms else {
            self.spent = needed;
            self.refused = None;
            self.until_ms = asked_ms.saturating_add(lease_ms);
            self.renew_ms = asked_ms.saturating_add(lease_ms / 2);
            self.busy_until_ms = self.until_ms.saturating_add(lease_ms);
            return Ok(());
        };
        if self.spend(tokens) {
            return Ok(());
        }
        let until_ms = asked_ms.saturating_add(wait_ms.min(lease_ms));
        self.refused = Some(Refused { tokens, until_ms, ready_ms: asked_ms.saturating_add(wait_ms) });
        Err(wait_ms)
    }

    /// Remembers a credential that the account admitted, unless something was revoked here since it was asked.
    pub fn remember(&mut self, id: &str, record: C, asked_ms: u64, lease_ms: u64) {
        if lease_ms == 0 || self.forgotten_ms.is_some_and(|forgotten_ms| asked_ms <= forgotten_ms) {
            return;
        }
        if self.credentials.len() >= MAX_CREDENTIALS {
            self.credentials.retain(|_, known| asked_ms < known.until_ms);
        }
        if self.credentials.len() < MAX_CREDENTIALS {
            self.credentials.insert(id.into(), Admitted { record, until_ms: asked_ms.saturating_add(lease_ms) });
        }
    }

    /// Forgets a credential that the account has refused.
    pub fn refuse(&mut self, id: &str) {
        self.credentials.remove(id);
    }

    /// Forgets a credential that was revoked here.
    pub fn forget(&mut self, id: &str, now_ms: u64) {
        self.credentials.remove(id);
        self.forgotten_ms = Some(now_ms);
    }

    /// Forgets all credentials.
    pub fn forget_all(&mut self, now_ms: u64) {
        self.credentials.clear();
        self.forgotten_ms = Some(now_ms);
    }

    /// Corrects a reservation to what was used.
    pub fn settle(&mut self, reserved: u64, used: u64) {
        let difference =
            i64::try_from(reserved).unwrap_or(i64::MAX).saturating_sub(i64::try_from(used).unwrap_or(i64::MAX));
        self.add(Share { requests: 0, tokens: difference });
        if difference > 0 {
            self.refused = None;
        }
    }

    /// What goes back to the account once the lease is over; nothing while it lasts, since whoever
    /// renewed it sees to it again.
    pub fn give_back(&mut self, now_ms: u64) -> Share {
        if now_ms < self.until_ms { Share::default() } else { core::mem::take(&mut self.held) }
    }

    /// How long what is held stays, in milliseconds; `None` when the lease is over or nothing is held.
    #[must_use]
    pub const fn rest_ms(&self, now_ms: u64) -> Option<u64> {
        if self.held.is_empty() || now_ms >= self.until_ms { None } else { Some(self.until_ms - now_ms) }
    }

    /// Whether something is held or owed.
    #[must_use]
    pub const fn holds_something(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether nothing would be lost with it.
    #[must_use]
    pub const fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms && self.held.is_empty()
    }

    /// What is left, for the answer's headers: what the account has and what is held, or owed, here.
    #[must_use]
    pub fn standings(&self) -> (Option<Standing>, Option<Standing>) {
        let add = |standing: Option<Standing>, held: i64| {
            standing.map(|standing| Standing {
                remaining: standing.remaining.saturating_add_signed(held).min(standing.limit),
                ..standing
            })
        };
        let (requests, tokens) = self.standings;
        (add(requests, i64::try_from(self.held.requests).unwrap_or(i64::MAX)), add(tokens, self.held.tokens))
    }

    fn add(&mut self, share: Share) {
        self.held.requests = self.held.requests.saturating_add(share.requests);
        self.held.tokens = self.held.tokens.saturating_add(share.tokens);
    }

    fn spend(&mut self, tokens: u64) -> bool {
        let (requests, tokens_limit) = self.standings;
        let cost = i64::try_from(tokens).unwrap_or(i64::MAX);
        let has_requests = requests.is_none() || self.held.requests >= 1;
        let has_tokens = tokens_limit.is_none() || cost == 0 || self.held.tokens >= cost;
        if !(has_requests && has_tokens) {
            return false;
        }
        if requests.is_some() {
            self.held.requests -= 1;
        }
        if tokens_limit.is_some() {
            self.held.tokens = self.held.tokens.saturating_sub(cost);
        }
        self.spent.requests = self.spent.requests.saturating_add(1);
        self.spent.tokens = self.spent.tokens.saturating_add(cost);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { requests: 10, tokens: 1000 };
    const ONE: Share = Share { requests: 1, tokens: 0 };
    const LEASE_MS: u64 = 1000;

    /// One isolate and the account, without time between question and answer.
    struct Pair {
        account: Allowance,
        limits: Limits,
        lease: Lease<()>,
        questions: usize,
    }

    impl Pair {
        fn new(limits: Limits) -> Self {
            Self { account: Allowance::full(limits, 0), limits, lease: Lease::default(), questions: 0 }
        }

        fn request(&mut self, tokens: u64, now_ms: u64) -> Result<(), u64> {
            self.request_with(tokens, now_ms, LEASE_MS)
        }

        fn request_with(&mut self, tokens: u64, now_ms: u64, lease_ms: u64) -> Result<(), u64> {
            match self.lease.decide(tokens, now_ms) {
                Decision::Pass { is_renewal_due } => {
                    if is_renewal_due {
                        let _ = self.question(Share::default(), now_ms, lease_ms);
                    }
                    Ok(())
                }
                Decision::Refuse { wait_ms } => Err(wait_ms),
                Decision::Ask => {
                    self.question(Share { requests: 1, tokens: i64::try_from(tokens).unwrap() }, now_ms, lease_ms)
                }
            }
        }

        fn question(&mut self, needed: Share, now_ms: u64, lease_ms: u64) -> Result<(), u64> {
            self.questions += 1;
            let ask = self.lease.ask(needed, now_ms);
            let grant = self.account.answer(ask, self.limits, now_ms);
            self.lease.take_in(grant, needed, now_ms, lease_ms)
        }
    }

    #[test]
    fn exactly_the_limit_passes_whatever_is_handed_over() {
        for lease_ms in [0, 1, 1000] {
            let mut pair = Pair::new(LIMITS);
            let passed = (0..200).filter(|_| pair.request_with(0, 0, lease_ms).is_ok()).count();
            assert_eq!(passed, 10, "{lease_ms}");
        }
    }

    #[test]
    fn several_isolates_pass_no_more_than_the_limit_together() {
        let mut account = Allowance::full(LIMITS, 0);
        let mut leases: std::vec::Vec<Lease<()>> = (0..5).map(|_| Lease::default()).collect();
        let mut passed = 0;
        for at in 0..200 {
            let lease = &mut leases[at % 5];
            passed += usize::from(match lease.decide(0, 0) {
                Decision::Pass { .. } => true,
                Decision::Refuse { .. } => false,
                Decision::Ask => {
                    let ask = lease.ask(ONE, 0);
                    lease.take_in(account.answer(ask, LIMITS, 0), ONE, 0, LEASE_MS).is_ok()
                }
            });
        }
        assert!((8..=10).contains(&passed), "{passed}");
        let held: u64 = leases.iter_mut().map(|lease| lease.give_back(LEASE_MS).requests).sum();
        assert_eq!(passed as u64 + held, 10);
    }

    #[test]
    fn a_busy_user_is_seldom_asked_about() {
        let limits = Limits { requests: 1_000_000, tokens: 0 };
        let mut pair = Pair::new(limits);
        for at in 0..10_000 {
            assert_eq!(pair.request(0, at), Ok(()));
        }
        assert!(pair.questions <= 40, "{} questions in 10 s of 1000 requests a second", pair.questions);
    }

    #[test]
    fn without_a_lease_every_request_asks() {
        let mut pair = Pair::new(Limits { requests: 1000, tokens: 0 });
        for at in 0..100 {
            assert_eq!(pair.request_with(0, at, 0), Ok(()));
        }
        assert_eq!(pair.questions, 100);
    }

    #[test]
    fn a_refusal_is_not_asked_about_again_while_the_lease_lasts() {
        let mut pair = Pair::new(LIMITS);
        while pair.request(0, 0).is_ok() {}
        let questions = pair.questions;
        assert_eq!(pair.request(0, 10), Err(5990));
        assert_eq!(pair.questions, questions);
        assert_eq!(pair.request(0, 1000), Err(5000));
        assert_eq!(pair.questions, questions + 1);
        assert_eq!(pair.request(0, 6000), Ok(()));
    }

    #[test]
    fn what_is_given_back_here_lets_the_next_pass() {
        let mut pair = Pair::new(LIMITS);
        assert_eq!(pair.request(900, 0), Ok(()));
        assert!(pair.request(900, 0).is_err());
        pair.lease.settle(900, 0);
        assert_eq!(pair.request(900, 1), Ok(()));
        pair.lease.settle(900, 1500);
        assert!(pair.request(1, 2).is_err(), "600 tokens are owed, and paid with the question");
        assert_eq!(pair.request(0, 2), Ok(()), "what costs no tokens needs none");
        assert_eq!(pair.account.tokens.standing(1000).remaining, 0);
    }

    #[test]
    fn what_is_held_goes_back_when_the_lease_is_over_and_not_before() {
        let mut pair = Pair::new(Limits { requests: 100, tokens: 0 });
        for _ in 0..3 {
            assert_eq!(pair.request(0, 0), Ok(()));
        }
        assert!(pair.lease.holds_something());
        assert!(pair.lease.give_back(LEASE_MS - 1).is_empty());
        let held = pair.lease.give_back(LEASE_MS);
        pair.account.put_back(held, pair.limits, 0);
        assert_eq!(pair.account.requests.standing(100).remaining, 97);
        assert!(pair.lease.is_over(LEASE_MS));
    }

    #[test]
    fn a_credential_is_known_until_the_lease_ends_or_it_is_revoked_here() {
        let mut lease: Lease<u8> = Lease::default();
        lease.remember("a", 1, 500, LEASE_MS);
        lease.remember("b", 2, 500, 0);
        assert_eq!((lease.credential("a", 1499), lease.credential("a", 1500)), (Some(&1), None));
        assert_eq!(lease.credential("b", 500), None, "strict");
        lease.remember("c", 3, 500, LEASE_MS);
        lease.forget("a", 550);
        assert_eq!((lease.credential("a", 600), lease.credential("c", 600)), (None, Some(&3)));
        lease.remember("a", 1, 550, LEASE_MS);
        assert_eq!(lease.credential("a", 600), None, "asked before it was revoked, answered after");
        lease.forget_all(600);
        assert_eq!(lease.credential("c", 600), None);
        for at in 0..1000 {
            lease.remember(&std::format!("{at}"), 0, 601, LEASE_MS);
        }
        assert_eq!(lease.credentials.len(), MAX_CREDENTIALS);
    }

    #[test]
    fn without_limits_everything_passes_and_nothing_is_shown() {
        let mut pair = Pair::new(Limits { requests: 0, tokens: 0 });
        for at in 0..2000 {
            assert_eq!(pair.request(1_000_000, at / 10), Ok(()));
        }
        assert_eq!(pair.questions, 1);
        assert_eq!(pair.lease.standings(), (None, None));
    }

    #[test]
    fn the_headers_count_what_is_held_as_left() {
        let mut pair = Pair::new(Limits { requests: 100, tokens: 0 });
        for left in (90..100).rev() {
            assert_eq!(pair.request(0, 0), Ok(()));
            assert_eq!(pair.lease.standings().0.map(|standing| standing.remaining), Some(left));
        }
    }
}
