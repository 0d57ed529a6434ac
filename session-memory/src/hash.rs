//! Where an id belongs.

use std::hash::{BuildHasher, Hasher};

use session_core::SessionId;

use crate::primitives::{HashKeys, SHARDS};

/// Hashes session ids with one multiplication under two random keys.
///
/// Ids come from the random source of the operating system, so they need no mixing to be spread
/// evenly. The keys are there for ids that do not: nobody outside the process can choose ids that
/// collide, nor learn from response times which ones do.
#[derive(Clone, Copy)]
pub(crate) struct IdHash {
    low: u64,
    high: u64,
}

impl IdHash {
    pub(crate) fn new(keys: &HashKeys) -> Self {
        Self { low: keys.hash_one("low half of an id"), high: keys.hash_one("high half of an id") }
    }

    /// The shard of `id`, by bits that the tables inside the shards do not use.
    pub(crate) fn shard(&self, id: &SessionId) -> usize {
        usize::from(self.hash_one(id).to_le_bytes()[4]) % SHARDS
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { keys: *self, state: 0 }
    }
}

pub(crate) struct IdHasher {
    keys: IdHash,
    state: u64,
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(16) {
            let (low, high) = block.split_at(block.len().min(8));
            let product = u128::from(number(low) ^ self.keys.low ^ self.state)
                * u128::from(number(high) ^ self.keys.high);
            let [a, b] = halves(product);
            self.state = a ^ b;
        }
    }

    /// The length of an id, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

/// At most eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
const fn halves(product: u128) -> [u64; 2] {
    [product as u64, (product >> 64) as u64]
}
