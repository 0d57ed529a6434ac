//! One shard of the records, and the order in which they become due.

use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::mem;

use bytes::Bytes;
use session_core::{
    Authentication, CredentialTag, PreviousSecret, Record, RecordParts, Revision, SecretHash,
    SessionId, SessionSummary, Subject, Timestamp, TouchOutcome, UpdateOutcome,
};

use crate::hash::IdHash;
use crate::u48::U48;
use crate::usage::{Cost, Full, Usage};

/// What a record takes beside its payload, subject and tag: itself, its places in the table and in the
/// order of what is due, and the counter of its shared payload.
const RECORD_BYTES: u64 = 272;

/// What is kept of a record. Its two ends stand in the table itself, where a touch, a count and a purge find
/// them without following the pointer; the rest is boxed, so that a table that has just doubled wastes
/// little.
pub(crate) struct Stored {
    expires_at: U48,
    deadline: U48,
    body: Box<Body>,
}

struct Body {
    revision: Revision,
    secret_hash: SecretHash,
    subject: Option<Subject>,
    created_at: Timestamp,
    payload: Bytes,
    /// Absent for most anonymous sessions.
    login: Option<Box<Login>>,
    /// Which writing of its index entry the record relies on. Means nothing without a subject.
    stamp: U48,
    /// Its place in [`Shard::due`]: never later than its end.
    due: U48,
}

#[derive(Clone, PartialEq, Eq)]
struct Login {
    previous: Option<PreviousSecret>,
    authentication: Option<Authentication>,
    credential_tag: Option<CredentialTag>,
}

impl Stored {
    pub(crate) fn new(record: &Record, stamp: U48) -> Self {
        let login = Login {
            previous: record.previous().copied(),
            authentication: record.authentication(),
            credential_tag: record.credential_tag().cloned(),
        };
        let body = Body {
            revision: record.revision(),
            secret_hash: *record.secret_hash(),
            subject: record.subject().cloned(),
            created_at: record.created_at(),
            payload: record.payload().clone(),
            login: (login != Login::NONE).then(|| Box::new(login)),
            stamp,
            due: record.ends_at().into(),
        };
        Self {
            expires_at: record.expires_at().into(),
            deadline: record.deadline().into(),
            body: Box::new(body),
        }
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.outlives(now.into())
    }

    pub(crate) fn ends_at(&self) -> Timestamp {
        self.end().timestamp()
    }

    pub(crate) const fn subject(&self) -> Option<&Subject> {
        self.body.subject.as_ref()
    }

    pub(crate) const fn stamp(&self) -> U48 {
        self.body.stamp
    }

    pub(crate) fn cost(&self) -> Cost {
        let login = self.body.login.as_deref().map_or(0, |login| {
            let tag = login.credential_tag.as_ref().map_or(0, |tag| 16 + tag.as_bytes().len());
            size_of::<Login>() + tag
        });
        let subject = self.subject().map_or(0, |subject| 16 + subject.as_bytes().len());
        let bytes = (self.body.payload.len() + login + subject) as u64;
        Cost { bytes: RECORD_BYTES + bytes, anonymous: self.subject().is_none() }
    }

    pub(crate) fn record(&self, id: &SessionId) -> Record {
        let body = &*self.body;
        let login = body.login.as_deref();
        Record::from_parts(RecordParts {
            id: *id,
            revision: body.revision,
            secret_hash: body.secret_hash,
            previous: login.and_then(|login| login.previous),
            subject: body.subject.clone(),
            created_at: body.created_at,
            expires_at: self.expires_at.timestamp(),
            deadline: self.deadline.timestamp(),
            authentication: login.and_then(|login| login.authentication),
            credential_tag: login.and_then(|login| login.credential_tag.clone()),
            payload: body.payload.clone(),
        })
    }

    pub(crate) fn summary(&self, id: &SessionId) -> SessionSummary {
        SessionSummary::new(
            *id,
            self.body.subject.clone(),
            self.body.created_at,
            self.expires_at.timestamp(),
            self.deadline.timestamp(),
            self.body.login.as_deref().and_then(|login| login.authentication),
        )
    }

    fn end(&self) -> U48 {
        self.expires_at.min(self.deadline)
    }

    fn outlives(&self, now: U48) -> bool {
        now < self.end()
    }
}

impl Login {
    const NONE: Self = Self { previous: None, authentication: None, credential_tag: None };
}

/// A place in the order of what is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: U48,
    id: SessionId,
}

/// A part of the records, behind one lock.
pub(crate) struct Shard {
    table: HashMap<SessionId, Stored, IdHash>,
    /// Every record once, at or before its end. A touch leaves it where it is; a purge that finds it
    /// still alive moves it to its end of that moment.
    due: BTreeSet<Due>,
}

/// What one look at a shard's due records came to.
#[derive(Default)]
pub(crate) struct Examined {
    pub(crate) count: usize,
    pub(crate) removed: Vec<(SessionId, Stored)>,
}

impl Shard {
    pub(crate) fn new(hash: IdHash) -> Self {
        Self { table: HashMap::with_hasher(hash), due: BTreeSet::new() }
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Stored> {
        self.table.get(id)
    }

    pub(crate) fn get_live(&self, id: &SessionId, now: Timestamp) -> Option<&Stored> {
        self.get(id).filter(|stored| stored.is_live(now))
    }

    /// Puts a record in, and hands out the one that was there.
    pub(crate) fn insert(&mut self, id: SessionId, stored: Stored) -> Option<Stored> {
        let due = Due { at: stored.body.due, id };
        let replaced = self.table.insert(id, stored);
        if let Some(replaced) = &replaced {
            self.due.remove(&Due { at: replaced.body.due, id });
        }
        self.due.insert(due);
        replaced
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Stored> {
        let stored = self.table.remove(id)?;
        self.due.remove(&Due { at: stored.body.due, id: *id });
        Some(stored)
    }

    /// Swaps `next` with the live record under `id`, if that has the `expected` revision. The old
    /// content is left in `next`, to be dropped outside the lock.
    ///
    /// With `stamp` the record relies on that writing of its index entry from now on.
    pub(crate) fn compare_and_swap(
        &mut self,
        id: &SessionId,
        expected: Revision,
        next: &mut Stored,
        stamp: Option<U48>,
        now: Timestamp,
        usage: &Usage,
    ) -> Result<UpdateOutcome, Full> {
        let Some(present) = self.table.get_mut(id).filter(|stored| stored.is_live(now)) else {
            return Ok(UpdateOutcome::Missing);
        };
        if present.body.revision == next.body.revision {
            present.body.stamp = stamp.unwrap_or(present.body.stamp);
            return Ok(UpdateOutcome::Updated);
        }
        if present.body.revision != expected {
            return Ok(UpdateOutcome::Conflict);
        }
        usage.exchange(present.cost(), next.cost())?;
        next.expires_at = next.expires_at.max(present.expires_at);
        next.body.stamp = stamp.unwrap_or(present.body.stamp);
        let due = present.body.due;
        next.body.due = due.min(next.end());
        mem::swap(present, next);
        if present.body.due < due {
            self.due.remove(&Due { at: due, id: *id });
            self.due.insert(Due { at: present.body.due, id: *id });
        }
        Ok(UpdateOutcome::Updated)
    }

    pub(crate) fn touch(
        &mut self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> TouchOutcome {
        match self.table.get_mut(id).filter(|stored| stored.is_live(now)) {
            Some(stored) => {
                stored.expires_at = stored.expires_at.max(expires_at.into());
                TouchOutcome::Touched
            }
            None => TouchOutcome::Missing,
        }
    }

    /// Examines at most `limit` records that are due at `cutoff`: takes out those that have ended by
    /// then, and moves the others to their end.
    pub(crate) fn take_due(&mut self, limit: usize, cutoff: Timestamp) -> Examined {
        let mut examined = Examined::default();
        let cutoff = U48::from(cutoff);
        while examined.count < limit {
            let Some(due) = self.due.first().copied().filter(|due| due.at <= cutoff) else {
                break;
            };
            examined.count += 1;
            self.due.pop_first();
            let Some(stored) = self.table.get_mut(&due.id) else {
                continue;
            };
            if stored.outlives(cutoff) {
                stored.body.due = stored.end();
                self.due.insert(Due { at: stored.body.due, id: due.id });
            } else if let Some(stored) = self.table.remove(&due.id) {
                examined.removed.push((due.id, stored));
            }
        }
        examined
    }

    /// How many records are live: all but the due ones that are over. Cost: the number of due records.
    pub(crate) fn count_live(&self, now: Timestamp) -> usize {
        let now_in_millis = U48::from(now);
        let over = self
            .due
            .iter()
            .take_while(|due| due.at <= now_in_millis)
            .filter(|due| self.get_live(&due.id, now).is_none())
            .count();
        self.table.len() - over
    }

    /// The `limit` smallest ids greater than `after`, in order. Passes over all ids of the shard, in
    /// memory for `limit` of them.
    pub(crate) fn ids_after(&self, after: Option<&SessionId>, limit: usize) -> Vec<SessionId> {
        let mut smallest = BinaryHeap::with_capacity(limit + 1);
        for id in self.table.keys().filter(|id| after.is_none_or(|after| *id > after)) {
            if smallest.len() < limit || smallest.peek().is_some_and(|largest| id < largest) {
                smallest.push(*id);
                if smallest.len() > limit {
                    smallest.pop();
                }
            }
        }
        smallest.into_sorted_vec()
    }
}
