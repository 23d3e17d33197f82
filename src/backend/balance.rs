//! Which of several backends is asked: the one with the least under way.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// What one isolate has under way at each backend.
///
/// Least under way for its weight; of equals the one that was picked longest ago, and before that the
/// one that stands first in the configuration. So idle backends take turns, and a slow one gets less
/// without anybody having measured it.
///
/// A request counts until it is over, or until it has given no sign of life for as long as it said: the
/// runtime may end what a caller has left without a word to us, and nobody would ever take it off.
#[derive(Debug, Default)]
pub struct Balance {
    loads: BTreeMap<String, Load>,
    under_way: BTreeMap<u64, UnderWay>,
    picks: u64,
    swept_ms: u64,
}

/// The number of a request under way.
pub type Ticket = u64;

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    count: u32,
    last_pick: u64,
}

#[derive(Debug)]
struct UnderWay {
    backend: String,
    until_ms: u64,
}

/// How seldom those without a sign of life are looked for, in milliseconds.
const SWEEP_EVERY_MS: u64 = 1000;

impl Balance {
    /// Nothing is under way.
    #[must_use]
    pub const fn new() -> Self {
        Self { loads: BTreeMap::new(), under_way: BTreeMap::new(), picks: 0, swept_ms: 0 }
    }

    /// Picks one of these, given by id and weight, and counts a request for it until [`end`](Self::end), or
    /// until `until_ms` unless [`renew`](Self::renew)ed: its place among them, and the request's number.
    /// `None` only when there are none.
    pub fn begin<'a>(
        &mut self,
        candidates: impl Iterator<Item = (&'a str, u32)>,
        now_ms: u64,
        until_ms: u64,
    ) -> Option<(usize, Ticket)> {
        self.sweep(now_ms);
        let load_of = |id: &str| self.loads.get(id).copied().unwrap_or_default();
        let (place, id, _, _) = candidates
            .enumerate()
            .map(|(place, (id, weight))| (place, id, weight.max(1), load_of(id)))
            .reduce(|best, other| if is_lighter((other.2, other.3), (best.2, best.3)) { other } else { best })?;
        self.picks += 1;
        let load = self.loads.entry(id.into()).or_default();
        *load = Load { count: load.count.saturating_add(1), last_pick: self.picks };
        self.under_way.insert(self.picks, UnderWay { backend: id.into(), until_ms });
        Some((place, self.picks))
    }

    /// A request gave a sign of life.
    pub fn renew(&mut self, ticket: Ticket, until_ms: u64) {
        if let Some(under_way) = self.under_way.get_mut(&ticket) {
            under_way.until_ms = until_ms;
        }
    }

    /// A request is over.
    pub fn end(&mut self, ticket: Ticket) {
        if let Some(under_way) = self.under_way.remove(&ticket) {
            take_off(&mut self.loads, &under_way);
        }
    }

    fn sweep(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_EVERY_MS {
            return;
        }
        self.swept_ms = now_ms;
        let Self { loads, under_way, .. } = self;
        under_way.retain(|_, under_way| {
            let is_alive = now_ms < under_way.until_ms;
            if !is_alive {
                take_off(loads, under_way);
            }
            is_alive
        });
    }
}

fn take_off(loads: &mut BTreeMap<String, Load>, under_way: &UnderWay) {
    if let Some(load) = loads.get_mut(&under_way.backend) {
        load.count = load.count.saturating_sub(1);
    }
}

/// Whether the first would be the lighter one with one more request: (under way + 1) / weight, compared
/// without dividing.
fn is_lighter((weight, load): (u32, Load), (other_weight, other): (u32, Load)) -> bool {
    let share = |load: Load, weight: u32| (u64::from(load.count) + 1) * u64::from(weight);
    let (mine, theirs) = (share(load, other_weight), share(other, weight));
    mine < theirs || (mine == theirs && load.last_pick < other.last_pick)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const NEVER: u64 = u64::MAX;

    fn picks(balance: &mut Balance, candidates: &[(&str, u32)], count: usize) -> Vec<(usize, Ticket)> {
        (0..count).filter_map(|_| balance.begin(candidates.iter().copied(), 0, NEVER)).collect()
    }

    #[test]
    fn idle_backends_take_turns_in_the_order_of_the_configuration() {
        let mut balance = Balance::new();
        let mut order = Vec::new();
        for _ in 0..6 {
            let (place, ticket) = balance.begin([("a", 1), ("b", 1), ("c", 1)].into_iter(), 0, NEVER).unwrap();
            balance.end(ticket);
            order.push(place);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_busy_one_gets_less() {
        let mut balance = Balance::new();
        let both = [("slow", 1), ("fast", 1)];
        let first = picks(&mut balance, &both, 2);
        assert_eq!((first[0].0, first[1].0), (0, 1));
        let mut fast = first[1].1;
        for _ in 0..10 {
            balance.end(fast);
            let next = picks(&mut balance, &both, 1)[0];
            assert_eq!(next.0, 1);
            fast = next.1;
        }
        balance.end(first[0].1);
        balance.end(first[0].1);
        assert_eq!(picks(&mut balance, &both, 1)[0].0, 0);
    }

    #[test]
    fn weights_share_the_work() {
        let mut balance = Balance::new();
        let picks = picks(&mut balance, &[("big", 3), ("small", 1)], 40);
        assert_eq!(picks.iter().filter(|(place, _)| *place == 0).count(), 30);
    }

    #[test]
    fn what_gives_no_sign_of_life_stops_counting() {
        let mut balance = Balance::new();
        let both = || [("a", 1), ("b", 1)].into_iter();
        let (left, _) = balance.begin(both(), 0, 5000).unwrap();
        let (kept, ticket) = balance.begin(both(), 0, 5000).unwrap();
        assert_eq!((left, kept), (0, 1));
        balance.renew(ticket, 9000);
        balance.renew(77, 9000);
        let places: Vec<usize> = (0..3).filter_map(|_| Some(balance.begin(both(), 6000, NEVER)?.0)).collect();
        assert_eq!(places, [0, 1, 0], "the one that left is forgotten, the other counts");
    }

    #[test]
    fn of_none_there_is_none() {
        let mut balance = Balance::new();
        assert_eq!(balance.begin([].into_iter(), 0, NEVER), None);
        let picks = picks(&mut balance, &[("a", 0), ("b", u32::MAX)], 2);
        assert_eq!((picks[0].0, picks[1].0), (1, 1));
    }
}
