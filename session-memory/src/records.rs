//! One shard of the records, and when they are to be looked at.

use std::collections::BinaryHeap;
use std::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use session_core::{
    Record, Revision, SessionId, SessionSummary, Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::alarms::Alarms;
use crate::body::Body;
use crate::hash::{IdHash, spread};
use crate::u48::U48;
use crate::usage::{Cost, Full, Usage};

/// What a record takes beside subject, tag, previous secret and payload: the rest of its body, about 1.6 places
/// in the table, and one to two alarms.
const RECORD_BYTES: u64 = Body::OVERHEAD as u64 + 96;

/// How many alarms of records that were removed are let alone in any case.
const SPARE_ALARMS: usize = 64;

/// A stored record. Its id and its two ends stand in the table itself, where a touch, a count and a purge
/// find them without following the pointer.
#[derive(Clone)]
pub(crate) struct Stored {
    id: SessionId,
    expires_at: U48,
    deadline: U48,
    body: Body,
}

impl Stored {
    pub(crate) fn new(record: &Record, stamp: U48) -> Self {
        Self {
            id: *record.id(),
            expires_at: record.expires_at().into(),
            deadline: record.deadline().into(),
            body: Body::new(record, stamp),
        }
    }

    pub(crate) const fn id(&self) -> &SessionId {
        &self.id
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.outlives(now.into())
    }

    pub(crate) fn ends_at(&self) -> Timestamp {
        self.end().timestamp()
    }

    /// The bytes of the subject.
    pub(crate) fn subject(&self) -> Option<&[u8]> {
        self.body.subject()
    }

    pub(crate) fn stamp(&self) -> U48 {
        self.body.stamp()
    }

    pub(crate) fn cost(&self) -> Cost {
        let bytes = RECORD_BYTES + self.body.len() as u64;
        Cost { bytes, anonymous: self.subject().is_none() }
    }

    pub(crate) fn into_record(self) -> Record {
        let (expires_at, deadline) = (self.expires_at.timestamp(), self.deadline.timestamp());
        self.body.into_record(self.id, expires_at, deadline)
    }

    pub(crate) fn summary(&self) -> SessionSummary {
        SessionSummary::new(
            self.id,
            self.body.owned_subject(),
            self.body.created_at(),
            self.expires_at.timestamp(),
            self.deadline.timestamp(),
            self.body.authentication(),
        )
    }

    fn end(&self) -> U48 {
        self.expires_at.min(self.deadline)
    }

    fn outlives(&self, now: U48) -> bool {
        now < self.end()
    }
}

/// A part of the records, behind one lock.
pub(crate) struct Shard {
    hash: IdHash,
    table: HashTable<Stored>,
    /// For every record one of its own, at or before its end; and some of records that were removed. A touch
    /// leaves them as they are, and a purge that finds the record still alive sets another one.
    pub(crate) alarms: Alarms,
}

/// What one look at a shard's due records came to.
#[derive(Default)]
pub(crate) struct Examined {
    pub(crate) count: usize,
    pub(crate) removed: Vec<Stored>,
}

/// What became of a record that was to be put in.
pub(crate) enum Inserted {
    /// It is in. The one that was there before, if any, had to give way.
    Done(Option<Stored>),
    /// Another one is there and stays.
    Refused,
}

impl Shard {
    pub(crate) fn new(hash: IdHash) -> Self {
        Self { hash, table: HashTable::new(), alarms: Alarms::default() }
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Stored> {
        self.table.find(spread(self.hash.hash(id)), |stored| stored.id == *id)
    }

    pub(crate) fn get_live(&self, id: &SessionId, now: Timestamp) -> Option<&Stored> {
        self.get(id).filter(|stored| stored.is_live(now))
    }

    /// Puts a record in, unless there is one under its id that does not give way.
    pub(crate) fn insert(
        &mut self,
        stored: Stored,
        gives_way: impl FnOnce(&Stored) -> bool,
    ) -> Inserted {
        let (hash, end) = (self.hash.hash(&stored.id), stored.end());
        let is_same = |present: &Stored| present.id == stored.id;
        let hasher = |present: &Stored| spread(self.hash.hash(&present.id));
        let replaced = match self.table.entry(spread(hash), is_same, hasher) {
            Entry::Occupied(mut present) if gives_way(present.get()) => {
                Some(mem::replace(present.get_mut(), stored))
            }
            Entry::Occupied(_) => return Inserted::Refused,
            Entry::Vacant(place) => {
                place.insert(stored);
                None
            }
        };
        self.alarms.set(end, hash);
        self.tidy_alarms();
        Inserted::Done(replaced)
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Stored> {
        let hash = spread(self.hash.hash(id));
        let (stored, _) = self.table.find_entry(hash, |stored| stored.id == *id).ok()?.remove();
        self.tidy_alarms();
        Some(stored)
    }

    /// Swaps `next` with the live record under its id, if that has the `expected` revision. The old
    /// content is left in `next`, to be dropped outside the lock.
    ///
    /// With `stamp` the record relies on that writing of its index entry from now on.
    pub(crate) fn compare_and_swap(
        &mut self,
        expected: Revision,
        next: &mut Stored,
        stamp: Option<U48>,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<UpdateOutcome, Full> {
        let hash = self.hash.hash(&next.id);
        let Some(present) = live_mut(&mut self.table, hash, &next.id, now) else {
            return Ok(UpdateOutcome::Missing);
        };
        if present.body.revision() == next.body.revision() {
            if let Some(stamp) = stamp {
                present.body.set_stamp(stamp);
            }
            return Ok(UpdateOutcome::Updated);
        }
        if present.body.revision() != expected {
            return Ok(UpdateOutcome::Conflict);
        }
        usage.exchange(present.cost(), next.cost())?;
        next.expires_at = next.expires_at.max(present.expires_at);
        if stamp.is_none() {
            next.body.set_stamp(present.body.stamp());
        }
        mem::swap(present, next);
        let (old_end, new_end) = (next.end(), present.end());
        if new_end < old_end {
            self.alarms.set(new_end, hash);
            self.tidy_alarms();
        }
        Ok(UpdateOutcome::Updated)
    }

    pub(crate) fn touch(
        &mut self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> TouchOutcome {
        match live_mut(&mut self.table, self.hash.hash(id), id, now) {
            Some(stored) => {
                stored.expires_at = stored.expires_at.max(expires_at.into());
                TouchOutcome::Touched
            }
            None => TouchOutcome::Missing,
        }
    }

    /// Looks after at most `limit` alarms that are due at `cutoff`: takes out records that have ended by then, and
    /// sets new alarms for those that live on.
    pub(crate) fn take_due(&mut self, limit: usize, cutoff: Timestamp) -> Examined {
        let mut examined = Examined::default();
        let cutoff = U48::from(cutoff);
        while examined.count < limit
            && let Some(hash) = self.alarms.ring(cutoff)
        {
            examined.count += 1;
            let ids = self.hash;
            let is_called = |stored: &Stored| ids.hash(&stored.id) == hash;
            let is_over = |stored: &Stored| is_called(stored) && !stored.outlives(cutoff);
            if let Ok(over) = self.table.find_entry(spread(hash), is_over) {
                examined.removed.push(over.remove().0);
            } else {
                // Several only if 32 bits of their hashes agree. Each of them set an alarm of its own.
                let called = self.table.iter_hash(spread(hash)).filter(|it| is_called(it));
                if let Some(end) = called.map(Stored::end).min() {
                    self.alarms.set(end, hash);
                }
            }
        }
        examined
    }

    /// How many records are live. Passes over all of the shard.
    pub(crate) fn count_live(&self, now: Timestamp) -> usize {
        self.table.iter().filter(|stored| stored.is_live(now)).count()
    }

    /// The `limit` smallest ids greater than `after`, in order. Passes over all ids of the shard, in
    /// memory for `limit` of them.
    pub(crate) fn ids_after(&self, after: Option<&SessionId>, limit: usize) -> Vec<SessionId> {
        let mut smallest = BinaryHeap::with_capacity(limit + 1);
        let ids = self.table.iter().map(Stored::id);
        for id in ids.filter(|id| after.is_none_or(|after| *id > after)) {
            if smallest.len() < limit || smallest.peek().is_some_and(|largest| id < largest) {
                smallest.push(*id);
                if smallest.len() > limit {
                    smallest.pop();
                }
            }
        }
        smallest.into_sorted_vec()
    }

    /// Sets all alarms anew when more than half of them are of no use, so that each write pays for a few.
    fn tidy_alarms(&mut self) {
        if self.alarms.len() > 2 * self.table.len() + SPARE_ALARMS {
            let hash = self.hash;
            self.alarms.set_anew(self.table.iter().map(|it| (it.end(), hash.hash(&it.id))));
        }
    }
}

fn live_mut<'a>(
    table: &'a mut HashTable<Stored>,
    hash: u32,
    id: &SessionId,
    now: Timestamp,
) -> Option<&'a mut Stored> {
    table.find_mut(spread(hash), |stored| stored.id == *id).filter(|stored| stored.is_live(now))
}
