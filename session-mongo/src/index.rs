//! The sessions of a subject: a field of the record, and an index on it and the id.

use futures_util::future::join_all;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ReadConcern;
use session_core::{
    Listing, Page, PageRequest, SessionId, SessionSummary, StoreError, Subject, SubjectIndex,
    Timestamp, async_trait,
};
use tokio::time::Instant;

use crate::cursor;
use crate::error::Access;
use crate::layout::{self, ID, SUBJECT};
use crate::store::{MongoStore, limit_of};

/// Sessions that `delete_all` reads at a time.
const CHUNK: usize = 500;
/// Sessions that `delete_all` deletes at a time.
const AT_ONCE: usize = 16;

#[async_trait]
impl SubjectIndex for MongoStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.page(Listing::Of(subject), page, now).await
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
        self.delete_if(id, Some(subject), now, self.deadline()).await
    }
}

impl MongoStore {
    /// A page of the live sessions of a listing, in the order of their ids.
    pub(crate) async fn page(
        &self,
        listing: Listing<'_>,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let namespace = self.namespace();
        let behind = match page.cursor() {
            Some(cursor) => Some(cursor::read(cursor, &namespace, listing)?),
            None => None,
        };
        let (projection, sure) = (layout::without_payload(), self.inner.reads.clone());
        let documents = self
            .documents_of(listing, behind, page.limit(), projection, sure, self.deadline())
            .await?;
        // The query names documents with ids only.
        let last = documents.last().and_then(|document| layout::id_of(document));
        let next = match last {
            Some(last) if documents.len() == page.limit() => {
                Some(cursor::behind(&last, &namespace, listing)?)
            }
            _ => None,
        };
        let summary = |document: &RawDocumentBuf| {
            let head = layout::decode_head(document).ok().filter(|head| head.is_live(now))?;
            Some(head.into_summary(layout::id_of(document)?))
        };
        Ok(Page { items: documents.iter().filter_map(summary).collect(), next })
    }

    /// Walks over the subject's sessions from start to end. The index is read as the primary has it, which then has a
    /// majority confirm that it still is the primary: so it has every session whose login had returned. What a new
    /// primary knows a majority to have may lack some for a moment.
    async fn delete_walk(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
        deleted: &mut u64,
    ) -> Result<(), StoreError> {
        let end = self.walk_deadline();
        let mut behind = None;
        loop {
            let (listing, deadline) = (Listing::Of(subject), end.min(self.deadline()));
            let sure = ReadConcern::linearizable();
            let documents =
                self.documents_of(listing, behind, CHUNK, doc! { ID: 1 }, sure, deadline).await?;
            let ids: Vec<SessionId> =
                documents.iter().filter_map(|document| layout::id_of(document)).collect();
            let others: Vec<&SessionId> = ids.iter().filter(|id| Some(*id) != except).collect();
            for some in others.chunks(AT_ONCE) {
                let ended = self.delete_each(subject, some, now, end).await;
                *deleted += match &ended {
                    Ok(deleted) => *deleted,
                    Err(error) => error.deleted().unwrap_or_default(),
                };
                ended?;
            }
            match ids.last() {
                Some(last) if documents.len() == CHUNK => behind = Some(*last),
                _ => return Ok(()),
            }
        }
    }

    /// Deletes these at the same time, one by one and by id, each on condition of its subject: a router sends each
    /// to the one server that has it, and no migration between servers can make it miss one.
    async fn delete_each(
        &self,
        subject: &Subject,
        ids: &[&SessionId],
        now: Timestamp,
        end: Instant,
    ) -> Result<u64, StoreError> {
        let deadline = end.min(self.deadline());
        let each = ids.iter().map(|id| self.delete_if(id, Some(subject), now, deadline));
        let (mut deleted, mut trouble) = (0, None);
        for ended in join_all(each).await {
            match ended {
                Ok(live) => deleted += u64::from(live),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        match trouble {
            None => Ok(deleted),
            Some(error) => Err(error.partial(deleted)),
        }
    }

    /// Documents of a listing in the order of their ids.
    async fn documents_of(
        &self,
        listing: Listing<'_>,
        behind: Option<SessionId>,
        limit: usize,
        projection: Document,
        sure: ReadConcern,
        deadline: Instant,
    ) -> Result<Vec<RawDocumentBuf>, StoreError> {
        let filter = filter(listing, behind.as_ref());
        let (documents, limit_of_time) = (self.documents(), limit_of(deadline));
        let find = async move {
            let count = u32::try_from(limit).unwrap_or(u32::MAX);
            let mut cursor = documents
                .find(filter)
                .sort(doc! { ID: 1 })
                .projection(projection)
                .limit(i64::from(count))
                .batch_size(count)
                .read_concern(sure)
                .max_time(limit_of_time)
                .await?;
            let mut found = Vec::new();
            while cursor.advance().await? {
                found.push(cursor.current().to_owned());
            }
            Ok(found)
        };
        Ok(self.inner.calls.ask(deadline, Access::Read, "read the index", find).await?)
    }

    pub(crate) fn namespace(&self) -> String {
        self.inner.collection.namespace().to_string()
    }
}

/// Documents whose ids are ids of sessions, 16 bytes: the server orders bytes by their number first.
pub(crate) fn filter(listing: Listing<'_>, behind: Option<&SessionId>) -> Document {
    let last = layout::binary(&[0xff; SessionId::LEN]);
    let ids = if let Some(id) = behind {
        doc! { "$gt": layout::binary(id.as_bytes()), "$lte": last }
    } else {
        doc! { "$gte": layout::binary(&[0; SessionId::LEN]), "$lte": last }
    };
    match listing {
        Listing::Of(subject) => doc! { SUBJECT: layout::binary(subject.as_bytes()), ID: ids },
        Listing::All => doc! { ID: ids },
    }
}
