//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ReadConcern;
use mongodb::{Collection, Database};
use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, SessionId, SessionStore, StoreError,
    StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};
use tokio::time::Instant;

use crate::builder::MongoStoreBuilder;
use crate::calls::{Calls, Ended};
use crate::error::{self, Access, Trouble};
use crate::layout::{
    self, DEADLINE, EXPIRES_AT, HEADER, ID, REMOVE_AFTER, REVISION, SUBJECT, Unreadable,
};

/// Sessions in MongoDB.
///
/// A clone is a reference to the same store.
///
/// Open it with [`MongoStore::connect`], or with [`MongoStore::builder`] for other settings. Before its first use
/// call [`ensure_indexes`](MongoStore::ensure_indexes) once; one [`check`](MongoStore::check) at start tells
/// whether the servers are set up for sessions.
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) collection: Collection<RawDocumentBuf>,
    pub(crate) calls: Calls,
    /// How sure reads are that nothing newer has been acknowledged, in the driver's words.
    pub(crate) reads: ReadConcern,
    pub(crate) margin: Duration,
    pub(crate) max_skew: Duration,
    pub(crate) deadline: Duration,
    pub(crate) walk_deadline: Duration,
}

impl MongoStore {
    /// Connects to `mongodb://` or `mongodb+srv://`, with the default settings. The URI names the database.
    ///
    /// # Errors
    ///
    /// `Config` for a URI that cannot work or would weaken the store; `Unavailable`, `Denied` and others when the
    /// servers cannot be used now.
    pub async fn connect(uri: &str) -> Result<Self, StoreError> {
        Self::builder().connect(uri).await
    }

    /// A store with other settings.
    #[must_use]
    pub fn builder() -> MongoStoreBuilder {
        MongoStoreBuilder::default()
    }

    /// A store in a database of a client of your own, with the default settings.
    ///
    /// Concerns and read preference are the store's own, whatever those of the client are. What else the client is
    /// set up for holds: TLS, timeouts, and `retryWrites`. Where that is on, which is the driver's default, the
    /// driver may send a write twice; the server then does it once, by the number of the transaction that comes
    /// with it. A client with `directConnection=true` may let a secondary answer.
    #[must_use]
    pub fn from_database(database: &Database) -> Self {
        Self::builder().defaults_with(database)
    }

    /// The collection: the namespace.
    #[must_use]
    pub fn collection(&self) -> &str {
        self.inner.collection.name()
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.deadline
    }

    pub(crate) fn walk_deadline(&self) -> Instant {
        Instant::now() + self.inner.walk_deadline
    }

    pub(crate) fn documents(&self) -> Collection<RawDocumentBuf> {
        self.inner.collection.clone()
    }

    /// Reads something, so that a server that does not let us in says so.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let documents = self.documents();
        let probe = async move {
            let nobody = by_bytes(&[0; SessionId::LEN]);
            documents.find_one(nobody).projection(doc! { ID: 1 }).await
        };
        self.inner.calls.ask(self.deadline(), Access::Read, "connect", probe).await?;
        Ok(())
    }

    /// Runs a command of the database, by default in the one of the sessions.
    pub(crate) async fn run(
        &self,
        database: Option<&str>,
        command: Document,
        deadline: Instant,
    ) -> Ended<Document> {
        let documents = self.documents();
        let name = database.unwrap_or(&documents.namespace().db).to_owned();
        let database = documents.client().database(&name);
        self.inner.calls.run(deadline, async move { database.run_command(command).await }).await
    }

    /// The document under the id, whatever it holds.
    ///
    /// By the id alone, which the server answers fastest; the times are looked at here.
    async fn find(
        &self,
        id: &SessionId,
        deadline: Instant,
        doing: &'static str,
    ) -> Result<Option<RawDocumentBuf>, StoreError> {
        let (documents, filter) = (self.documents(), by_id(id));
        let limit = limit_of(deadline);
        let sure = self.inner.reads.clone();
        let find =
            async move { documents.find_one(filter).read_concern(sure).max_time(limit).await };
        Ok(self.inner.calls.ask(deadline, Access::Read, doing, find).await?)
    }

    /// Makes a write, and once more if the first send may have been lost on its way or met a server that is not the
    /// primary any more. Only for writes that may be made twice.
    async fn write<T, F>(
        &self,
        deadline: Instant,
        doing: &'static str,
        mut write: impl FnMut() -> F,
    ) -> Result<Written<T>, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let first = match self.inner.calls.ask(deadline, Access::Write, doing, write()).await {
            Ok(answer) => return Ok(Written { answer, resent: false }),
            Err(Trouble { error, passing: true }) => error,
            Err(Trouble { error, passing: false }) => return Err(error),
        };
        let maybe_done = first.is_outcome_unknown();
        match self.inner.calls.ask(deadline, Access::Write, doing, write()).await {
            Ok(answer) => Ok(Written { answer, resent: maybe_done }),
            // Applied by a send whose confirmation is missing; which of the two it was does not matter.
            Err(trouble) if trouble.error.kind() == StoreErrorKind::NotDurable => {
                Err(trouble.error)
            }
            Err(trouble) => Err(trouble.error.unknown_if(maybe_done)),
        }
    }

    /// Deletes one record. `subject` restricts it to that subject's records.
    pub(crate) async fn delete_if(
        &self,
        id: &SessionId,
        subject: Option<&Subject>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let mut filter = by_id(id);
        if let Some(subject) = subject {
            filter.insert(SUBJECT, layout::binary(subject.as_bytes()));
        }
        let written = self
            .write(deadline, "delete", || {
                let (documents, filter) = (self.documents(), filter.clone());
                async move { documents.find_one_and_delete(filter).await }
            })
            .await?;
        Ok(written.answer.is_some_and(|removed| layout::is_live(*id, removed, now)))
    }

    /// What stands in the way of an update that was refused.
    async fn obstacle(
        &self,
        change: &Change,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Obstacle, StoreError> {
        let Some(document) = self.find(change.id(), deadline, "update").await? else {
            return Ok(Obstacle::Missing);
        };
        let head = layout::decode_head(&document)?;
        if !head.is_live(now) {
            return Ok(Obstacle::Missing);
        }
        if head.revision == change.record().revision() {
            return Ok(Obstacle::OwnWrite);
        }
        if head.is_later_format() {
            return Err(Unreadable::UnsupportedFormat.into());
        }
        if head.revision == change.expected() {
            return Ok(Obstacle::Touched { expires_at: head.expires_at });
        }
        Ok(Obstacle::Revision)
    }
}

/// The answer to a write.
struct Written<T> {
    answer: T,
    /// An earlier send of the same write may have been applied.
    resent: bool,
}

/// Why an update matched nothing.
enum Obstacle {
    Missing,
    /// It was made already, by an earlier send or an earlier call.
    OwnWrite,
    /// Another revision.
    Revision,
    /// The expected revision: it was touched since it was loaded.
    Touched {
        expires_at: Timestamp,
    },
}

/// How long the server may work on what is asked until `deadline`. Zero would mean no limit.
pub(crate) fn limit_of(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

pub(crate) fn by_id(id: &SessionId) -> Document {
    by_bytes(id.as_bytes())
}

fn by_bytes(id: &[u8]) -> Document {
    doc! { ID: layout::binary(id) }
}

/// Each time of a live record is later than this, up to the last one there is. Nothing else is a time.
fn later_than(now: Timestamp) -> Document {
    doc! {
        "$type": "long",
        "$gt": now.as_stored_millis(),
        "$lte": Timestamp::MAX.as_stored_millis(),
    }
}

#[async_trait]
impl SessionStore for MongoStore {
    async fn create(&self, record: &Record, _now: Timestamp) -> Result<CreateOutcome, StoreError> {
        record.check_payload()?;
        let stored = layout::encode(record, record.expires_at(), self.inner.margin);
        let documents = self.documents();
        let insert = async move { documents.insert_one(stored).await.map(drop) };
        match self.inner.calls.run(self.deadline(), insert).await {
            Ended::Failed(error) if error::is_duplicate(&error) => Ok(CreateOutcome::Exists),
            ended => {
                ended.or_trouble(Access::Write, "create")?;
                Ok(CreateOutcome::Created)
            }
        }
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let Some(document) = self.find(id, self.deadline(), "load").await? else {
            return Ok(None);
        };
        let record = layout::decode(*id, document)?;
        Ok(record.is_live(now).then_some(record))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let record = change.record();
        record.check_payload()?;
        let deadline = self.deadline();
        let mut expires_at = record.expires_at();
        let mut resent = false;
        loop {
            // The whole document is replaced, which costs the server less than to change its fields, so the record
            // must not expire later than what it is replaced by.
            let mut not_over = later_than(now);
            not_over.insert("$lte", expires_at.as_stored_millis());
            let mut filter = by_id(change.id());
            filter.insert(REVISION, layout::revision(change.expected()));
            filter.insert(EXPIRES_AT, not_over);
            filter.insert(DEADLINE, later_than(now));
            filter.insert(HEADER, doc! { "$type": "binData" });
            let stored = layout::encode(record, expires_at, self.inner.margin);
            let written = self
                .write(deadline, "update", || {
                    let (documents, filter, stored) =
                        (self.documents(), filter.clone(), stored.clone());
                    async move { documents.replace_one(filter, stored).await }
                })
                .await
                .map_err(|error: StoreError| error.unknown_if(resent))?;
            if written.answer.matched_count == 1 {
                return Ok(UpdateOutcome::Updated);
            }
            resent |= written.resent;
            let unclear = |error: StoreError| error.unknown_if(resent);
            match self.obstacle(change, now, deadline).await.map_err(unclear)? {
                Obstacle::OwnWrite => return Ok(UpdateOutcome::Updated),
                Obstacle::Touched { expires_at: touched } => expires_at = expires_at.max(touched),
                Obstacle::Missing | Obstacle::Revision if resent => {
                    return Err(sent_twice("update was sent twice"));
                }
                Obstacle::Missing => return Ok(UpdateOutcome::Missing),
                Obstacle::Revision => return Ok(UpdateOutcome::Conflict),
            }
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let deadline = self.deadline();
        let mut filter = by_id(id);
        filter.insert(EXPIRES_AT, later_than(now));
        filter.insert(DEADLINE, later_than(now));
        let later = doc! { "$max": {
            EXPIRES_AT: expires_at.as_stored_millis(),
            REMOVE_AFTER: layout::remove_after(expires_at, self.inner.margin),
        } };
        let written = self
            .write(deadline, "touch", || {
                let (documents, filter, later) = (self.documents(), filter.clone(), later.clone());
                async move { documents.update_one(filter, later).await }
            })
            .await?;
        if written.answer.matched_count == 1 {
            return Ok(TouchOutcome::Touched);
        }
        // Gone, over, or nothing that has times.
        let unclear = |error: StoreError| error.unknown_if(written.resent);
        if let Some(document) = self.find(id, deadline, "touch").await.map_err(unclear)? {
            layout::decode_head(&document)?;
        }
        if written.resent {
            // The earlier send may have prolonged a session that somebody has ended since.
            return Err(sent_twice("touch was sent twice"));
        }
        Ok(TouchOutcome::Missing)
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.delete_if(id, None, now, self.deadline()).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    /// None: the server removes what is over, by an index on a date.
    fn purger(&self) -> Option<&dyn Purge> {
        None
    }
}

/// Shows no address and no credentials.
impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("collection", &self.collection())
            .field("calls", &self.inner.calls)
            .field("margin", &self.inner.margin)
            .field("deadline", &self.inner.deadline)
            .finish_non_exhaustive()
    }
}

fn sent_twice(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::OutcomeUnknown, doing)
}
