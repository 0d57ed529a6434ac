//! The walk over all sessions, in the order of their ids and in bounded pieces.

use session_core::{
    Count, Inspect, Listing, Page, PageRequest, SessionId, SessionSummary, StoreError, Timestamp,
    async_trait,
};
use sqlx::postgres::PgRow;

use crate::cursor::{self, Position};
use crate::error;
use crate::row;
use crate::source::Failure;
use crate::sql::COUNT_PIECE;
use crate::statement::Value;
use crate::store::{PostgresStore, limit, time};

#[async_trait]
impl Inspect for PostgresStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let position = match page.cursor() {
            Some(cursor) => cursor::unseal(Listing::All, &self.inner.names, cursor)?,
            // Before every id.
            None => [0; SessionId::LEN],
        };
        let values = [Value::Bytes(Some(&position)), limit(page.limit())];
        let answer = self.run(self.limits(true), &self.inner.sql.scan, &values).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        self.page(Listing::All, page, &rows, now)
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        let walk = self.walk_end();
        let (mut live, mut position) = (0, Vec::new());
        loop {
            let values = [Value::Bytes(Some(&position)), time(now)];
            let answer = self.run(self.limits_within(walk), &self.inner.sql.count, &values).await;
            let rows = answer.map_err(Failure::of_read)?.reply.rows;
            let row = rows.first().ok_or_else(|| error::unexpected("count"))?;
            live += row::count(row, 0, "count")?;
            let seen: i64 = row::plain(row, 1, "count")?;
            match row::position(row, 2) {
                Some(last) if seen >= COUNT_PIECE => position = last,
                _ => return Ok(Count::Exact(live)),
            }
        }
    }
}

impl PostgresStore {
    /// The live ones among rows of `{summary}`. More follow where there are as many rows as were asked for.
    pub(crate) fn page(
        &self,
        listing: Listing<'_>,
        page: &PageRequest,
        rows: &[PgRow],
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let next = match rows.last().filter(|_| rows.len() >= page.limit()) {
            Some(last) => {
                let last = row::position(last, 0).and_then(|id| Position::try_from(id).ok());
                let last = last.ok_or_else(|| error::unexpected("list"))?;
                Some(cursor::seal(listing, &self.inner.names, &last)?)
            }
            None => None,
        };
        let live = rows.iter().filter_map(row::summary).filter(|summary| summary.is_live(now));
        Ok(Page { items: live.collect(), next })
    }
}
