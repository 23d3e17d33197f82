//! Which of several backends is asked: the one with the least outstanding work.

use alloc::collections::BTreeMap;
use alloc::string::String;

/// What one isolate has under way at each backend.
///
/// Least outstanding for its weight; of equals the one that was picked longest ago, and before that the
/// one that stands first in the configuration. So idle backends take turns, and a slow one gets less
/// without anybody having measured it.
#[derive(Debug, Default)]
pub struct Balance {
    loads: BTreeMap<String, Load>,
    picks: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    outstanding: u32,
    last_pick: u64,
}

impl Balance {
    /// Nothing is under way.
    #[must_use]
    pub const fn new() -> Self {
        Self { loads: BTreeMap::new(), picks: 0 }
    }

    /// Picks one of these, given by id and weight, and counts a request for it until [`end`](Self::end);
    /// its place among them. `None` only when there are none.
    pub fn begin<'a>(&mut self, candidates: impl Iterator<Item = (&'a str, u32)>) -> Option<usize> {
        let load_of = |id: &str| self.loads.get(id).copied().unwrap_or_default();
        let (place, id, _, _) = candidates
            .enumerate()
            .map(|(place, (id, weight))| (place, id, weight.max(1), load_of(id)))
            .reduce(|best, other| if is_lighter((other.2, other.3), (best.2, best.3)) { other } else { best })?;
        self.picks += 1;
        let load = self.loads.entry(id.into()).or_default();
        load.outstanding = load.outstanding.saturating_add(1);
        load.last_pick = self.picks;
        Some(place)
    }

    /// A request that was counted for this backend is over.
    pub fn end(&mut self, id: &str) {
        if let Some(load) = self.loads.get_mut(id) {
            load.outstanding = load.outstanding.saturating_sub(1);
        }
    }
}

/// Whether the first would be the lighter one with one more request: (outstanding + 1) / weight, compared
/// without dividing.
fn is_lighter((weight, load): (u32, Load), (other_weight, other): (u32, Load)) -> bool {
    let share = |load: Load, weight: u32| (u64::from(load.outstanding) + 1) * u64::from(weight);
    let (mine, theirs) = (share(load, other_weight), share(other, weight));
    mine < theirs || (mine == theirs && load.last_pick < other.last_pick)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn picks(balance: &mut Balance, candidates: &[(&str, u32)], count: usize) -> Vec<usize> {
        (0..count).filter_map(|_| balance.begin(candidates.iter().copied())).collect()
    }

    #[test]
    fn idle_backends_take_turns_in_the_order_of_the_configuration() {
        let mut balance = Balance::new();
        let mut order = Vec::new();
        for _ in 0..6 {
            let place = balance.begin([("a", 1), ("b", 1), ("c", 1)].into_iter()).unwrap();
            balance.end(["a", "b", "c"][place]);
            order.push(place);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_busy_one_gets_less() {
        let mut balance = Balance::new();
        let both = [("slow", 1), ("fast", 1)];
        assert_eq!(picks(&mut balance, &both, 2), [0, 1]);
        for _ in 0..10 {
            balance.end("fast");
            assert_eq!(picks(&mut balance, &both, 1), [1]);
        }
        balance.end("slow");
        assert_eq!(picks(&mut balance, &both, 1), [0]);
    }

    #[test]
    fn weights_share_the_work() {
        let mut balance = Balance::new();
        let picks = picks(&mut balance, &[("big", 3), ("small", 1)], 40);
        assert_eq!(picks.iter().filter(|&&place| place == 0).count(), 30);
    }

    #[test]
    fn of_none_there_is_none_and_ends_without_a_beginning_do_no_harm() {
        let mut balance = Balance::new();
        balance.end("nobody");
        assert_eq!(balance.begin([].into_iter()), None);
        assert_eq!(picks(&mut balance, &[("a", 0), ("b", u32::MAX)], 2), [1, 1]);
        balance.end("a");
    }
}
