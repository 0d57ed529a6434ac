//! Where an id or a subject belongs.

use std::hash::BuildHasher;

use session_core::SessionId;

use crate::primitives::{HashKeys, SHARDS};

/// A shard, and what is searched for in the table of that shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) hash: u32,
}

impl Place {
    /// From the hash of what is to be placed.
    #[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    fn of(hash: u64) -> Self {
        Self { shard: shard_for((hash >> 48) as u16), hash: hash as u32 }
    }
}

/// The shard for a number. The last shard gets twice as many numbers as the first, the others between.
///
/// A table doubles when it is full. Shards of one size would all do so at about the same number of
/// sessions, and then be half empty together; shards of different sizes take turns.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "between 0 and SHARDS"
)]
pub(crate) fn shard_for(number: u16) -> usize {
    // From 1 to 2 in equal steps, one for each shard: the numbers of a step grow with the root.
    let root = (1.0 + 3.0 * f32::from(number) / 65_536.0).sqrt();
    ((root - 1.0) * SHARDS as f32) as usize
}

/// What a table wants: it looks for the low bits and compares the high ones.
pub(crate) fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

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

    pub(crate) fn place(&self, id: &SessionId) -> Place {
        let [low, high] = halves(u128::from_le_bytes(*id.as_bytes()));
        let [a, b] = halves(u128::from(low ^ self.low) * u128::from(high ^ self.high));
        Place::of(a ^ b)
    }

    /// What is searched for in a table.
    pub(crate) fn hash(&self, id: &SessionId) -> u32 {
        self.place(id).hash
    }
}

/// The place of a subject: by a stronger hash, since users choose their own names.
pub(crate) fn place_of_subject(keys: &HashKeys, subject: &[u8]) -> Place {
    Place::of(keys.hash_one(subject))
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
const fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}
