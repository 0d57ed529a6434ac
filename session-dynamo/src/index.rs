//! The sessions of a subject: a second table with an entry for each, beside the records. A secondary index of
//! DynamoDB's would be read late, and miss sessions.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, WriteRequest};
use futures_util::future::{join_all, try_join_all};
use session_core::{
    Listing, Page, PageRequest, SessionId, SessionSummary, StoreError, StoreErrorKind, Subject,
    SubjectIndex, Timestamp, async_trait,
};

use crate::cursor;
use crate::expression::{self, placeholders};
use crate::layout::{self, Item};
use crate::send::{Failure, Limits, send};
use crate::store::{Condition, DynamoStore, Removed};

/// Entries that `delete_all` reads at a time.
const CHUNK: usize = 250;
/// Deletes that are under way at a time.
const DELETES_AT_ONCE: usize = 16;
/// The most keys that one request may read.
const READ_BATCH: usize = 100;
const READS_AT_ONCE: usize = 4;
/// The most writes that one request may hold.
const WRITE_BATCH: usize = 25;

#[async_trait]
impl SubjectIndex for DynamoStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let limits = self.limits();
        let names = &self.inner.names;
        let listing = Listing::Of(subject);
        let start = page.cursor().map(|it| cursor::read(it, listing, names)).transpose()?;
        let used = [expression::ENTRIES, expression::ENTRY_NOT_OVER, expression::ID];
        let entries = self
            .entries(subject, start, page.limit(), limits, |query| {
                query
                    // The deadline of an entry is never before that of its record.
                    .filter_expression(expression::ENTRY_NOT_OVER)
                    .expression_attribute_values(":now", layout::time(now))
                    .set_expression_attribute_names(Some(placeholders(names, &used)))
            })
            .await?;
        let next = entries.last.map(|last| cursor::after(&last, listing, names)).transpose()?;
        let mut items = self.live(&entries.ids, now, limits).await?;
        items.retain(|summary| summary.subject.as_ref() == Some(subject));
        Ok(Page { items, next })
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
        self.delete_if(id, Condition::Of(subject), now).await
    }
}

/// Entries of the index.
struct Entries {
    ids: Vec<SessionId>,
    /// The key of the last one, if there are more.
    last: Option<AttributeValue>,
}

impl DynamoStore {
    /// Walks the index from start to end and deletes what it names.
    async fn delete_walk(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
        deleted: &mut u64,
    ) -> Result<(), StoreError> {
        let limits = self.walk_limits();
        let names = &self.inner.names;
        let used = [expression::ENTRIES, expression::ID];
        let mut start = None;
        loop {
            // Those that are over too: to a server whose clock is behind, they are live.
            let entries = self
                .entries(subject, start, CHUNK, limits, |query| {
                    query.set_expression_attribute_names(Some(placeholders(names, &used)))
                })
                .await?;
            let mut ids = entries.ids;
            ids.retain(|id| Some(id) != except);
            let settled = self.delete_each(subject, &ids, now, limits, deleted).await?;
            self.forget(subject, &settled, limits).await;
            start = entries.last;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes several records. Answers with those whose index entry can go as well.
    async fn delete_each(
        &self,
        subject: &Subject,
        ids: &[SessionId],
        now: Timestamp,
        limits: Limits,
        deleted: &mut u64,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut settled = Vec::new();
        for some in ids.chunks(DELETES_AT_ONCE) {
            let delete = |id| self.remove(id, Condition::OfOrUnreadable(subject), now, limits);
            // All of them end before an error is told, so that it is known what was deleted.
            let mut trouble = None;
            for (id, removed) in some.iter().zip(join_all(some.iter().map(delete)).await) {
                match removed {
                    Ok(Removed { live, settled_entry }) => {
                        *deleted += u64::from(live);
                        settled.extend(settled_entry.map(|_| *id));
                    }
                    Err(failure) => trouble = Some(failure.of_write()),
                }
            }
            if let Some(error) = trouble {
                return Err(error);
            }
        }
        Ok(settled)
    }

    /// Index entries behind `start`, in the order of their ids.
    async fn entries(
        &self,
        subject: &Subject,
        start: Option<AttributeValue>,
        limit: usize,
        limits: Limits,
        adjust: impl Fn(QueryFluentBuilder) -> QueryFluentBuilder,
    ) -> Result<Entries, StoreError> {
        let names = &self.inner.names;
        let key = |id: &AttributeValue| {
            let subject = layout::binary(subject.as_bytes());
            Item::from([(layout::SUBJECT.to_owned(), subject), (names.id.clone(), id.clone())])
        };
        let read = send(limits, "read the index", || {
            let query = self
                .inner
                .client
                .query()
                .table_name(&names.subjects)
                .consistent_read(true)
                .key_condition_expression(expression::ENTRIES)
                .expression_attribute_values(":s", layout::binary(subject.as_bytes()))
                .projection_expression(expression::ID)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.as_ref().map(key));
            adjust(query).send()
        });
        let output = read.await.map_err(Failure::harmless)?.value;
        let last = output.last_evaluated_key.and_then(|mut key| key.remove(&names.id));
        let items = output.items.unwrap_or_default();
        // What is no id is no entry of ours.
        Ok(Entries { ids: items.iter().filter_map(|item| names.id_in(item)).collect(), last })
    }

    /// The live ones of the records under `ids`. What is missing or cannot be read is skipped.
    async fn live(
        &self,
        ids: &[SessionId],
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let mut live = Vec::new();
        for some in ids.chunks(READ_BATCH * READS_AT_ONCE) {
            let reads = some.chunks(READ_BATCH).map(|ids| self.heads(ids, limits));
            for items in try_join_all(reads).await? {
                live.extend(self.summaries(&items, now));
            }
        }
        Ok(live)
    }

    /// The live ones of these records.
    pub(crate) fn summaries(&self, items: &[Item], now: Timestamp) -> Vec<SessionSummary> {
        let summary = |item: &Item| {
            let id = self.inner.names.id_in(item)?;
            let head = layout::decode_head(item).ok()?;
            head.times.is_live(now).then(|| head.into_summary(id))
        };
        items.iter().filter_map(summary).collect()
    }

    /// The heads of the records under `ids`, of those that are there.
    async fn heads(&self, ids: &[SessionId], limits: Limits) -> Result<Vec<Item>, StoreError> {
        let names = &self.inner.names;
        let mut wanted = KeysAndAttributes::builder()
            .consistent_read(true)
            .projection_expression(expression::HEAD)
            .set_expression_attribute_names(Some(placeholders(names, &[expression::HEAD])));
        for id in ids {
            wanted = wanted.keys(Item::from([(names.id.clone(), names.id_value(id))]));
        }
        let mut wanted = wanted.build().ok();
        let mut found = Vec::with_capacity(ids.len());
        let mut rounds = 0;
        while let Some(keys) = wanted {
            let read = send(limits, "read the records of a subject", || {
                self.inner
                    .client
                    .batch_get_item()
                    .request_items(&names.sessions, keys.clone())
                    .send()
            });
            let output = read.await.map_err(Failure::harmless)?.value;
            found.extend(
                output
                    .responses
                    .and_then(|mut all| all.remove(&names.sessions))
                    .unwrap_or_default(),
            );
            wanted = output.unprocessed_keys.and_then(|mut all| all.remove(&names.sessions));
            if wanted.is_some() {
                rounds += 1;
                limits.pause(rounds).await.map_err(|()| left_over())?;
            }
        }
        Ok(found)
    }

    /// Removes index entries, best effort: readers skip an entry whose record is gone.
    pub(crate) async fn forget(&self, subject: &Subject, ids: &[SessionId], limits: Limits) {
        for batch in ids.chunks(WRITE_BATCH) {
            if let Err(error) = self.forget_batch(subject, batch, limits).await {
                tracing::debug!(kind = ?error.kind(), "index entries left to expire");
                return;
            }
        }
    }

    async fn forget_batch(
        &self,
        subject: &Subject,
        ids: &[SessionId],
        limits: Limits,
    ) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let delete = |id: &SessionId| {
            DeleteRequest::builder()
                .key(layout::SUBJECT, layout::binary(subject.as_bytes()))
                .key(&names.id, names.id_value(id))
                .build()
                .map(|delete| WriteRequest::builder().delete_request(delete).build())
                .ok()
        };
        let mut wanted: Vec<WriteRequest> = ids.iter().filter_map(delete).collect();
        let mut rounds = 0;
        while !wanted.is_empty() {
            let written = send(limits, "remove index entries", || {
                self.inner
                    .client
                    .batch_write_item()
                    .request_items(&names.subjects, wanted.clone())
                    .send()
            });
            let left = written.await.map_err(Failure::harmless)?.value.unprocessed_items;
            wanted = left.and_then(|mut all| all.remove(&names.subjects)).unwrap_or_default();
            if !wanted.is_empty() {
                rounds += 1;
                limits.pause(rounds).await.map_err(|()| left_over())?;
            }
        }
        Ok(())
    }
}

/// DynamoDB did a part, and no time is left for the rest.
fn left_over() -> StoreError {
    StoreError::new(StoreErrorKind::Overloaded, "a part of a batch was left over")
}
