//! The optional traits of the store.

use std::num::NonZeroU32;
use std::time::Duration;

use session_core::{
    Count, Cursor, Inspect, Page, PageRequest, Purge, Purged, Record, SessionId, SessionStore,
    SessionSummary, StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp, async_trait,
};

use crate::backend::{Data, Key, Row};
use crate::defects::Defect;
use crate::store::TestStore;

impl TestStore {
    /// Live sessions that `wanted` picks, in the order of their ids.
    fn summaries(
        &self,
        now: Timestamp,
        wanted: impl Fn(&Data, &Key, &Record) -> bool,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let data = self.lock();
        let mut found = Vec::new();
        for (key, row) in self.rows_here(&data) {
            let record = match row {
                Row::Good(record) => record,
                Row::Rubbish(_) if self.has(Defect::CorruptSpoilsTheList) => {
                    return Err(self.error(StoreErrorKind::Corrupt, b""));
                }
                Row::Rubbish(_) => continue,
            };
            let visible = self.is_live(record, now) || self.has(Defect::ListsWhatIsOver);
            if visible && wanted(&data, key, record) {
                let mut summary = record.summary();
                if self.has(Defect::SummariesWithoutAuthentication) {
                    summary.authentication = None;
                }
                found.push(summary);
            }
        }
        Ok(found)
    }

    fn take_out(&self, limit: usize) -> Vec<(Key, Row)> {
        let mut data = self.lock();
        let keys: Vec<_> = self.rows_here(&data).take(limit).map(|(key, _)| key.clone()).collect();
        keys.into_iter().filter_map(|key| data.rows.remove_entry(&key)).collect()
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

#[async_trait]
impl SubjectIndex for TestStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let entries_key = (self.space.clone(), subject.clone());
        let entries = self.lock().entries.get(&entries_key).cloned().unwrap_or_default();
        let hers = |data: &Data, key: &Key, record: &Record| {
            let entered = match self.defect {
                Some(Defect::UpdateIsNotIndexed | Defect::IndexIsRewritten) => {
                    entries.contains(record.id())
                }
                Some(Defect::EntriesEndWithFirstDeadline) => {
                    data.first_deadlines.get(key).is_none_or(|end| now < end.plus(self.margin()))
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
            .rows_here(&self.lock())
            .filter(|((_, id), row)| {
                let owner = Self::subject_of(row);
                owner.is_some_and(|found| self.same_subject(found, subject)) && Some(id) != except
            })
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        let most = if self.has(Defect::DeleteAllStopsAtAPage) { 100 } else { usize::MAX };
        self.pause(Defect::DeleteAllSparesWhatChanges).await;
        if self.has(Defect::DeleteAllRemovesNothing) {
            return Ok(u64::try_from(hers.len()).unwrap_or(u64::MAX));
        }
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
        self.page(self.summaries(now, |_, _, _| true)?, page)
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        Ok(Count::Exact(self.summaries(now, |_, _, _| true)?.len() as u64))
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
        for (key, row) in self.rows_here(&self.lock()) {
            if is_over(row) && due.len() < limit {
                due.push(key.clone());
            }
        }
        let examined = due.len();
        if self.has(Defect::PurgePutsBack) {
            let taken = self.take_out(limit);
            self.pause(Defect::PurgePutsBack).await;
            self.lock().rows.extend(taken);
        }
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
