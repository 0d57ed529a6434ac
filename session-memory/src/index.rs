//! The sessions of a subject.
//!
//! An index entry and its record are behind different locks, and nobody holds both. Still the index
//! never misses a session whose login has returned:
//!
//! 1. a writer [enters](SubjectEntries::enter) first, then writes the record. Entering stamps the entry with
//!    a number that no one had before, and the record keeps the stamp;
//! 2. whoever removed a record then [removes](SubjectEntries::remove) its entry, if that still has the
//!    record's stamp. Another stamp says that another writer has entered meanwhile, and may be about to
//!    write a record that relies on the entry;
//! 3. the writer of a record [confirms](SubjectEntries::confirm) the entry before it answers: if someone
//!    entered in between, the entry may belong to *their* record, and go with it. Then it gets a stamp that
//!    no record has, so that nobody removes it;
//! 4. a writer whose record was refused [retracts](SubjectEntries::retract) the entry, if it was new and
//!    nobody else has entered.
//!
//! Readers skip entries whose record is absent or another subject's, and remove nothing. Whatever these
//! rules leave behind is queued, and trimmed when its end has passed the cut-off of a purge. An entry's end
//! is only ever raised, and is never before the absolute deadline of its record, so a record whose entry was
//! trimmed has been over for the margin.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::atomic::Ordering;

use session_core::{SessionId, Subject, Timestamp};

use crate::primitives::{AtomicU64, HashKeys, SHARDS};
use crate::shards::Shards;
use crate::u48::U48;
use crate::usage::Usage;

/// The entries of all subjects, in ordered trees: a subject may have any number of sessions, and each
/// operation costs the logarithm of all.
pub(crate) struct SubjectEntries {
    keys: HashKeys,
    shards: Shards<Entries>,
    /// Per shard: how often an entry was stamped anew. Unchanged since a writer entered, it says that
    /// the writer's entry still has the writer's stamp, without a lock.
    disturbances: Box<[AtomicU64]>,
}

#[derive(Default)]
struct Entries {
    by_key: BTreeMap<Key, Entry>,
    leftovers: BTreeSet<(U48, Key)>,
    last_stamp: u64,
}

/// All entries of a subject stand together, in the order of their ids. Two subjects with the same 32 bits
/// of hash stand among each other: readers look at the record anyway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    subject: [u8; 4],
    id: SessionId,
}

#[derive(Clone, Copy)]
struct Entry {
    stamp: U48,
    end: U48,
    /// Its place among the leftovers, if it has one.
    queued: Option<U48>,
}

/// The receipt of a writer that has entered and not yet confirmed or retracted.
#[must_use]
pub(crate) struct Entered {
    shard: usize,
    key: Key,
    stamp: U48,
    end: U48,
    is_new: bool,
    disturbances: u64,
}

impl Entered {
    /// What the record has to keep.
    pub(crate) const fn stamp(&self) -> U48 {
        self.stamp
    }
}

impl SubjectEntries {
    pub(crate) fn new(keys: HashKeys) -> Self {
        let disturbances = (0..SHARDS).map(|_| AtomicU64::new(0)).collect();
        Self { keys, shards: Shards::new(), disturbances }
    }

    /// Writes the entry of a record that is about to be written. Cost: one lock.
    pub(crate) fn enter(
        &self,
        subject: &Subject,
        id: &SessionId,
        deadline: Timestamp,
        usage: &Usage,
    ) -> Entered {
        let (shard, subject) = self.place(subject);
        let key = Key { subject, id: *id };
        let mut entries = self.shards.lock(shard);
        let stamp = entries.next_stamp();
        let end = U48::from(deadline);
        let is_new = if let Some(entry) = entries.by_key.get_mut(&key) {
            entry.stamp = stamp;
            entry.end = entry.end.max(end);
            self.disturbances[shard].fetch_add(1, Ordering::SeqCst);
            false
        } else {
            entries.by_key.insert(key, Entry { stamp, end, queued: None });
            usage.add_entry();
            true
        };
        let disturbances = self.disturbances[shard].load(Ordering::SeqCst);
        Entered { shard, key, stamp, end, is_new, disturbances }
    }

    /// Makes sure that the entry of a record that was written stays as long as the record.
    pub(crate) fn confirm(&self, entered: &Entered, usage: &Usage) {
        if self.disturbances[entered.shard].load(Ordering::SeqCst) == entered.disturbances {
            return;
        }
        let mut entries = self.shards.lock(entered.shard);
        let unused = entries.next_stamp();
        match entries.by_key.get_mut(&entered.key) {
            Some(entry) if entry.stamp == entered.stamp => return,
            Some(entry) => {
                entry.stamp = unused;
                entry.end = entry.end.max(entered.end);
            }
            None => {
                let entry = Entry { stamp: entered.stamp, end: entered.end, queued: None };
                entries.by_key.insert(entered.key, entry);
                usage.add_entry();
            }
        }
        entries.queue(&entered.key);
    }

    /// Takes the entry of a record that was not written away again, if nobody else may rely on it.
    pub(crate) fn retract(&self, entered: &Entered, usage: &Usage) {
        let stamp = entered.is_new.then_some(entered.stamp);
        self.remove_or_queue(entered.shard, &entered.key, stamp, usage);
    }

    /// Removes the entry of a record that was removed, if nobody else may rely on it.
    pub(crate) fn remove(&self, subject: &Subject, id: &SessionId, stamp: U48, usage: &Usage) {
        let (shard, subject) = self.place(subject);
        self.remove_or_queue(shard, &Key { subject, id: *id }, Some(stamp), usage);
    }

    /// The next `limit` ids that may be sessions of `subject`, greater than `after`, in order.
    pub(crate) fn ids_after(
        &self,
        subject: &Subject,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Vec<SessionId> {
        let (shard, subject) = self.place(subject);
        let entries = self.shards.lock(shard);
        let start = match after {
            Some(id) => Bound::Excluded(Key { subject, id: *id }),
            None => Bound::Included(Key { subject, id: smallest_id() }),
        };
        entries
            .by_key
            .range((start, Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(|key| key.subject == subject)
            .take(limit)
            .map(|key| key.id)
            .collect()
    }

    /// Removes leftovers whose end is at or before `cutoff`, after looking at no more than `limit`.
    pub(crate) fn trim(&self, limit: usize, cutoff: Timestamp, usage: &Usage) {
        let mut examined = 0;
        for shard in 0..SHARDS {
            let mut entries = self.shards.lock(shard);
            while examined < limit
                && let Some(trimmed) = entries.trim_one(cutoff.into())
            {
                examined += 1;
                if trimmed {
                    usage.remove_entry();
                }
            }
        }
    }

    fn remove_or_queue(&self, shard: usize, key: &Key, stamp: Option<U48>, usage: &Usage) {
        let mut entries = self.shards.lock(shard);
        let Some(entry) = entries.by_key.get(key).copied() else { return };
        if Some(entry.stamp) == stamp {
            entries.by_key.remove(key);
            if let Some(at) = entry.queued {
                entries.leftovers.remove(&(at, *key));
            }
            usage.remove_entry();
        } else {
            entries.queue(key);
        }
    }

    /// The shard of a subject, and what stands for it there. By a keyed hash, since users choose their
    /// own names.
    fn place(&self, subject: &Subject) -> (usize, [u8; 4]) {
        let [shard, _, _, _, key @ ..] = self.keys.hash_one(subject.as_bytes()).to_le_bytes();
        (usize::from(shard) % SHARDS, key)
    }
}

impl Entries {
    fn next_stamp(&mut self) -> U48 {
        self.last_stamp += 1;
        U48::new(self.last_stamp)
    }

    /// Puts an entry among the leftovers, once.
    fn queue(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.get_mut(key)
            && entry.queued.is_none()
        {
            entry.queued = Some(entry.end);
            self.leftovers.insert((entry.end, *key));
        }
    }

    /// Looks at the first leftover, if it is due, and says whether it was removed. One whose end was
    /// raised since is queued again.
    fn trim_one(&mut self, cutoff: U48) -> Option<bool> {
        let (_, key) = self.leftovers.first().copied().filter(|(at, _)| *at <= cutoff)?;
        self.leftovers.pop_first();
        let Some(entry) = self.by_key.get_mut(&key) else { return Some(false) };
        entry.queued = None;
        if entry.end <= cutoff {
            self.by_key.remove(&key);
            return Some(true);
        }
        self.queue(&key);
        Some(false)
    }
}

/// No id is all zero, so this is the first.
fn smallest_id() -> SessionId {
    let mut bytes = [0; SessionId::LEN];
    bytes[SessionId::LEN - 1] = 1;
    SessionId::from_bytes(bytes).expect("not all zero")
}
