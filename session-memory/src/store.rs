//! The contract, over the engine.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Change, Count, CreateOutcome, Inspect, Page, PageRequest, Purge, Purged, Record, SessionId,
    SessionStore, SessionSummary, StoreError, Subject, SubjectIndex, Timestamp, TouchOutcome,
    UpdateOutcome,
};

use crate::builder::MemoryStoreBuilder;
use crate::cursor::Cursors;
use crate::engine::{BATCH, Engine};
use crate::primitives::{HashKeys, SHARDS};
use crate::usage::Bounds;

/// Sessions in the memory of this process: sharded, bounded, gone when the process ends.
///
/// A clone is another handle on the same sessions. All optional traits are there: the index by subject, the
/// walk over everything, and the removal of what is over.
///
/// Every operation is atomic: it takes the lock of one shard of 64 for the time of a table look-up, and no
/// lock is held across an await. A write with a subject then takes the lock of its index shard as well, one
/// after the other. Long operations (`delete_all`, `scan`, `count`, `purge`) work in batches and give way
/// in between.
///
/// A session is kept in one piece of memory of its own. A record that was loaded shares the payload in it, so the
/// piece stays until that record is dropped. Memory of removed sessions is freed, not wiped.
#[derive(Clone)]
pub struct MemoryStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    #[cfg(feature = "tokio")]
    pub(crate) purgers: crate::purge_task::Purgers,
}

impl MemoryStore {
    /// An empty store with default settings: a million sessions, 1 GiB, margin 5 minutes.
    #[must_use]
    pub fn new() -> Self {
        let bounds = Bounds {
            sessions: MemoryStoreBuilder::DEFAULT_MAX_SESSIONS,
            bytes: MemoryStoreBuilder::DEFAULT_MAX_BYTES,
        };
        Self::with(bounds, MemoryStoreBuilder::DEFAULT_MARGIN)
    }

    /// Other settings.
    pub const fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }

    /// How many sessions are stored, those included that are over and not yet removed.
    #[must_use]
    pub fn stored_sessions(&self) -> u64 {
        self.engine().usage().sessions()
    }

    /// About how many bytes they take, with their index entries.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.engine().usage().bytes()
    }

    pub(crate) fn with(bounds: Bounds, margin: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine: Engine::new(HashKeys::new(), bounds, margin),
                #[cfg(feature = "tokio")]
                purgers: crate::purge_task::Purgers::default(),
            }),
        }
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows numbers only: how many sessions and bytes are stored, those included that are over and not
/// yet removed.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.stored_sessions())
            .field("bytes", &self.stored_bytes())
            .finish_non_exhaustive()
    }
}

/// Errors: `create` and `update` answer [`TooLarge`](session_core::StoreErrorKind::TooLarge) for a payload
/// that is, and [`Full`](session_core::StoreErrorKind::Full) at the bounds. Nothing else fails.
#[async_trait]
impl SessionStore for MemoryStore {
    /// A record that is over for less than the margin still holds its id: `Exists`.
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        self.engine().create(record, now)
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.engine().load(id, now))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        self.engine().update(change, now)
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        Ok(self.engine().touch(id, expires_at, now))
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.engine().delete(id, now))
    }

    fn margin(&self) -> Duration {
        self.engine().margin()
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

#[async_trait]
impl SubjectIndex for MemoryStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let cursors = Cursors::of_subject(&self.engine().keys, subject);
        let after = cursors.read(page.cursor())?;
        let (items, last) = self.engine().list(subject, after.as_ref(), page.limit(), now);
        Ok(Page { items, next: last.map(|last| cursors.after(&last)) })
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut batch = self.engine().delete_batch_of(subject, except, None, now);
        let mut deleted = batch.live;
        while let Some(last) = batch.last {
            give_way().await;
            batch = self.engine().delete_batch_of(subject, except, Some(&last), now);
            deleted += batch.live;
        }
        Ok(deleted)
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.engine().delete_if_of(subject, id, now))
    }
}

#[async_trait]
impl Inspect for MemoryStore {
    /// Looks at no more records than the page has entries, so a page may hold fewer although more
    /// follow. Finding them takes a pass over the ids of a shard, about one in 64 of all.
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let cursors = Cursors::of_everything(&self.engine().keys);
        let mut after = cursors.read(page.cursor())?;
        let mut limit = page.limit();
        let mut items = Vec::new();
        for shard in after.map_or(0, |id| self.engine().shard_of(&id))..SHARDS {
            let (live, last) =
                self.engine().scan_shard(shard, after.take().as_ref(), &mut limit, now);
            items.extend(live);
            if let Some(last) = last {
                return Ok(Page { items, next: Some(cursors.after(&last)) });
            }
            give_way().await;
        }
        Ok(Page { items, next: None })
    }

    /// Exact. Passes over the ends of all sessions, shard by shard.
    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let mut count = 0;
        for shard in 0..SHARDS {
            count += self.engine().count_shard(shard, now);
            give_way().await;
        }
        Ok(Count::Exact(count))
    }
}

#[async_trait]
impl Purge for MemoryStore {
    /// Trims the index as well, where a race has left an entry behind.
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let mut left = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let mut removed = 0;
        while left > 0 {
            let asked = left.min(BATCH);
            let batch = self.engine().purge_batch(asked, cutoff);
            removed += batch.removed as u64;
            left -= batch.examined;
            if batch.examined < asked {
                break;
            }
            give_way().await;
        }
        Ok(Purged { removed, more: left == 0 })
    }
}

/// Lets other tasks run, on any executor.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|context| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
