//! What a model checker replaces: locks, counters, the number of shards and the keys of the hashes.
//!
//! `tests/interleavings.rs` mounts the modules below `engine` once more, with its own module of this
//! name. So nothing else in those modules may lock, count or draw random keys.

pub(crate) use std::hash::RandomState as HashKeys;
pub(crate) use std::sync::atomic::AtomicU64;
pub(crate) use std::sync::{Mutex, MutexGuard};

/// How many locks the records are spread over, and the index entries as well. A power of two.
pub(crate) const SHARDS: usize = 64;
