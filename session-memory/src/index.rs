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

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;
use std::sync::atomic::Ordering;

use hashbrown::{HashTable, hash_table};
use session_core::{SessionId, Timestamp};

use crate::hash::{Place, place_of_subject, spread};
use crate::primitives::{AtomicU64, HashKeys, SHARDS};
use crate::shards::Shards;
use crate::u48::U48;
use crate::usage::Usage;

/// The entries of all subjects.
pub(crate) struct SubjectEntries {
    keys: HashKeys,
    shards: Shards<Entries>,
    /// Per shard: how often an entry was stamped anew. Unchanged since a writer entered, it says that
    /// the writer's entry still has the writer's stamp, without a lock.
    disturbances: Box<[AtomicU64]>,
}

/// Most subjects have one session, which stands in a table. The others stand in an ordered tree: a subject
/// may have any number of sessions, and each operation costs at most the logarithm of all.
#[derive(Default)]
struct Entries {
    firsts: HashTable<(Key, Entry)>,
    others: BTreeMap<Key, Entry>,
    /// Entries to be trimmed, by their ends.
    leftovers: BTreeSet<(U48, Key)>,
    last_stamp: u64,
}

/// All entries of a subject have 32 bits of its hash in common, and in the tree stand together, in the order of
/// their ids. Two subjects with the same bits are taken for one: readers look at the record anyway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    subject: u32,
    id: SessionId,
}

#[derive(Clone, Copy)]
struct Entry {
    stamp: U48,
    end: U48,
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
        subject: &[u8],
        id: &SessionId,
        deadline: Timestamp,
        usage: &Usage,
    ) -> Entered {
        let Place { shard, hash } = self.place(subject);
        let key = Key { subject: hash, id: *id };
        let mut entries = self.shards.lock(shard);
        let stamp = entries.next_stamp();
        let end = U48::from(deadline);
        let is_new = entries.write(key, stamp, end);
        if is_new {
            usage.add_entry();
        } else {
            self.disturbances[shard].fetch_add(1, Ordering::SeqCst);
        }
        let disturbances = self.disturbances[shard].load(Ordering::SeqCst);
        Entered { shard, key, stamp, end, is_new, disturbances }
    }

    /// Makes sure that the entry of a record that was written stays as long as the record.
    pub(crate) fn confirm(&self, entered: &Entered, usage: &Usage) {
        if self.disturbances[entered.shard].load(Ordering::SeqCst) == entered.disturbances {
            return;
        }
        let mut entries = self.shards.lock(entered.shard);
        let stamp = match entries.get(&entered.key) {
            Some(entry) if entry.stamp == entered.stamp => return,
            // One that no record has.
            Some(_) => entries.next_stamp(),
            None => entered.stamp,
        };
        if entries.write(entered.key, stamp, entered.end) {
            usage.add_entry();
        }
        entries.queue(entered.key);
    }

    /// Takes the entry of a record that was not written away again, if nobody else may rely on it.
    pub(crate) fn retract(&self, entered: &Entered, usage: &Usage) {
        let stamp = entered.is_new.then_some(entered.stamp);
        self.remove_or_queue(entered.shard, entered.key, stamp, usage);
    }

    /// Removes the entry of a record that was removed, if nobody else may rely on it.
    pub(crate) fn remove(&self, subject: &[u8], id: &SessionId, stamp: U48, usage: &Usage) {
        let Place { shard, hash } = self.place(subject);
        self.remove_or_queue(shard, Key { subject: hash, id: *id }, Some(stamp), usage);
    }

    /// The next `limit` ids that may be sessions of `subject`, greater than `after`, in order.
    pub(crate) fn ids_after(
        &self,
        subject: &[u8],
        after: Option<&SessionId>,
        limit: usize,
    ) -> Vec<SessionId> {
        let Place { shard, hash } = self.place(subject);
        self.shards.lock(shard).ids_after(hash, after, limit)
    }

    /// Removes leftovers whose end is at or before `cutoff`, no more than `limit`.
    pub(crate) fn trim(&self, limit: usize, cutoff: Timestamp, usage: &Usage) {
        let mut trimmed = 0;
        for shard in 0..SHARDS {
            let mut entries = self.shards.lock(shard);
            while trimmed < limit && entries.trim_one(cutoff.into()) {
                trimmed += 1;
                usage.remove_entry();
            }
        }
    }

    fn remove_or_queue(&self, shard: usize, key: Key, stamp: Option<U48>, usage: &Usage) {
        let mut entries = self.shards.lock(shard);
        match entries.get(&key) {
            Some(entry) if Some(entry.stamp) == stamp => {
                entries.remove(&key);
                usage.remove_entry();
            }
            Some(_) => entries.queue(key),
            None => {}
        }
    }

    fn place(&self, subject: &[u8]) -> Place {
        place_of_subject(&self.keys, subject)
    }
}

impl Entries {
    fn next_stamp(&mut self) -> U48 {
        self.last_stamp += 1;
        U48::new(self.last_stamp)
    }

    fn get(&self, key: &Key) -> Option<&Entry> {
        let first = self.firsts.find(spread(key.subject), |(first, _)| first == key);
        first.map(|(_, entry)| entry).or_else(|| self.others.get(key))
    }

    /// Stamps an entry and raises its end. `true` if it is a new one.
    fn write(&mut self, key: Key, stamp: U48, end: U48) -> bool {
        let entry = Entry { stamp, end };
        let is_theirs = |(first, _): &(Key, Entry)| first.subject == key.subject;
        let hasher = |(first, _): &(Key, Entry)| spread(first.subject);
        let present = match self.firsts.entry(spread(key.subject), is_theirs, hasher) {
            hash_table::Entry::Occupied(first) if first.get().0 == key => &mut first.into_mut().1,
            hash_table::Entry::Occupied(_) => match self.others.entry(key) {
                btree_map::Entry::Occupied(other) => other.into_mut(),
                btree_map::Entry::Vacant(place) => {
                    place.insert(entry);
                    return true;
                }
            },
            hash_table::Entry::Vacant(place) => {
                // The first may be gone while others are still there.
                let Some(other) = self.others.get_mut(&key) else {
                    place.insert((key, entry));
                    return true;
                };
                other
            }
        };
        let (old_end, new_end) = (present.end, present.end.max(end));
        *present = Entry { stamp, end: new_end };
        if self.leftovers.remove(&(old_end, key)) {
            self.leftovers.insert((new_end, key));
        }
        false
    }

    fn remove(&mut self, key: &Key) {
        let first = self.firsts.find_entry(spread(key.subject), |(first, _)| first == key);
        let removed = match first {
            Ok(first) => Some(first.remove().0.1),
            Err(_) => self.others.remove(key),
        };
        if let Some(entry) = removed {
            self.leftovers.remove(&(entry.end, *key));
        }
    }

    /// Puts an entry among the leftovers.
    fn queue(&mut self, key: Key) {
        if let Some(end) = self.get(&key).map(|entry| entry.end) {
            self.leftovers.insert((end, key));
        }
    }

    /// Removes the leftover with the earliest end, if that has passed.
    fn trim_one(&mut self, cutoff: U48) -> bool {
        let due = self.leftovers.first().copied().filter(|(end, _)| *end <= cutoff);
        if let Some((_, key)) = due {
            self.remove(&key);
        }
        due.is_some()
    }

    fn ids_after(&self, subject: u32, after: Option<&SessionId>, limit: usize) -> Vec<SessionId> {
        let start = match after {
            Some(id) => Bound::Excluded(Key { subject, id: *id }),
            None => Bound::Included(Key { subject, id: smallest_id() }),
        };
        let others = self.others.range((start, Bound::Unbounded)).map(|(key, _)| key);
        let others = others.take_while(|key| key.subject == subject).take(limit);
        let mut ids: Vec<_> = others.map(|key| key.id).collect();

        let first = self.firsts.find(spread(subject), |(first, _)| first.subject == subject);
        let first = first.map(|(key, _)| key.id);
        if let Some(id) = first.filter(|id| after.is_none_or(|after| id > after)) {
            ids.insert(ids.partition_point(|other| *other < id), id);
            ids.truncate(limit);
        }
        ids
    }
}

/// No id is all zero, so this is the first.
fn smallest_id() -> SessionId {
    let mut bytes = [0; SessionId::LEN];
    bytes[SessionId::LEN - 1] = 1;
    SessionId::from_bytes(bytes).expect("not all zero")
}
