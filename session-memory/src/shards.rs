//! Data spread over a fixed number of locks.

use std::sync::PoisonError;

use crate::primitives::{Mutex, MutexGuard, SHARDS};

/// One lock per shard. Nobody ever holds two of them, and nobody holds one across an await.
pub(crate) struct Shards<T>(Box<[Padded<T>]>);

/// Keeps neighbouring locks out of each other's cache line (two lines: processors fetch pairs).
#[repr(align(128))]
struct Padded<T>(Mutex<T>);

impl<T: Default> Shards<T> {
    pub(crate) fn new() -> Self {
        Self::filled_with(T::default)
    }
}

impl<T> Shards<T> {
    pub(crate) fn filled_with(make: impl Fn() -> T) -> Self {
        Self((0..SHARDS).map(|_| Padded(Mutex::new(make()))).collect())
    }

    /// Locks the shard `index`, taken modulo the number of shards.
    ///
    /// A poisoned lock is used on: no code of others runs inside a lock, so a panic there can only
    /// come from a caller's thread that was torn down between two complete steps.
    pub(crate) fn lock(&self, index: usize) -> MutexGuard<'_, T> {
        self.0[index % SHARDS].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
