//! Which of several backends is asked, and what is known of them from the requests that went there.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::affinity;
use super::breaker::{Breaker, BreakerPolicy, Standing};
use super::metrics::{self, Row, Tally};
use super::pulse::{Check, Pulse, Sign, Vitals};
use crate::cost::Cost;

/// The number of a request under way at a backend.
pub type Ticket = u64;

/// A backend that could be asked.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id in the configuration.
    pub id: &'a str,
    /// Its share of the work; 0 is drained: it ends what it has and gets nothing new.
    pub weight: u32,
}

/// What became of a request at a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered, be it with a refusal that is the caller's own doing.
    Answered,
    /// The backend said that it has too much to do (429). Nothing was accepted.
    Busy,
    /// The backend said that it is not ready (503). Nothing was accepted.
    Unready,
    /// The connection broke, or what stands before the backend failed. It may have been accepted.
    Broken,
    /// It took too long.
    Slow,
    /// The backend was asked whether it lives, and does not.
    Dead,
    /// The caller left, or the edge gave up for its own reasons.
    Left,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Self; 7] =
        [Self::Answered, Self::Busy, Self::Unready, Self::Broken, Self::Slow, Self::Dead, Self::Left];

    /// The word for it in a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::Unready => "unready",
            Self::Broken => "broken",
            Self::Slow => "slow",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }
}

/// What one isolate knows of the backends: what is under way at each, and how it went lately.
///
/// `T` is what belongs to a request under way and must be seen to even when the runtime ends the
/// request without a word, as it does when the caller has gone: it comes out of [`sweep`](Self::sweep)
/// once the request has given no sign of life for as long as it said.
#[derive(Debug)]
pub struct Pool<T> {
    backends: BTreeMap<String, Backend>,
    under_way: BTreeMap<Ticket, UnderWay<T>>,
    policy: BreakerPolicy,
    retries: RetryBudget,
    spent_retries: u64,
    picks: u64,
    swept_ms: u64,
}

#[derive(Debug, Default)]
struct Backend {
    count: u32,
    last_pick: u64,
    breaker: Breaker,
    /// When anything last came from it.
    heard_ms: u64,
    /// What others than this isolate had under way there, by its own word, and until when that is believed.
    others: u32,
    others_until_ms: u64,
    vitals: Vitals,
    tally: Tally,
}

#[derive(Debug)]
struct UnderWay<T> {
    backend: String,
    /// When it began, or something last came for it.
    heard_ms: u64,
    until_ms: u64,
    payload: T,
}

/// How seldom those without a sign of life are looked for, in milliseconds.
const SWEEP_EVERY_MS: u64 = 1000;
/// How long a backend's own word on its load is believed, in milliseconds.
const OTHERS_LAST_MS: u64 = 30_000;
/// A preferred backend may have so many quarters of its fair share under way.
const BOUND_QUARTERS: u64 = 5;

impl<T> Pool<T> {
    /// Nothing is known. `retry_burst`: so many requests may be sent again at once.
    #[must_use]
    pub const fn new(policy: BreakerPolicy, retry_burst: u32) -> Self {
        Self {
            backends: BTreeMap::new(),
            under_way: BTreeMap::new(),
            policy,
            retries: RetryBudget::new(retry_burst),
            spent_retries: 0,
            picks: 0,
            swept_ms: 0,
        }
    }

    /// Picks a backend and counts a request for it until [`end`](Self::end), or until `until_ms` unless
    /// it is [`heard`](Self::hear) of: the backend's place among the candidates, and the request's number.
    ///
    /// A conversation's preferred backend is taken while it has no more than 5/4 of its fair share, and one,
    /// under way; without a conversation, or when all are beyond, the one with the least under way for its
    /// weight; of equals the one that was picked longest ago. Where backends say what others have under way
    /// there, it is the lighter of two that are taken by chance.
    ///
    /// A request that is sent once more (`is_again`) takes one of the retries: one for each five requests,
    /// and a few at once. It goes to a backend that is on trial only where there is no other.
    ///
    /// # Errors
    ///
    /// Without any that gets requests, or without a retry: how long to wait for the first of those that are left in peace,
    /// in milliseconds; `None` when there is nothing to wait for.
    pub fn begin(
        &mut self,
        candidates: &[Candidate<'_>],
        conversation: Option<u64>,
        is_again: bool,
        now_ms: u64,
        until_ms: u64,
        payload: T,
    ) -> Result<(usize, Ticket), Option<u64>> {
        let open: Vec<(usize, Candidate<'_>)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.weight > 0 && self.admits(candidate.id, now_ms))
            .map(|(place, candidate)| (place, *candidate))
            .collect();
        let is_sound =
            |(_, candidate): &(usize, Candidate<'_>)| self.standing(candidate.id, now_ms) == Standing::Closed;
        // What has failed once is not what others are tried with, or it would meet one after the other.
        let sound: Vec<(usize, Candidate<'_>)> = open.iter().filter(|it| is_again && is_sound(it)).copied().collect();
        let open = if sound.is_empty() { open } else { sound };
        let Some((place, id)) = self.pick(&open, conversation, is_again, now_ms) else {
            return Err(self.wait_ms(candidates, now_ms));
        };
        if is_again {
            if !self.retries.spend() {
                return Err(None);
            }
            self.spent_retries += 1;
        } else {
            self.retries.earn();
        }
        self.picks += 1;
        let ticket = self.picks;
        let backend = self.backends.entry(id.into()).or_default();
        backend.count = backend.count.saturating_add(1);
        backend.last_pick = ticket;
        backend.breaker.begin(ticket, self.policy, now_ms);
        self.under_way.insert(ticket, UnderWay { backend: id.into(), heard_ms: now_ms, until_ms, payload });
        Ok((place, ticket))
    }

    /// Something came from the backend for this request.
    pub fn hear(&mut self, ticket: Ticket, now_ms: u64, until_ms: u64) {
        let Some(under_way) = self.under_way.get_mut(&ticket) else { return };
        under_way.until_ms = until_ms;
        under_way.heard_ms = now_ms;
        if let Some(backend) = self.backends.get_mut(&under_way.backend) {
            backend.heard_ms = now_ms;
            backend.breaker.hear(ticket);
        }
    }

    /// The request is still wanted, though nothing came for it.
    pub fn renew(&mut self, ticket: Ticket, until_ms: u64) {
        if let Some(under_way) = self.under_way.get_mut(&ticket) {
            under_way.until_ms = until_ms;
        }
    }

    /// A request is over. Gives back what belongs to it, unless it was swept up before.
    pub fn end(&mut self, ticket: Ticket, outcome: Outcome, now_ms: u64) -> Option<T> {
        let ended = self.under_way.remove(&ticket)?;
        let backend = self.backends.entry(ended.backend).or_default();
        backend.count = backend.count.saturating_sub(1);
        backend.tally.count_outcome(outcome);
        // One that answers others has too much to do; it does not hang.
        let is_saturated = backend.heard_ms > ended.heard_ms;
        match outcome {
            Outcome::Answered => {
                backend.heard_ms = now_ms;
                backend.breaker.succeed();
            }
            Outcome::Unready | Outcome::Broken => backend.breaker.fail(ticket, false, self.policy, now_ms),
            Outcome::Slow if !is_saturated => backend.breaker.fail(ticket, false, self.policy, now_ms),
            Outcome::Dead => backend.breaker.fail(ticket, true, self.policy, now_ms),
            Outcome::Busy | Outcome::Slow | Outcome::Left => backend.breaker.release(ticket),
        }
        Some(ended.payload)
    }

    /// Takes off the requests that have given no sign of life, at most once a second: what belongs to them.
    pub fn sweep(&mut self, now_ms: u64) -> Vec<T> {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_EVERY_MS {
            return Vec::new();
        }
        self.swept_ms = now_ms;
        let gone: Vec<Ticket> = self
            .under_way
            .iter()
            .filter(|(_, under_way)| now_ms >= under_way.until_ms)
            .map(|(&ticket, _)| ticket)
            .collect();
        gone.into_iter().filter_map(|ticket| self.end(ticket, Outcome::Left, now_ms)).collect()
    }

    /// What a request has cost that this backend had.
    pub fn count_cost(&mut self, id: &str, cost: Cost) {
        self.backends.entry(id.into()).or_default().tally.count_cost(cost);
    }

    /// What has been counted, of these backends, for a monitor: Prometheus' text format.
    #[must_use]
    pub fn metrics<'a>(&self, ids: impl Iterator<Item = &'a str>, now_ms: u64) -> String {
        let to_row = |id: &'a str| {
            let backend = self.backends.get(id);
            Row {
                backend: id,
                tally: backend.map(|backend| backend.tally).unwrap_or_default(),
                under_way: backend.map_or(0, |backend| backend.count),
                standing: self.standing(id, now_ms),
            }
        };
        metrics::render(&ids.map(to_row).collect::<Vec<_>>(), self.spent_retries)
    }

    /// What the backend says of its work: what others have under way there counts as load.
    pub fn note_pulse(&mut self, id: &str, pulse: Pulse, now_ms: u64) {
        let backend = self.backends.entry(id.into()).or_default();
        backend.others = pulse.load.saturating_sub(backend.count);
        backend.others_until_ms = now_ms.saturating_add(OTHERS_LAST_MS);
    }

    /// Whether a backend that has been silent should be asked if it lives: once in `every_ms`, all
    /// requests together.
    pub fn check(&mut self, id: &str, now_ms: u64, every_ms: u64) -> Check {
        self.backends.entry(id.into()).or_default().vitals.check(now_ms, every_ms)
    }

    /// How it answered: whether it lives, by [`Vitals::note`].
    pub fn note_check(&mut self, id: &str, sign: Sign, now_ms: u64, hung_ms: u64) -> bool {
        if let Sign::Alive(Some(pulse)) = sign {
            self.note_pulse(id, pulse, now_ms);
        }
        let backend = self.backends.entry(id.into()).or_default();
        backend.vitals.note(sign, backend.heard_ms, now_ms, hung_ms)
    }

    /// How a backend stands.
    #[must_use]
    pub fn standing(&self, id: &str, now_ms: u64) -> Standing {
        self.backends.get(id).map_or(Standing::Closed, |backend| backend.breaker.standing(now_ms))
    }

    fn admits(&self, id: &str, now_ms: u64) -> bool {
        self.backends.get(id).is_none_or(|backend| backend.breaker.admits(now_ms))
    }

    fn wait_ms(&self, candidates: &[Candidate<'_>], now_ms: u64) -> Option<u64> {
        let waits = candidates.iter().filter(|candidate| candidate.weight > 0).map(|candidate| {
            match self.standing(candidate.id, now_ms) {
                Standing::Open { until_ms } => until_ms.saturating_sub(now_ms),
                Standing::Closed | Standing::HalfOpen => 1,
            }
        });
        waits.min()
    }

    fn pick<'a>(
        &self,
        open: &[(usize, Candidate<'a>)],
        conversation: Option<u64>,
        is_again: bool,
        now_ms: u64,
    ) -> Option<(usize, &'a str)> {
        let loads: Vec<Load> = open.iter().map(|(_, candidate)| self.load(candidate, now_ms)).collect();
        let sum = loads.iter().fold(Load::default(), |sum, load| Load {
            weight: sum.weight + load.weight,
            ours: sum.ours + load.ours,
            others: sum.others + load.others,
            last_pick: 0,
        });
        let preferred = conversation.and_then(|conversation| {
            let score = |(_, it): &(usize, Candidate<'_>)| affinity::score(conversation, it.id, it.weight);
            let homes = open.iter().zip(&loads).filter(|(_, load)| load.has_room(sum));
            homes.max_by_key(|(candidate, _)| score(candidate)).map(|(candidate, _)| candidate)
        });
        let lightest = || {
            let places = 0..open.len();
            let lighter = |one: usize, other: usize| {
                let is_lighter =
                    loads.get(one).zip(loads.get(other)).is_some_and(|(one, other)| one.is_lighter(*other));
                if is_lighter { one } else { other }
            };
            let place = if open.len() < 3 || (sum.others == 0 && !is_again) {
                places.reduce(|best, other| lighter(other, best))
            } else {
                // All isolates hear the same: if each took the lightest, it would be the heaviest soon. Of two taken
                // by chance the lighter one does nearly as well with news that are old. And those that stand next to
                // each other in the configuration fail together.
                let count = open.len() as u64;
                let dice = affinity::hash(&[&self.picks.to_le_bytes(), &now_ms.to_le_bytes()]);
                let (one, step) = (dice % count, (dice >> 32) % count.saturating_sub(1).max(1));
                let other = (one + 1 + step) % count;
                usize::try_from(one).ok().zip(usize::try_from(other).ok()).map(|(one, other)| lighter(other, one))
            };
            open.get(place?)
        };
        preferred.or_else(lightest).map(|&(place, candidate)| (place, candidate.id))
    }

    fn load(&self, candidate: &Candidate<'_>, now_ms: u64) -> Load {
        let weight = u64::from(candidate.weight);
        self.backends.get(candidate.id).map_or(Load { weight, ..Load::default() }, |backend| Load {
            weight,
            ours: backend.count.into(),
            others: if now_ms < backend.others_until_ms { backend.others.into() } else { 0 },
            last_pick: backend.last_pick,
        })
    }
}

/// What a candidate has to do.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    weight: u64,
    /// What this isolate has under way there.
    ours: u64,
    /// What others had, by the backend's own word.
    others: u64,
    last_pick: u64,
}

impl Load {
    const fn total(self) -> u64 {
        self.ours + self.others
    }

    /// Whether a conversation stays at home: there is no more than 5/4 of its fair share under way, and one. What
    /// others have is old news and counts from where chance alone does not explain it: three times the root of the share.
    fn has_room(self, sum: Self) -> bool {
        let bound = |all: u64| (BOUND_QUARTERS * (all + 1) * self.weight).div_ceil(4 * sum.weight.max(1));
        let share = sum.total() * self.weight / sum.weight.max(1);
        self.ours <= bound(sum.ours)
            && (self.others == 0 || self.total() <= bound(sum.total()).max(share + 3 * share.isqrt()))
    }

    /// (under way + 1) / weight, compared without dividing; of equals the one that was picked longest ago.
    fn is_lighter(self, other: Self) -> bool {
        let (mine, theirs) = ((self.total() + 1) * other.weight, (other.total() + 1) * self.weight);
        mine < theirs || (mine == theirs && self.last_pick < other.last_pick)
    }
}

/// How often requests may be sent again, all together: so that a failing backend does not turn a load
/// into twice the load.
#[derive(Clone, Copy, Debug)]
struct RetryBudget {
    /// In parts of a retry.
    parts: u64,
    full: u64,
}

/// What one request earns: a fifth of a retry.
const PARTS: u64 = 5;

impl RetryBudget {
    const fn new(burst: u32) -> Self {
        Self { parts: burst as u64 * PARTS, full: burst as u64 * PARTS }
    }

    const fn earn(&mut self) {
        if self.parts < self.full {
            self.parts += 1;
        }
    }

    const fn spend(&mut self) -> bool {
        if self.parts < PARTS {
            return false;
        }
        self.parts -= PARTS;
        true
    }
}

#[cfg(test)]
mod tests;
