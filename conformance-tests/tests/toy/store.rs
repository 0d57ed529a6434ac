//! The four traits of the contract on a folder.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use session_core::{
    Change, Count, CreateOutcome, Cursor, Inspect, MAX_PAYLOAD_LEN, Page, PageRequest, Purge,
    Purged, Record, RecordParts, SessionId, SessionStore, SessionSummary, StoreError,
    StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};

use crate::folder::Folder;

/// Sessions in the files of a folder, which any number of handles and processes may share.
///
/// A toy. Every write and every listing takes the one lock of the folder, listings read all files, and
/// files are read and written in the middle of async functions, which blocks the executor meanwhile. Nothing
/// is flushed to the disk: sessions outlive the process, but not a power cut.
///
/// What makes it right nevertheless: nothing is awaited while the lock is held. So an operation that has
/// the lock runs to its end, even when the caller drops its future, and no other comes in between.
#[derive(Debug)]
pub(crate) struct FileStore {
    folder: Folder,
}

impl FileStore {
    /// Opens the store in `folder`, and makes the folder if there is none.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        Ok(Self { folder: Folder::open(folder)? })
    }

    /// A page of the records that are `wanted`, in the order of their ids. The cursor is the last id that
    /// was looked at, so whatever comes or goes, nobody is skipped.
    async fn page(
        &self,
        page: &PageRequest,
        wanted: impl Fn(&Record) -> bool + Send,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let after = page.cursor().map(|cursor| SessionId::try_from(cursor.as_bytes())).transpose();
        let after = after.map_err(|_| {
            StoreError::new(StoreErrorKind::InvalidCursor, "read the page's cursor")
        })?;
        let ids = self.folder.lock().await?.ids()?;
        let mut ids = ids.into_iter().filter(|id| Some(*id) > after).peekable();
        let mut items = Vec::new();
        while let Some(id) = ids.next() {
            items.extend(self.folder.readable(&id)?.filter(&wanted).map(|record| record.summary()));
            if items.len() == page.limit() && ids.peek().is_some() {
                let next =
                    Cursor::from_bytes(id.as_bytes()).expect("an id is as long as a cursor may be");
                return Ok(Page { items, next: Some(next) });
            }
        }
        Ok(Page { items, next: None })
    }
}

#[async_trait]
impl SessionStore for FileStore {
    async fn create(&self, record: &Record, _now: Timestamp) -> Result<CreateOutcome, StoreError> {
        check_size(record)?;
        let folder = self.folder.lock().await?;
        // A record that is over keeps its id until it is purged: so no clock can destroy another's session.
        if folder.exists(record.id())? {
            return Ok(CreateOutcome::Exists);
        }
        folder.write(record)?;
        Ok(CreateOutcome::Created)
    }

    /// Needs no lock: a file is replaced as a whole.
    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.folder.read(id)?.filter(|record| record.is_live(now)))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let next = change.record();
        check_size(next)?;
        let folder = self.folder.lock().await?;
        let Some(stored) = folder.read(change.id())?.filter(|record| record.is_live(now)) else {
            return Ok(UpdateOutcome::Missing);
        };
        if stored.revision() == next.revision() {
            return Ok(UpdateOutcome::Updated);
        }
        if stored.revision() != change.expected() {
            return Ok(UpdateOutcome::Conflict);
        }
        folder.write(&idle_until(next, next.expires_at().max(stored.expires_at())))?;
        Ok(UpdateOutcome::Updated)
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let folder = self.folder.lock().await?;
        let Some(stored) = folder.read(id)?.filter(|record| record.is_live(now)) else {
            return Ok(TouchOutcome::Missing);
        };
        if expires_at > stored.expires_at() {
            folder.write(&idle_until(&stored, expires_at))?;
        }
        Ok(TouchOutcome::Touched)
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let folder = self.folder.lock().await?;
        let live = folder.readable(id)?.is_some_and(|record| record.is_live(now));
        folder.remove(id)?;
        Ok(live)
    }

    fn margin(&self) -> Duration {
        Duration::from_secs(5 * 60)
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

/// An index that can miss nothing: it looks at every record.
#[async_trait]
impl SubjectIndex for FileStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(page, |record| record.subject() == Some(subject) && record.is_live(now)).await
    }

    /// Deletes those that are over as well: a clock that is behind may still see them as live.
    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let folder = self.folder.lock().await?;
        let mut deleted = 0;
        for id in folder.ids()?.iter().filter(|id| Some(*id) != except) {
            let so_far = |error: StoreError| error.partial(deleted);
            let Some(record) = folder.readable(id).map_err(so_far)? else { continue };
            if record.subject() == Some(subject) {
                folder.remove(id).map_err(so_far)?;
                deleted += u64::from(record.is_live(now));
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
        let folder = self.folder.lock().await?;
        match folder.readable(id)?.filter(|record| record.subject() == Some(subject)) {
            Some(record) => folder.remove(id).map(|()| record.is_live(now)),
            None => Ok(false),
        }
    }
}

#[async_trait]
impl Inspect for FileStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(page, |record| record.is_live(now)).await
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let ids = self.folder.lock().await?.ids()?;
        let mut live = 0;
        for id in ids {
            live += u64::from(self.folder.readable(&id)?.is_some_and(|record| record.is_live(now)));
        }
        Ok(Count::Exact(live))
    }
}

#[async_trait]
impl Purge for FileStore {
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let limit = u64::from(limit.get());
        let folder = self.folder.lock().await?;
        let mut removed = 0;
        for id in folder.ids()? {
            if folder.readable(&id)?.is_some_and(|record| record.ends_at() <= cutoff) {
                folder.remove(&id)?;
                removed += 1;
            }
            if removed == limit {
                break;
            }
        }
        Ok(Purged { removed, more: removed == limit })
    }
}

fn check_size(record: &Record) -> Result<(), StoreError> {
    match record.payload().len() {
        0..=MAX_PAYLOAD_LEN => Ok(()),
        _ => Err(StoreError::new(StoreErrorKind::TooLarge, "check the size of the payload")),
    }
}

fn idle_until(record: &Record, expires_at: Timestamp) -> Record {
    Record::from_parts(RecordParts { expires_at, ..record.clone().into_parts() })
}
