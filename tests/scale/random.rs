//! Dice that fall alike on every machine.

/// `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    /// Less than `count`.
    pub(crate) const fn below(&mut self, count: u64) -> u64 {
        ((self.bits() as u128 * count as u128) >> 64) as u64
    }

    /// From 0 to 1.
    pub(crate) const fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A wait whose mean is `mean_ms`, at least 1, at most eight times as long. Without a logarithm, which
    /// differs between machines: the sum of two dice is near enough to what callers do.
    pub(crate) fn wait_ms(&mut self, mean_ms: u64) -> u64 {
        ((self.share() + self.share()) * mean_ms as f64) as u64 + 1
    }
}
