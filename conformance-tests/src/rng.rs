//! Choices that can be repeated.

use std::hash::{BuildHasher, RandomState};

/// A small seeded generator (`SplitMix64`), for choices, ids and payloads of tests. Nothing secret.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A generator that goes its own way from here.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `end`.
    #[allow(clippy::cast_possible_truncation, reason = "below `end`, which is a usize")]
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A number that differs from run to run.
pub(crate) fn entropy() -> u64 {
    // The keys of `RandomState` come from the operating system, per thread and counted up per call.
    RandomState::new().hash_one(std::process::id())
}

/// Seed of one rule, from the seed of the run.
pub(crate) fn mix(seed: u64, text: &str) -> u64 {
    text.bytes().fold(seed, |sum, byte| Rng::new(sum ^ u64::from(byte)).next())
}
