//! How a store is set up.

use std::time::Duration;

use session_core::{MAX_PAYLOAD_LEN, StoreError, StoreErrorKind};

use crate::store::MemoryStore;
use crate::usage::Bounds;

/// Sets up a [`MemoryStore`]. Every setting has a finite default.
///
/// ```
/// use session_memory::MemoryStore;
/// use std::time::Duration;
///
/// let store = MemoryStore::builder()
///     .max_sessions(50_000)
///     .max_bytes(64 << 20)
///     .margin(Duration::from_secs(600))
///     .build()?;
/// # Ok::<(), session_core::StoreError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct MemoryStoreBuilder {
    bounds: Bounds,
    margin: Duration,
    max_skew: Duration,
}

impl MemoryStoreBuilder {
    /// The bound on the number of sessions, unless set: one million.
    pub const DEFAULT_MAX_SESSIONS: u64 = 1_000_000;

    /// The bound on bytes, unless set: 1 GiB.
    pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;

    /// The lowest bound on bytes, 1 MiB: room for an anonymous session of the largest size.
    pub const MIN_MAX_BYTES: u64 = 4 * MAX_PAYLOAD_LEN as u64;

    /// The margin, unless set: 5 minutes.
    pub const DEFAULT_MARGIN: Duration = Duration::from_secs(300);

    /// The largest skew of clocks, unless set: 60 seconds.
    pub const DEFAULT_MAX_SKEW: Duration = Duration::from_secs(60);

    pub(crate) const fn new() -> Self {
        Self {
            bounds: Bounds { sessions: Self::DEFAULT_MAX_SESSIONS, bytes: Self::DEFAULT_MAX_BYTES },
            margin: Self::DEFAULT_MARGIN,
            max_skew: Self::DEFAULT_MAX_SKEW,
        }
    }

    /// At most this many sessions are stored, at most half of them anonymous. At least 2.
    ///
    /// Sessions that are over count until they are removed.
    pub const fn max_sessions(mut self, sessions: u64) -> Self {
        self.bounds.sessions = sessions;
        self
    }

    /// At most about this many bytes are stored, at most half of them for anonymous sessions. At
    /// least [`MIN_MAX_BYTES`](Self::MIN_MAX_BYTES).
    ///
    /// Counted are payload, subject, credential tag and previous secret by their length, and records and
    /// index entries at a flat rate for what they take on the heap.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// How long after its end a session is removed at the earliest, unless it is deleted.
    ///
    /// Must exceed [`max_skew`](Self::max_skew).
    pub const fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// By how much the clock of the machine may jump, or the clocks that callers pass may differ.
    pub const fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }

    /// An empty store.
    ///
    /// # Errors
    ///
    /// [`Config`](StoreErrorKind::Config) for a margin that does not exceed the skew, and for bounds
    /// that are too low.
    pub fn build(self) -> Result<MemoryStore, StoreError> {
        let mistake = if self.margin <= self.max_skew {
            "the margin must exceed the largest skew of clocks"
        } else if self.bounds.sessions < 2 {
            "a store of fewer than two sessions has no room for an anonymous one"
        } else if self.bounds.bytes < Self::MIN_MAX_BYTES {
            "a store of less than 1 MiB has no room for the largest anonymous session"
        } else {
            return Ok(MemoryStore::with(self.bounds, self.margin));
        };
        Err(StoreError::new(StoreErrorKind::Config, mistake))
    }
}
