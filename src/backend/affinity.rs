//! Which backends a conversation prefers, so that its prefix is found in a cache there.
//!
//! Rendezvous hashing: each backend gets a score from the conversation and its own name, and the order
//! of the scores is the order of preference. Isolates agree on it without sharing anything, and a
//! backend that comes or goes moves only the conversations that preferred it.

/// FNV-1a over several texts, each ended so that no two lists of texts look alike.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut state = OFFSET;
    for part in parts {
        for &byte in part.iter().chain(&(part.len() as u64).to_le_bytes()) {
            state = (state ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    mix(state)
}

/// How much a conversation prefers a backend. One of weight 3 is preferred three times as often as one of weight 1.
pub(super) fn score(conversation: u64, backend: &str, weight: u32) -> u64 {
    let base = hash(&[&conversation.to_le_bytes(), backend.as_bytes()]);
    (0..u64::from(weight.max(1))).map(|draw| mix(base.wrapping_add(draw))).max().unwrap_or(base)
}

/// The end of `SplitMix64`: every bit of the input moves every bit of the output.
const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn first(conversation: u64, backends: &[(&'static str, u32)]) -> &'static str {
        backends.iter().max_by_key(|(id, weight)| score(conversation, id, *weight)).unwrap().0
    }

    #[test]
    fn lists_of_texts_do_not_look_alike() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"a"]), hash(&[b"a", b""]));
    }

    #[test]
    fn conversations_spread_by_weight() {
        let backends = [("a", 1), ("b", 1), ("c", 2)];
        let count = |id| (0..10_000).filter(|&conversation| first(conversation, &backends) == id).count();
        assert!(
            (2300..2700).contains(&count("a")) && (4700..5300).contains(&count("c")),
            "{} {}",
            count("a"),
            count("c")
        );
    }

    #[test]
    fn one_that_goes_moves_only_its_own() {
        let all = [("a", 1), ("b", 1), ("c", 1)];
        let moved: Vec<u64> =
            (0..1000).filter(|&conversation| first(conversation, &all) != first(conversation, &all[..2])).collect();
        assert!(moved.iter().all(|&conversation| first(conversation, &all) == "c"));
    }
}
