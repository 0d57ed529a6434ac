//! A simple store that keeps the contract, unless it is told to break it in one way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use conformance_tests::{Fixture, Profile, Space};
use session_core::{
    Change, Count, CreateOutcome, Cursor, Inspect, MAX_PAYLOAD_LEN, Page, PageRequest, Purge,
    Purged, Record, RecordParts, Revision, SecretHash, SessionId, SessionStore, SessionSummary,
    StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome,
    async_trait,
};

use crate::defects::Defect;

/// Namespace and id; the order is that of pages.
type Key = (String, SessionId);

#[derive(Clone)]
enum Row {
    Good(Record),
    Rubbish(Option<Subject>),
}

#[derive(Default)]
struct Data {
    rows: BTreeMap<Key, Row>,
    deleted: HashSet<Key>,
    updated: HashSet<Key>,
    entries: HashMap<(String, Subject), Vec<SessionId>>,
    first_deadlines: HashMap<Key, Timestamp>,
}

/// All namespaces, and the one thing that is wrong with the store.
pub(crate) struct Backend {
    data: Arc<Mutex<Data>>,
    defect: Option<Defect>,
}

impl Backend {
    pub(crate) fn new(defect: Option<Defect>) -> Self {
        Self { data: Arc::default(), defect }
    }
}

impl Fixture for Backend {
    type Store = TestStore;
    const PROFILE: Profile = Profile::new("the store of these tests");

    async fn start() -> conformance_tests::Result<Self> {
        Ok(Self::new(None))
    }

    async fn open(&self, space: &Space) -> conformance_tests::Result<TestStore> {
        let data = match self.defect {
            Some(Defect::HandlesAreApart) => Arc::default(),
            _ => Arc::clone(&self.data),
        };
        Ok(TestStore {
            data,
            space: space.name().to_owned(),
            defect: self.defect,
            read: Mutex::default(),
        })
    }

    async fn physical_rows(&self, space: &Space) -> conformance_tests::Result<Option<u64>> {
        let data = self.data.lock().unwrap();
        let rows = data.rows.keys().filter(|(name, _)| name == space.name()).count();
        Ok((self.defect != Some(Defect::HandlesAreApart)).then_some(rows as u64))
    }

    async fn corrupt(
        &self,
        space: &Space,
        id: &SessionId,
    ) -> conformance_tests::Result<Option<()>> {
        let mut data = self.data.lock().unwrap();
        if let Some(row) = data.rows.get_mut(&(space.name().to_owned(), *id)) {
            let subject = match row {
                Row::Good(record) => record.subject().cloned(),
                Row::Rubbish(subject) => subject.clone(),
            };
            *row = Row::Rubbish(subject);
        }
        Ok(Some(()))
    }
}

pub(crate) struct TestStore {
    data: Arc<Mutex<Data>>,
    space: String,
    defect: Option<Defect>,
    /// What this handle has read, for stores that remember it.
    read: Mutex<HashMap<SessionId, Record>>,
}

impl TestStore {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Lets others in between, where a careless store would.
    async fn pause(&self, defect: Defect) {
        if self.has(defect) {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    fn key(&self, id: &SessionId) -> Key {
        let mut bytes = *id.as_bytes();
        if self.has(Defect::FindsByHalfOfTheId) {
            bytes[8..].fill(1);
        }
        (self.space.clone(), SessionId::from_bytes(bytes).unwrap_or(*id))
    }

    fn error(&self, kind: StoreErrorKind, payload: &[u8]) -> StoreError {
        let kind = match self.has(Defect::EveryErrorIsUnavailable) {
            true => StoreErrorKind::Unavailable,
            false => kind,
        };
        match self.has(Defect::ErrorsShowThePayload) {
            true => StoreError::new(kind, String::from_utf8_lossy(payload).into_owned()),
            false => StoreError::new(kind, "a call of a test"),
        }
    }

    fn is_live(&self, record: &Record, now: Timestamp) -> bool {
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

    fn subject_of(row: &Row) -> Option<&Subject> {
        match row {
            Row::Good(record) => record.subject(),
            Row::Rubbish(subject) => subject.as_ref(),
        }
    }

    fn same_subject(&self, one: &Subject, other: &Subject) -> bool {
        match self.has(Defect::SubjectsIgnoreCase) {
            true => one.as_bytes().eq_ignore_ascii_case(other.as_bytes()),
            false => one == other,
        }
    }

    fn is_here(&self, name: &str) -> bool {
        match self.has(Defect::NamespacesByPrefix) {
            true => name.starts_with(&self.space),
            false => name == self.space,
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

    /// Live sessions that `wanted` picks, in the order of their ids.
    fn summaries(
        &self,
        now: Timestamp,
        wanted: impl Fn(&Key, &Record) -> bool,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let data = self.lock();
        let mut found = Vec::new();
        for (key, row) in data.rows.iter().filter(|((name, _), _)| self.is_here(name)) {
            let record = match row {
                Row::Good(record) => record,
                Row::Rubbish(_) if self.has(Defect::CorruptSpoilsTheList) => {
                    return Err(self.error(StoreErrorKind::Corrupt, b""));
                }
                Row::Rubbish(_) => continue,
            };
            let visible = self.is_live(record, now) || self.has(Defect::ListsWhatIsOver);
            if visible && wanted(key, record) {
                let mut summary = record.summary();
                if self.has(Defect::SummariesWithoutAuthentication) {
                    summary.authentication = None;
                }
                found.push(summary);
            }
        }
        Ok(found)
    }

    fn page(
        &self,
        all: Vec<SessionSummary>,
        request: &PageRequest,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let by_offset = self.has(Defect::PagesByOffset);
        let start = match request.cursor().map(Cursor::as_bytes) {
            None => 0,
            Some(_) if self.has(Defect::AnyCursorIsTheEnd) => all.len(),
            Some(bytes) => {
                let id = bytes.split_last_chunk::<16>().filter(|(tag, _)| *tag == b"after");
                let (_, id) = id.ok_or_else(|| self.error(StoreErrorKind::InvalidCursor, bytes))?;
                match by_offset {
                    true => usize::from(id[14]) * 256 + usize::from(id[15]),
                    false => all.partition_point(|summary| summary.id.as_bytes() <= id),
                }
            }
        };
        let start = if self.has(Defect::PagesSkip) && start > 0 { start + 1 } else { start };
        let limit = request.limit() + usize::from(self.has(Defect::PagesAreTooLong));
        let rest = all.len().saturating_sub(start);
        let items: Vec<_> = all.into_iter().skip(start).take(limit).collect();
        let next = items.last().filter(|_| rest > limit).map(|last| {
            let mut id = *last.id.as_bytes();
            if by_offset {
                id = [0; 16];
                id[14..].copy_from_slice(&u16::try_from(start + limit).unwrap().to_be_bytes());
            }
            Cursor::from_bytes(&[b"after", &id[..]].concat()).unwrap()
        });
        Ok(Page { items, next })
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
        if record.payload().len() > MAX_PAYLOAD_LEN && !self.has(Defect::CreateHasNoLimit) {
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
        if self.has(Defect::HandlesCache)
            && let Some(record) = self.read.lock().unwrap().get(id)
        {
            return Ok(Some(record.clone()).filter(|record| self.is_live(record, now)));
        }
        let key = self.key(id);
        let mut data = self.lock();
        let Some(row) = data.rows.get(&key) else { return Ok(None) };
        let Some(record) = self.read_row(row)? else { return Ok(None) };
        let mut parts = record.into_parts();
        parts.id = *id;
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
        if given.payload().len() > MAX_PAYLOAD_LEN && !self.has(Defect::UpdateHasNoLimit) {
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
                return Ok(match own && !self.has(Defect::OwnRevisionConflicts) {
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
            if self.has(Defect::UpdateForgetsPrevious) {
                parts.previous = old.previous().copied();
            }
            if self.has(Defect::UpdateKeepsRevision) {
                parts.revision = old.revision();
            }
            if self.has(Defect::UpdateLeavesTheTail) && old.payload().len() > parts.payload.len() {
                let tail = &old.payload()[parts.payload.len()..];
                parts.payload = [&parts.payload[..], tail].concat().into();
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
        self.pause(Defect::DeleteChecksThenRemoves).await;
        let mut data = self.lock();
        let removed = data.rows.remove(&key);
        let live = match removed {
            _ if self.has(Defect::DeleteChecksThenRemoves) => live,
            Some(Row::Good(record)) => self.is_live(&record, now),
            _ => false,
        };
        data.deleted.insert(key);
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

#[async_trait]
impl SubjectIndex for TestStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let (entries, first_deadlines) = {
            let data = self.lock();
            let key = (self.space.clone(), subject.clone());
            let entries = data.entries.get(&key).cloned().unwrap_or_default();
            (entries, data.first_deadlines.clone())
        };
        let hers = |key: &Key, record: &Record| {
            let entered = match self.defect {
                Some(Defect::UpdateIsNotIndexed | Defect::IndexIsRewritten) => {
                    entries.contains(record.id())
                }
                Some(Defect::EntriesEndWithFirstDeadline) => {
                    first_deadlines.get(key).is_none_or(|end| now < end.plus(self.margin()))
                }
                _ => true,
            };
            entered && record.subject().is_some_and(|found| self.same_subject(found, subject))
        };
        let mut all = self.summaries(now, hers)?;
        if self.has(Defect::UpdateDuplicatesTheEntry) {
            let again = |id: &SessionId| entries.iter().filter(|entry| *entry == id).count().max(1);
            all = all
                .into_iter()
                .flat_map(|summary| std::iter::repeat_n(summary.clone(), again(&summary.id)))
                .collect();
        }
        self.page(all, page)
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let except = except.filter(|_| !self.has(Defect::DeleteAllIgnoresException));
        let hers: Vec<(Key, Row)> = self
            .lock()
            .rows
            .iter()
            .filter(|((name, id), row)| {
                let subject =
                    Self::subject_of(row).is_some_and(|found| self.same_subject(found, subject));
                self.is_here(name) && subject && Some(id) != except
            })
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        let most = if self.has(Defect::DeleteAllStopsAtAPage) { 100 } else { usize::MAX };
        self.pause(Defect::DeleteAllSparesWhatChanges).await;
        let mut deleted = 0;
        for (key, row) in hers.into_iter().take(most) {
            let mut data = self.lock();
            if let (true, Row::Good(before), Some(Row::Good(stored))) =
                (self.has(Defect::DeleteAllSparesWhatChanges), &row, data.rows.get(&key))
                && before != stored
            {
                continue;
            }
            if let Some(Row::Good(record)) = data.rows.remove(&key) {
                let counts = self.has(Defect::DeleteAllCountsWhatIsOver);
                deleted += u64::from(counts || self.is_live(&record, now));
            }
        }
        Ok(deleted)
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = self.key(id);
        let mut data = self.lock();
        let hers = data.rows.get(&key).and_then(Self::subject_of);
        let hers = hers.is_some_and(|found| self.same_subject(found, subject));
        if !hers && !self.has(Defect::DeleteOneIgnoresSubject) {
            return Ok(false);
        }
        match data.rows.remove(&key) {
            Some(Row::Good(record)) => Ok(self.is_live(&record, now)),
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl Inspect for TestStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(self.summaries(now, |_, _| true)?, page)
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        Ok(Count::Exact(self.summaries(now, |_, _| true)?.len() as u64))
    }
}

#[async_trait]
impl Purge for TestStore {
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let limit = match self.has(Defect::PurgeIgnoresLimit) {
            true => usize::MAX,
            false => limit.get() as usize,
        };
        let ahead = Duration::from_millis(u64::from(self.has(Defect::PurgeIsHasty)));
        let is_over = |row: &Row| match row {
            Row::Good(record) if self.has(Defect::PurgeIgnoresDeadline) => {
                record.expires_at() <= cutoff
            }
            Row::Good(record) => record.ends_at() <= cutoff.plus(ahead),
            Row::Rubbish(_) => false,
        };
        let mut due = Vec::new();
        for ((name, id), row) in &self.lock().rows {
            if self.is_here(name) && is_over(row) && due.len() < limit {
                due.push((name.clone(), *id));
            }
        }
        let examined = due.len();
        self.pause(Defect::PurgeChecksThenRemoves).await;
        self.pause(Defect::PurgeCountsTwice).await;
        let mut data = self.lock();
        let careless = self.has(Defect::PurgeChecksThenRemoves);
        due.retain(|key| data.rows.get(key).is_some_and(|row| careless || is_over(row)));
        for key in &due {
            data.rows.remove(key);
        }
        let removed = if self.has(Defect::PurgeCountsTwice) { examined } else { due.len() };
        Ok(Purged { removed: removed as u64, more: examined == limit })
    }
}
