//! Pseudo-random numbers: fast, and the same in every run.

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above zero. The bias is below `end` in 2^64.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let number = (u128::from(self.next()) * end as u128) >> 64;
        usize::try_from(number).expect("it is below a usize")
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let number = (u128::from(self.next()) << 64) | u128::from(self.next());
        number.to_be_bytes()
    }
}
