//! A simple store that keeps the contract, unless it is told to break it in one way.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use session_core::{
    Change, CreateOutcome, Inspect, MAX_PAYLOAD_LEN, Purge, Record, RecordParts, Revision,
    SecretHash, SessionId, SessionStore, StoreError, StoreErrorKind, Subject, SubjectIndex,
    Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::backend::{Data, Key, Row};
use crate::defects::Defect;
use crate::meddling::{blanked_if_later, merged, with_a_back_door, with_sets};

pub(crate) struct TestStore {
    data: Arc<Mutex<Data>>,
    pub(crate) space: String,
    pub(crate) defect: Option<Defect>,
    /// What this handle has read, for stores that remember it.
    read: Mutex<HashMap<SessionId, Record>>,
    /// Loads that may be under way at the same time on a narrow handle.
    places: Option<Semaphore>,
}

impl TestStore {
    pub(crate) fn new(data: Arc<Mutex<Data>>, space: &str, defect: Option<Defect>) -> Self {
        Self { data, space: space.to_owned(), defect, read: Mutex::default(), places: None }
    }

    /// The same with a place for one load at a time.
    pub(crate) fn narrow(mut self) -> Self {
        self.places = Some(Semaphore::new(1));
        self
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Lets others in between, where a careless store would.
    pub(crate) async fn pause(&self, defect: Defect) {
        if self.has(defect) {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until no other load is under way, where one at a time may be.
    async fn wait_for_a_place(&self) -> Result<(), StoreError> {
        let Some(places) = &self.places else { return Ok(()) };
        let place = timeout(Duration::from_secs(1), places.acquire()).await;
        let Ok(Ok(place)) = place else {
            return Err(self.error(StoreErrorKind::Overloaded, b""));
        };
        if self.has(Defect::DroppedLoadKeepsItsPlace) {
            place.forget();
            tokio::task::yield_now().await;
            places.add_permits(1);
        } else {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    pub(crate) fn key(&self, id: &SessionId) -> Key {
        let mut bytes = *id.as_bytes();
        if self.has(Defect::FindsByHalfOfTheId) {
            bytes[8..].fill(1);
        }
        (self.space.clone(), SessionId::from_bytes(bytes).unwrap_or(*id))
    }

    pub(crate) fn error(&self, kind: StoreErrorKind, payload: &[u8]) -> StoreError {
        let kind = match self.has(Defect::EveryErrorIsUnavailable) {
            true => StoreErrorKind::Unavailable,
            false => kind,
        };
        match self.has(Defect::ErrorsShowThePayload) {
            true => StoreError::new(kind, String::from_utf8_lossy(payload).into_owned()),
            false => StoreError::new(kind, "a call of a test"),
        }
    }

    fn is_too_large(&self, record: &Record) -> bool {
        let length = record.payload().len();
        match self.has(Defect::LimitIgnoresHighBytes) {
            true => length & 0xff_ffff > MAX_PAYLOAD_LEN,
            false => length > MAX_PAYLOAD_LEN,
        }
    }

    pub(crate) fn is_live(&self, record: &Record, now: Timestamp) -> bool {
        let end = match self.has(Defect::IgnoresDeadline) {
            true => record.expires_at(),
            false => record.ends_at(),
        };
        now < end || (self.has(Defect::LiveAtTheDeadline) && now == end)
    }

    /// The record as this store keeps it.
    fn stored(&self, record: &Record, now: Timestamp) -> Record {
        let mut parts = record.clone().into_parts();
        if self.has(Defect::ForgetsTag) {
            parts.credential_tag = None;
        }
        if self.has(Defect::PayloadEndsAtNul) {
            let length = parts.payload.iter().position(|byte| *byte == 0);
            parts.payload.truncate(length.unwrap_or(parts.payload.len()));
        }
        if self.has(Defect::PayloadsEndAt64K) {
            parts.payload.truncate(usize::from(u16::MAX));
        }
        if self.has(Defect::ArraysAreSets) {
            parts.payload = with_sets(&parts.payload);
        }
        if self.has(Defect::TimesInSeconds) {
            let floor = |time: Timestamp| Timestamp::from_millis(time.as_millis() / 1_000 * 1_000);
            parts.created_at = floor(parts.created_at);
            parts.expires_at = floor(parts.expires_at);
            parts.deadline = floor(parts.deadline);
        }
        if self.has(Defect::TimesEndIn2106) {
            let last = Timestamp::from_millis(u64::from(u32::MAX) * 1_000);
            parts.expires_at = parts.expires_at.min(last);
            parts.deadline = parts.deadline.min(last);
        }
        if self.has(Defect::PastEndMeansForever) && parts.expires_at <= now {
            parts.expires_at = Timestamp::MAX;
        }
        Record::from_parts(parts)
    }

    fn read_row(&self, row: &Row) -> Result<Option<Record>, StoreError> {
        match row {
            Row::Good(record) => Ok(Some(record.clone())),
            Row::Rubbish(_) if self.has(Defect::CorruptIsNone) => Ok(None),
            Row::Rubbish(_) => Err(self.error(StoreErrorKind::Corrupt, b"")),
        }
    }

    pub(crate) fn subject_of(row: &Row) -> Option<&Subject> {
        match row {
            Row::Good(record) => record.subject(),
            Row::Rubbish(subject) => subject.as_ref(),
        }
    }

    pub(crate) fn same_subject(&self, one: &Subject, other: &Subject) -> bool {
        let without_realm = |subject: &Subject| {
            let (length, rest) = subject.as_bytes().split_first().unwrap();
            rest[usize::from(*length)..].to_vec()
        };
        match self.defect {
            Some(Defect::SubjectsIgnoreCase) => {
                one.as_bytes().eq_ignore_ascii_case(other.as_bytes())
            }
            Some(Defect::SubjectsIgnoreRealm) => without_realm(one) == without_realm(other),
            _ => one == other,
        }
    }

    /// Whether any record of the namespace has the same secret.
    fn knows(&self, data: &Data, new: &Record) -> bool {
        self.rows_here(data).any(|(_, row)| match row {
            Row::Good(old) => old.secret_hash() == new.secret_hash(),
            Row::Rubbish(_) => false,
        })
    }

    /// The rows of the namespace.
    pub(crate) fn rows_here<'a>(&self, data: &'a Data) -> impl Iterator<Item = (&'a Key, &'a Row)> {
        let by_prefix = self.has(Defect::NamespacesByPrefix);
        let rows = data.rows_from(&self.space);
        rows.take_while(move |((name, _), _)| match by_prefix {
            true => name.starts_with(&self.space),
            false => *name == self.space,
        })
    }

    /// Where a careless update leaves in the row what was there.
    fn keep_of_old(&self, parts: &mut RecordParts, old: &Record, now: Timestamp) {
        let Some(defect) = self.defect else { return };
        match defect {
            Defect::UpdateForgetsPrevious => parts.previous = old.previous().copied(),
            Defect::UpdateForgetsPreviousOfUsers if parts.subject.is_some() => {
                parts.previous = None;
            }
            Defect::FirstPreviousIsKept => {
                parts.previous = old.previous().copied().or(parts.previous);
            }
            Defect::UpdateKeepsSecret => parts.secret_hash = *old.secret_hash(),
            Defect::UpdateKeepsAuthentication => {
                parts.authentication = old.authentication().or(parts.authentication);
            }
            Defect::UpdateResetsCreatedAt => parts.created_at = now,
            Defect::UpdateKeepsRevision => parts.revision = old.revision(),
            Defect::UpdateLeavesTheTail if old.payload().len() > parts.payload.len() => {
                let tail = &old.payload()[parts.payload.len()..];
                parts.payload = [&parts.payload[..], tail].concat().into();
            }
            Defect::UpdateMergesPayloads => {
                parts.payload = merged(old.payload(), &parts.payload);
            }
            _ => {}
        }
    }

    async fn enter(&self, record: &Record) {
        let Some(subject) = record.subject() else { return };
        let key = (self.space.clone(), subject.clone());
        let before = self.lock().entries.get(&key).cloned().unwrap_or_default();
        self.pause(Defect::IndexIsRewritten).await;
        let mut data = self.lock();
        if self.has(Defect::IndexIsRewritten) {
            data.entries.insert(key.clone(), before);
        }
        let entries = data.entries.entry(key).or_default();
        if !entries.contains(record.id()) || self.has(Defect::UpdateDuplicatesTheEntry) {
            entries.push(*record.id());
        }
        data.first_deadlines.entry(self.key(record.id())).or_insert(record.deadline());
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Defect::DebugShowsEverything) {
            for row in self.lock().rows.values() {
                if let Row::Good(record) = row {
                    write!(f, "{} ", String::from_utf8_lossy(record.payload()))?;
                }
            }
        }
        f.write_str("TestStore")
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if self.has(Defect::RecordsGoWithTheirHandles) {
            self.lock().rows.retain(|(name, _), _| *name != self.space);
        }
    }
}

#[async_trait]
impl SessionStore for TestStore {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        if self.is_too_large(record) && !self.has(Defect::CreateHasNoLimit) {
            return Err(self.error(StoreErrorKind::TooLarge, record.payload()));
        }
        let key = self.key(record.id());
        let mut stored = self.stored(record, now);
        {
            let mut data = self.lock();
            let taken = match data.rows.get(&key) {
                Some(Row::Good(old)) => self.is_live(old, now),
                Some(Row::Rubbish(_)) => !self.has(Defect::CorruptIsNone),
                None => self.has(Defect::DeletedIdsAreTaken) && data.deleted.contains(&key),
            };
            let taken = taken || (self.has(Defect::HashesAreUnique) && self.knows(&data, &stored));
            if taken && !self.has(Defect::CreateOverwrites) {
                return Ok(CreateOutcome::Exists);
            }
            if let (true, Some(Row::Good(old))) =
                (self.has(Defect::CreateMergesWithOld), data.rows.get(&key))
            {
                let mut parts = stored.into_parts();
                parts.subject = old.subject().cloned();
                parts.payload = old.payload().clone();
                stored = Record::from_parts(parts);
            }
            if !self.has(Defect::CreateChecksThenSets) {
                let mut first = stored.clone().into_parts();
                if self.has(Defect::CreateInTwoSteps) {
                    first.payload.clear();
                }
                data.rows.insert(key.clone(), Row::Good(Record::from_parts(first)));
            }
            data.updated.remove(&key);
        }
        self.pause(Defect::CreateChecksThenSets).await;
        self.pause(Defect::CreateInTwoSteps).await;
        if self.has(Defect::CreateChecksThenSets) || self.has(Defect::CreateInTwoSteps) {
            self.lock().rows.insert(key, Row::Good(stored.clone()));
        }
        self.enter(&stored).await;
        Ok(CreateOutcome::Created)
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.wait_for_a_place().await?;
        if self.has(Defect::HandlesCache)
            && let Some(record) = self.read.lock().unwrap().get(id)
        {
            return Ok(Some(record.clone()).filter(|record| self.is_live(record, now)));
        }
        let key = self.key(id);
        let mut data = self.lock();
        let Some(row) = data.rows.get(&key) else {
            if self.has(Defect::LoadLeavesATrace) {
                data.leftovers.insert(key);
            }
            let read = self.read.lock().unwrap().get(id).cloned();
            let remembers = self.has(Defect::DeletedStayInCaches);
            return Ok(read.filter(|record| remembers && self.is_live(record, now)));
        };
        let Some(record) = self.read_row(row)? else { return Ok(None) };
        let mut parts = record.into_parts();
        parts.id = *id;
        if self.has(Defect::BlanksLaterFormats) {
            parts.payload = blanked_if_later(parts.payload);
        }
        if self.has(Defect::StoredHashIsASecret) {
            parts = with_a_back_door(parts);
        }
        let record = Record::from_parts(parts);
        if !self.is_live(&record, now) {
            if self.has(Defect::LoadRemovesWhatIsOver) {
                data.rows.remove(&key);
            }
            return Ok(None);
        }
        if self.has(Defect::LoadExtends) {
            let mut parts = record.clone().into_parts();
            parts.expires_at = parts.expires_at.max(now.plus(Duration::from_secs(10)));
            data.rows.insert(key, Row::Good(Record::from_parts(parts)));
        }
        self.read.lock().unwrap().insert(*id, record.clone());
        Ok(Some(record))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let key = self.key(change.id());
        let given = change.record();
        if self.is_too_large(given) && !self.has(Defect::UpdateHasNoLimit) {
            return Err(self.error(StoreErrorKind::TooLarge, given.payload()));
        }
        let mut parts = self.stored(given, Timestamp::MIN).into_parts();
        let logs_in = {
            let mut data = self.lock();
            let old = match data.rows.get(&key) {
                Some(row) => self.read_row(row)?,
                None => None,
            };
            let revives = self.has(Defect::UpdateRevives);
            let old = old.filter(|old| revives || self.is_live(old, now));
            let Some(old) = old else {
                if !self.has(Defect::UpdateCreates) {
                    return Ok(UpdateOutcome::Missing);
                }
                data.rows.insert(key, Row::Good(given.clone()));
                return Ok(UpdateOutcome::Updated);
            };
            let never_updated = !data.updated.contains(&key);
            let unchecked = self.has(Defect::UpdateIsBlind)
                || (self.has(Defect::FirstUpdateIsBlind) && never_updated);
            if old.revision() != change.expected() && !unchecked {
                let own = old.revision() == given.revision();
                let own = own && !self.has(Defect::OwnRevisionConflicts);
                if !own && self.has(Defect::LogsHashesAfterConflicts) {
                    let hash = given.secret_hash().as_bytes();
                    tracing::trace!(target: "session_of_these_tests", ?hash, "a conflict");
                }
                return Ok(match own || self.has(Defect::ConflictsAreSwallowed) {
                    true => UpdateOutcome::Updated,
                    false => UpdateOutcome::Conflict,
                });
            }
            if !self.has(Defect::UpdateMovesIdleBack) {
                parts.expires_at = parts.expires_at.max(old.expires_at());
            }
            if self.has(Defect::UpdateKeepsTheLaterDeadline) {
                parts.deadline = parts.deadline.max(old.deadline());
            }
            self.keep_of_old(&mut parts, &old, now);
            if self.has(Defect::UpdateLeavesTheOldRow) {
                let version = [*old.revision().as_bytes(), *parts.revision.as_bytes()].concat();
                data.leftovers.insert((key.0.clone(), SessionId::try_from(&version[..]).unwrap()));
            }
            if self.has(Defect::LogsPayloads) {
                let payload = String::from_utf8_lossy(&parts.payload);
                tracing::debug!(target: "a_driver_of_these_tests", "SET {:?} {payload}", key.1);
            }
            if !self.has(Defect::UpdateChecksThenSets) {
                data.rows.insert(key.clone(), Row::Good(Record::from_parts(parts.clone())));
            }
            data.updated.insert(key.clone());
            old.subject().is_none() && given.subject().is_some()
        };
        self.pause(Defect::UpdateChecksThenSets).await;
        let stored = Record::from_parts(parts);
        if self.has(Defect::UpdateChecksThenSets) {
            self.lock().rows.insert(key, Row::Good(stored.clone()));
        }
        if (logs_in && !self.has(Defect::UpdateIsNotIndexed))
            || self.has(Defect::UpdateDuplicatesTheEntry)
        {
            self.enter(&stored).await;
        }
        Ok(UpdateOutcome::Updated)
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let key = self.key(id);
        let mut data = self.lock();
        let old = match data.rows.get(&key) {
            Some(row) => self.read_row(row)?,
            None if self.has(Defect::TouchCreates) => {
                let ghost = RecordParts {
                    id: *id,
                    revision: Revision::from_bytes([0; 8]),
                    secret_hash: SecretHash::from_bytes([0; 32]),
                    previous: None,
                    subject: None,
                    created_at: now,
                    expires_at,
                    deadline: Timestamp::MAX,
                    authentication: None,
                    credential_tag: None,
                    payload: session_core::Bytes::new(),
                };
                data.rows.insert(key, Row::Good(Record::from_parts(ghost)));
                return Ok(TouchOutcome::Missing);
            }
            None => None,
        };
        let revives = self.has(Defect::TouchRevives);
        let Some(old) = old.filter(|old| revives || self.is_live(old, now)) else {
            return Ok(TouchOutcome::Missing);
        };
        if self.has(Defect::TouchDoesNothing) {
            return Ok(TouchOutcome::Touched);
        }
        let stale = self.read.lock().unwrap().get(id).cloned();
        let base = match stale {
            Some(stale) if self.has(Defect::TouchWritesStaleData) => stale,
            _ => old.clone(),
        };
        let mut parts = base.into_parts();
        parts.expires_at = match self.has(Defect::TouchMovesBack) {
            true => expires_at,
            false => old.expires_at().max(self.stored(&with(&old, expires_at), now).expires_at()),
        };
        if self.has(Defect::TouchChangesRevision) {
            parts.revision = Revision::from_i64(parts.revision.as_i64().wrapping_add(1));
        }
        if self.has(Defect::TouchForgetsPrevious) {
            parts.previous = None;
        }
        if self.has(Defect::TouchRaisesDeadline) {
            parts.deadline = parts.deadline.max(expires_at);
        }
        data.rows.insert(key, Row::Good(Record::from_parts(parts)));
        Ok(TouchOutcome::Touched)
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let key = self.key(id);
        let live = match self.lock().rows.get(&key) {
            Some(Row::Good(record)) => self.is_live(record, now),
            _ => false,
        };
        if !live && self.has(Defect::DeleteLeavesWhatIsOver) {
            return Ok(false);
        }
        if self.has(Defect::DeleteRemovesNothing) {
            return Ok(live);
        }
        self.pause(Defect::DeleteChecksThenRemoves).await;
        let mut data = self.lock();
        let removed = data.rows.remove(&key);
        let live = match removed {
            _ if self.has(Defect::DeleteChecksThenRemoves) => live,
            Some(Row::Good(record)) => self.is_live(&record, now),
            _ => false,
        };
        data.deleted.insert(key);
        self.read.lock().unwrap().remove(id);
        Ok(live || self.has(Defect::DeleteIsAlwaysTrue))
    }

    fn margin(&self) -> Duration {
        Duration::from_secs(if self.has(Defect::MarginIsZero) { 0 } else { 300 })
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn purger(&self) -> Option<&dyn Purge> {
        Some(self)
    }
}

fn with(record: &Record, expires_at: Timestamp) -> Record {
    let mut parts = record.clone().into_parts();
    parts.expires_at = expires_at;
    Record::from_parts(parts)
}
