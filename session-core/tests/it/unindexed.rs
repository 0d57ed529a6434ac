//! A store without an index by subject.

use std::time::Duration;

use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, SessionId, SessionStore, StoreError,
    SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};
use session_memory::MemoryStore;

#[derive(Debug)]
pub(crate) struct Unindexed(pub(crate) MemoryStore);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Unindexed {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        self.0.create(record, now).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.0.load(id, now).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        self.0.update(change, now).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        self.0.touch(id, expires_at, now).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.0.delete(id, now).await
    }

    fn margin(&self) -> Duration {
        self.0.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        None
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.0.inspect()
    }

    fn purger(&self) -> Option<&dyn Purge> {
        self.0.purger()
    }
}
