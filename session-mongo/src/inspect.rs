//! The walk over all sessions, in the order of their ids.

use mongodb::bson::doc;
use session_core::{
    Count, Inspect, Page, PageRequest, SessionSummary, StoreError, Timestamp, async_trait,
};

use crate::cursor::Listing;
use crate::error::Access;
use crate::layout::{DEADLINE, EXPIRES_AT};
use crate::store::{MongoStore, later_than, limit_of};

#[async_trait]
impl Inspect for MongoStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(Listing::All, page, now).await
    }

    /// Counted by the server, which looks at every record.
    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let deadline = self.walk_deadline();
        let documents = self.documents();
        let live = doc! { EXPIRES_AT: later_than(now), DEADLINE: later_than(now) };
        let count =
            async move { documents.count_documents(live).max_time(limit_of(deadline)).await };
        let count = self.inner.calls.ask(deadline, Access::Read, "count", count).await?;
        Ok(Count::Exact(count))
    }
}
