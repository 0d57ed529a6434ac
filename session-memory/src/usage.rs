//! How much is stored, and whether there is room for more.

use std::sync::atomic::Ordering;

use crate::primitives::AtomicU64;

/// What a store may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) sessions: u64,
    pub(crate) bytes: u64,
}

impl Bounds {
    /// The part that anonymous sessions may use.
    const fn half(self) -> Self {
        Self { sessions: self.sessions / 2, bytes: self.bytes / 2 }
    }
}

/// What one record takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) bytes: u64,
    pub(crate) anonymous: bool,
}

/// What an index entry takes: about 1.6 places in a table, or its share of a tree node.
pub(crate) const ENTRY_BYTES: u64 = 56;

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The sum over everything stored, kept up to date by every write.
///
/// Room is taken before a record is put in and given back after one is taken out, so the sum is never
/// less than what is there.
pub(crate) struct Usage {
    bounds: Bounds,
    all: Counters,
    anonymous: Counters,
}

impl Usage {
    pub(crate) const fn new(bounds: Bounds) -> Self {
        Self { bounds, all: Counters::new(), anonymous: Counters::new() }
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.all.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.all.bytes.load(Ordering::Relaxed)
    }

    /// Takes room for a new record.
    pub(crate) fn reserve(&self, cost: Cost) -> Result<(), Full> {
        self.grow(1, cost.bytes, cost.anonymous)
    }

    /// Gives back the room of a record.
    pub(crate) fn release(&self, cost: Cost) {
        self.shrink(1, cost.bytes, cost.anonymous);
    }

    /// Takes or gives back the difference between a record and what replaces it.
    ///
    /// Never refused when an anonymous session becomes a user's.
    pub(crate) fn exchange(&self, old: Cost, new: Cost) -> Result<(), Full> {
        if old.anonymous && !new.anonymous {
            self.anonymous.give_back(1, old.bytes);
            self.all.bytes.fetch_add(new.bytes, Ordering::Relaxed);
            self.all.bytes.fetch_sub(old.bytes, Ordering::Relaxed);
            return Ok(());
        }
        match new.bytes.checked_sub(old.bytes) {
            Some(0) => Ok(()),
            Some(growth) => self.grow(0, growth, new.anonymous),
            None => {
                self.shrink(0, old.bytes - new.bytes, new.anonymous);
                Ok(())
            }
        }
    }

    /// Counts a new index entry. Never refused: the record that it announces may be.
    pub(crate) fn add_entry(&self) {
        self.all.bytes.fetch_add(ENTRY_BYTES, Ordering::Relaxed);
    }

    pub(crate) fn remove_entry(&self) {
        self.all.bytes.fetch_sub(ENTRY_BYTES, Ordering::Relaxed);
    }

    fn grow(&self, sessions: u64, bytes: u64, anonymous: bool) -> Result<(), Full> {
        if anonymous {
            self.anonymous.take(sessions, bytes, self.bounds.half())?;
        }
        let taken = self.all.take(sessions, bytes, self.bounds);
        if taken.is_err() && anonymous {
            self.anonymous.give_back(sessions, bytes);
        }
        taken
    }

    fn shrink(&self, sessions: u64, bytes: u64, anonymous: bool) {
        self.all.give_back(sessions, bytes);
        if anonymous {
            self.anonymous.give_back(sessions, bytes);
        }
    }
}

struct Counters {
    sessions: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    const fn new() -> Self {
        Self { sessions: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn take(&self, sessions: u64, bytes: u64, bounds: Bounds) -> Result<(), Full> {
        add_within(&self.sessions, sessions, bounds.sessions)?;
        let taken = add_within(&self.bytes, bytes, bounds.bytes);
        if taken.is_err() {
            self.sessions.fetch_sub(sessions, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, sessions: u64, bytes: u64) {
        self.sessions.fetch_sub(sessions, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Relaxed is enough: each counter bounds a number, and publishes nothing else.
fn add_within(counter: &AtomicU64, amount: u64, bound: u64) -> Result<(), Full> {
    if amount == 0 {
        return Ok(());
    }
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |present| {
            present.checked_add(amount).filter(|sum| *sum <= bound)
        })
        .map(drop)
        .map_err(|_| Full)
}
