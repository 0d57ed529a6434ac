//! The sessions of a subject: a sorted set per subject, scored by absolute deadline, beside the records.

use redis::{Pipeline, Value};
use session_core::{
    Page, PageRequest, SessionId, SessionSummary, StoreError, Subject, SubjectIndex, Timestamp,
    async_trait,
};
use tokio::time::Instant;

use crate::cursor::{self, IndexPosition};
use crate::error;
use crate::layout;
use crate::scripts;
use crate::source::{Failure, Lane, Limits};
use crate::store::{Condition, ROOM, RedisStore, Removed};

/// Entries that `delete_all` reads and deletes at a time.
const CHUNK: usize = 250;

#[async_trait]
impl SubjectIndex for RedisStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let limits = self.limits(true);
        let position = match page.cursor() {
            Some(cursor) => cursor::read_index_position(cursor, self.prefix(), subject)?,
            // An entry's deadline is never before its record's: what ended by now is not live.
            None => IndexPosition { deadline: now, id: None },
        };
        let entries = self.index_page(subject, position, page.limit(), limits).await?;
        let next = match entries.last() {
            Some(last) if entries.len() == page.limit() => {
                Some(cursor::index_position(*last, self.prefix(), subject)?)
            }
            _ => None,
        };
        let ids: Vec<SessionId> = entries.iter().filter_map(|entry| entry.id).collect();
        let mut items = self.live(&ids, now, limits).await?;
        items.retain(|summary| summary.subject.as_ref() == Some(subject));
        Ok(Page { items, next })
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let walk = Instant::now() + self.inner.walk_deadline;
        let mut deleted = 0;
        match self.delete_walk(subject, except, now, walk, &mut deleted).await {
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

impl RedisStore {
    /// Walks the index from start to end and deletes what it names. What is raised meanwhile moves towards the
    /// end, so the walk meets it.
    async fn delete_walk(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
        walk: Instant,
        deleted: &mut u64,
    ) -> Result<(), StoreError> {
        // From the very beginning: to a server whose clock is behind, more of them are live.
        let mut position = IndexPosition { deadline: Timestamp::MIN, id: None };
        loop {
            let limits = self.limits_within(walk);
            let entries = self.index_page(subject, position, CHUNK, limits).await?;
            let Some(last) = entries.last().copied() else { break };
            let ids: Vec<SessionId> = entries
                .iter()
                .filter_map(|entry| entry.id)
                .filter(|id| Some(id) != except)
                .collect();
            let removed = self.delete_each(subject, &ids, now, self.limits_within(walk)).await?;
            *deleted += removed.iter().map(|(_, removed)| u64::from(removed.live)).sum::<u64>();
            // The last entry marks our place.
            let settled: Vec<SessionId> = removed
                .into_iter()
                .filter(|(id, removed)| removed.settled_entry.is_some() && Some(*id) != last.id)
                .map(|(id, _)| id)
                .collect();
            self.forget(subject, &settled, self.limits_within(walk)).await;
            if entries.len() < CHUNK {
                break;
            }
            position = last;
        }
        self.settle(self.limits_within(walk), subject.as_bytes()).await
    }

    async fn delete_each(
        &self,
        subject: &Subject,
        ids: &[SessionId],
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<(SessionId, Removed)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self
            .inner
            .source
            .run(Lane::Ordinary, limits, |form| {
                let mut batch = Pipeline::with_capacity(ids.len());
                for id in ids {
                    batch.add_command(self.delete_command(
                        form,
                        id,
                        Condition::OfOrUnreadable(subject),
                    ));
                }
                batch
            })
            .await
            .map_err(Failure::of_write)?;
        let replies = answer.replies.into_iter();
        ids.iter()
            .zip(replies)
            .map(|(id, reply)| Ok((*id, Removed::from_reply(reply, now)?)))
            .collect()
    }

    /// Entries of the index behind `position`, in order.
    async fn index_page(
        &self,
        subject: &Subject,
        position: IndexPosition,
        limit: usize,
        limits: Limits,
    ) -> Result<Vec<IndexPosition>, StoreError> {
        let key = self.inner.prefix.index(subject);
        let reply = self
            .read(limits, |form| {
                let mut script = scripts::PAGE.call(form.script, &key, ROOM);
                script.arg(limit).arg(position.deadline.as_millis());
                if let Some(id) = &position.id {
                    script.arg(id.as_bytes());
                }
                script
            })
            .await?;
        let items = error::array(reply, "read the index")?;
        items.chunks_exact(2).map(|pair| entry(&pair[0], &pair[1])).collect()
    }

    /// The live ones of the records under `ids`. What is missing or cannot be read is skipped.
    pub(crate) async fn live(
        &self,
        ids: &[SessionId],
        now: Timestamp,
        limits: Limits,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let firsts = self.first_bytes(ids, layout::HEAD_LEN, limits).await?;
        let summaries = ids.iter().zip(firsts).filter_map(|(id, first)| {
            let head = layout::decode_head(&first).ok()?;
            head.is_live(now).then(|| head.into_summary(*id))
        });
        Ok(summaries.collect())
    }

    /// The first bytes of each record, nothing for those that are no strings.
    pub(crate) async fn first_bytes(
        &self,
        ids: &[SessionId],
        count: usize,
        limits: Limits,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.inner.source.run(Lane::Ordinary, limits, |_| {
            let mut batch = Pipeline::with_capacity(ids.len());
            for id in ids {
                batch.cmd("GETRANGE").arg(self.inner.prefix.record(id)).arg(0).arg(count - 1);
            }
            batch
        });
        let replies = answer.await.map_err(Failure::of_read)?.replies;
        let first = |reply| match error::code(&reply) {
            Some("WRONGTYPE") => Ok(Vec::new()),
            _ => error::bytes(reply, "read a record"),
        };
        replies.into_iter().map(first).collect()
    }
}

/// An entry as the server writes it: member and score. A member that is no id keeps its place.
fn entry(member: &Value, score: &Value) -> Result<IndexPosition, StoreError> {
    let (Value::BulkString(member), Value::BulkString(score)) = (member, score) else {
        return Err(error::unexpected("read the index"));
    };
    let deadline = std::str::from_utf8(score).ok().and_then(|score| score.parse().ok());
    let deadline =
        deadline.map(Timestamp::from_millis).ok_or_else(|| error::unexpected("read the index"))?;
    Ok(IndexPosition { deadline, id: SessionId::try_from(member.as_slice()).ok() })
}
