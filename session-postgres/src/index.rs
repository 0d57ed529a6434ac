//! The sessions of a subject: a column of the record, with an index on a hash of it.

use session_core::{
    Listing, Page, PageRequest, SessionId, SessionSummary, StoreError, Subject, SubjectIndex,
    Timestamp, async_trait,
};

use crate::cursor;
use crate::error;
use crate::row;
use crate::source::Failure;
use crate::sql::DELETE_PIECE;
use crate::statement::Value;
use crate::store::{PostgresStore, bytes, limit, time};

#[async_trait]
impl SubjectIndex for PostgresStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let (listing, names) = (Listing::Of(subject), &self.inner.names);
        let position = match page.cursor() {
            Some(cursor) => cursor::unseal(listing, names, cursor)?,
            // Before every id.
            None => [0; SessionId::LEN],
        };
        let values = [
            Value::Bytes(Some(subject.as_bytes())),
            Value::Bytes(Some(&position)),
            time(now),
            limit(page.limit()),
        ];
        let answer = self.run(self.limits(true), &self.inner.sql.list, &values).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        self.page(listing, page, &rows, now)
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        match self.delete_walk(subject, except, now, &mut deleted).await {
            Ok(()) => Ok(deleted),
            Err(error) => Err(error.partial(deleted)),
        }
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = [bytes(id), Value::Bytes(Some(subject.as_bytes()))];
        self.delete_by(&self.inner.sql.delete_one, &values, now).await
    }
}

impl PostgresStore {
    /// Walks over the subject's sessions once, in the order of their ids, and deletes a piece at a time.
    async fn delete_walk(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
        deleted: &mut u64,
    ) -> Result<(), StoreError> {
        let walk = self.walk_end();
        let except = except.map_or(&[][..], |id| id.as_bytes());
        let mut position = Vec::new();
        loop {
            let values = [
                Value::Bytes(Some(subject.as_bytes())),
                Value::Bytes(Some(&position)),
                Value::Bytes(Some(except)),
                time(now),
            ];
            let answer =
                self.run(self.limits_within(walk), &self.inner.sql.delete_all, &values).await;
            let rows = answer.map_err(Failure::of_write)?.reply.rows;
            let row = rows.first().ok_or_else(|| error::unexpected("delete all"))?;
            *deleted += row::count(row, 0, "delete all")?;
            let seen: i64 = row::plain(row, 1, "delete all")?;
            match row::position(row, 2) {
                Some(last) if seen >= DELETE_PIECE => position = last,
                _ => return Ok(()),
            }
        }
    }
}
