//! The operations, over records, index and bounds. Nothing here awaits, and nothing holds two locks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use session_core::{
    Change, CreateOutcome, Record, SessionId, SessionSummary, StoreError, StoreErrorKind, Subject,
    Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::hash::IdHash;
use crate::index::{Entered, SubjectEntries};
use crate::primitives::{AtomicU64, HashKeys, MutexGuard, SHARDS};
use crate::records::{Inserted, Shard, Stored};
use crate::shards::Shards;
use crate::u48::U48;
use crate::usage::{Bounds, Full, Usage};

/// How many due records a write examines before it answers that the store is full.
const RECLAIM: usize = 64;

/// How many records are examined, or entries read, without letting go of the lock.
pub(crate) const BATCH: usize = 256;

/// Everything that the handles of a store share.
pub(crate) struct Engine {
    pub(crate) keys: HashKeys,
    hash: IdHash,
    records: Shards<Shard>,
    index: SubjectEntries,
    usage: Usage,
    margin: Duration,
    /// Where the next purge begins, so that no shard is always the last.
    next_shard: AtomicU64,
}

/// What a batch of a purge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgedBatch {
    pub(crate) examined: usize,
    pub(crate) removed: usize,
}

/// A piece of a walk over the sessions of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeletedBatch {
    pub(crate) live: u64,
    /// Where to go on.
    pub(crate) last: Option<SessionId>,
}

impl Engine {
    pub(crate) fn new(keys: HashKeys, bounds: Bounds, margin: Duration) -> Self {
        let hash = IdHash::new(&keys);
        Self {
            hash,
            records: Shards::filled_with(|| Shard::new(hash)),
            index: SubjectEntries::new(keys.clone()),
            keys,
            usage: Usage::new(bounds),
            margin,
            next_shard: AtomicU64::new(0),
        }
    }

    pub(crate) const fn margin(&self) -> Duration {
        self.margin
    }

    pub(crate) const fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(crate) fn create(
        &self,
        record: &Record,
        now: Timestamp,
    ) -> Result<CreateOutcome, StoreError> {
        record.check_payload()?;
        let entered = record.subject().map(|subject| self.enter(subject, record));
        let outcome = self.insert(record, entered.as_ref().map(Entered::stamp), now);
        self.settle(entered.as_ref(), matches!(outcome, Ok(CreateOutcome::Created)));
        outcome.map_err(|Full| full("create"))
    }

    pub(crate) fn load(&self, id: &SessionId, now: Timestamp) -> Option<Record> {
        let stored = self.shard(id).get_live(id, now).cloned();
        stored.map(Stored::into_record)
    }

    pub(crate) fn update(
        &self,
        change: &Change,
        now: Timestamp,
    ) -> Result<UpdateOutcome, StoreError> {
        let record = change.record();
        record.check_payload()?;
        let entered = record
            .subject()
            .filter(|_| change.writes_index_entry())
            .map(|subject| self.enter(subject, record));
        let stamp = entered.as_ref().map(Entered::stamp);
        let outcome = self.replace(change, stamp, now).or_else(|Full| {
            self.reclaim(now);
            self.replace(change, stamp, now)
        });
        self.settle(entered.as_ref(), matches!(outcome, Ok(UpdateOutcome::Updated)));
        outcome.map_err(|Full| full("update"))
    }

    pub(crate) fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> TouchOutcome {
        self.shard(id).touch(id, expires_at, now)
    }

    /// Removes the record, whoever it belongs to. `true` if it was live.
    pub(crate) fn delete(&self, id: &SessionId, now: Timestamp) -> bool {
        let removed = self.shard(id).remove(id);
        self.forget(removed.as_ref(), now)
    }

    /// Removes the record if it is the subject's. `true` if it was live.
    pub(crate) fn delete_if_of(&self, subject: &Subject, id: &SessionId, now: Timestamp) -> bool {
        let mut shard = self.shard(id);
        let is_theirs = shard.get(id).and_then(Stored::subject) == Some(subject.as_bytes());
        let removed = if is_theirs { shard.remove(id) } else { None };
        drop(shard);
        self.forget(removed.as_ref(), now)
    }

    /// Deletes the next batch of the subject's sessions.
    pub(crate) fn delete_batch_of(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        after: Option<&SessionId>,
        now: Timestamp,
    ) -> DeletedBatch {
        let ids = self.index.ids_after(subject.as_bytes(), after, BATCH);
        let live = ids
            .iter()
            .filter(|id| except != Some(id) && self.delete_if_of(subject, id, now))
            .count() as u64;
        DeletedBatch { live, last: ids.last().copied().filter(|_| ids.len() == BATCH) }
    }

    /// The live ones of the next `limit` sessions of the subject, and the last id looked at if there
    /// are more.
    pub(crate) fn list(
        &self,
        subject: &Subject,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> (Vec<SessionSummary>, Option<SessionId>) {
        let mut ids = self.index.ids_after(subject.as_bytes(), after, limit + 1);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let last = ids.last().copied().filter(|_| more);
        let summaries = ids.iter().filter_map(|id| self.summary_if_of(subject, id, now)).collect();
        (summaries, last)
    }

    /// The live ones of the next `limit` records of a shard, and the last id looked at if there may
    /// be more. Takes from `limit` what it looked at.
    pub(crate) fn scan_shard(
        &self,
        shard: usize,
        after: Option<&SessionId>,
        limit: &mut usize,
        now: Timestamp,
    ) -> (Vec<SessionSummary>, Option<SessionId>) {
        let shard = self.records.lock(shard);
        let ids = shard.ids_after(after, *limit);
        *limit -= ids.len();
        let last = ids.last().copied().filter(|_| *limit == 0);
        let live = ids.iter().filter_map(|id| Some(shard.get_live(id, now)?.summary())).collect();
        (live, last)
    }

    pub(crate) fn shard_of(&self, id: &SessionId) -> usize {
        self.hash.place(id).shard
    }

    pub(crate) fn count_shard(&self, shard: usize, now: Timestamp) -> u64 {
        self.records.lock(shard).count_live(now) as u64
    }

    /// Examines at most `limit` records that are due, and as many leftovers of the index.
    pub(crate) fn purge_batch(&self, limit: usize, cutoff: Timestamp) -> PurgedBatch {
        let mut batch = PurgedBatch { examined: 0, removed: 0 };
        let start = self.next_shard.fetch_add(1, Ordering::Relaxed).to_le_bytes()[0];
        for shard in (0..SHARDS).map(|step| usize::from(start) + step) {
            if batch.examined == limit {
                break;
            }
            let examined = self.records.lock(shard).take_due(limit - batch.examined, cutoff);
            batch.examined += examined.count;
            batch.removed += examined.removed.len();
            for stored in examined.removed {
                self.forget(Some(&stored), cutoff);
            }
        }
        self.index.trim(limit, cutoff, &self.usage);
        batch
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, Shard> {
        self.records.lock(self.hash.place(id).shard)
    }

    fn enter(&self, subject: &Subject, record: &Record) -> Entered {
        self.index.enter(subject.as_bytes(), record.id(), record.deadline(), &self.usage)
    }

    fn settle(&self, entered: Option<&Entered>, written: bool) {
        match entered {
            Some(entered) if written => self.index.confirm(entered, &self.usage),
            Some(entered) => self.index.retract(entered, &self.usage),
            None => {}
        }
    }

    /// A record that is over gives way only when its margin has passed, as for every removal that
    /// nobody asked for.
    fn insert(
        &self,
        record: &Record,
        stamp: Option<U48>,
        now: Timestamp,
    ) -> Result<CreateOutcome, Full> {
        let stored = Stored::new(record, stamp.unwrap_or_default());
        let cost = stored.cost();
        let reserved = self.usage.reserve(cost).or_else(|Full| {
            self.reclaim(now);
            self.usage.reserve(cost)
        });
        let gives_way = |present: &Stored| present.ends_at().plus(self.margin) <= now;
        let mut shard = self.shard(record.id());
        if let Err(Full) = reserved {
            return match shard.get(record.id()) {
                Some(present) if !gives_way(present) => Ok(CreateOutcome::Exists),
                _ => Err(Full),
            };
        }
        let inserted = shard.insert(stored, gives_way);
        drop(shard);
        if let Inserted::Done(replaced) = inserted {
            self.forget(replaced.as_ref(), now);
            Ok(CreateOutcome::Created)
        } else {
            self.usage.release(cost);
            Ok(CreateOutcome::Exists)
        }
    }

    fn replace(
        &self,
        change: &Change,
        stamp: Option<U48>,
        now: Timestamp,
    ) -> Result<UpdateOutcome, Full> {
        let mut next = Stored::new(change.record(), stamp.unwrap_or_default());
        let mut shard = self.shard(change.id());
        let outcome = shard.compare_and_swap(change.expected(), &mut next, stamp, now, &self.usage);
        drop(shard);
        outcome
    }

    /// Gives back what a record took that has just been removed. `true` if it was live.
    fn forget(&self, removed: Option<&Stored>, now: Timestamp) -> bool {
        let Some(removed) = removed else { return false };
        self.usage.release(removed.cost());
        if let Some(subject) = removed.subject() {
            self.index.remove(subject, removed.id(), removed.stamp(), &self.usage);
        }
        removed.is_live(now)
    }

    fn reclaim(&self, now: Timestamp) {
        self.purge_batch(RECLAIM, now.minus(self.margin));
    }

    fn summary_if_of(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Option<SessionSummary> {
        let shard = self.shard(id);
        let stored = shard.get_live(id, now)?;
        (stored.subject() == Some(subject.as_bytes())).then(|| stored.summary())
    }
}

fn full(call: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Full, call)
}
