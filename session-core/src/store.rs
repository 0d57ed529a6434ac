//! The contract that every store keeps.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::id::SessionId;
use crate::page::{Page, PageRequest};
use crate::realm::Subject;
use crate::record::{Change, Record, SessionSummary};
use crate::timestamp::Timestamp;

/// A place where sessions are kept.
///
/// Applications do not call it; they use [`Sessions`](crate::Sessions), which adds secrets, lifetimes,
/// data and merging. Adapters implement it, and prove it with the crate `conformance-tests`.
///
/// # For implementers
///
/// The numbered rules are in [`CONTRACT`](crate::CONTRACT), rendered at
/// [`contract`](crate::contract). In short: every operation is atomic in the backend and takes one
/// round trip on the common path; nothing but `create` creates; outcomes are values and trouble is an
/// error; `now` is the only clock. A failed call never says `None`, `Missing` or `false`.
///
/// No method has a default body, so that a wrapper which forgets one does not compile. A wrapper
/// forwards every method. Implementations need the attribute `#[async_trait]`, which this crate
/// re-exports.
///
/// # For callers
///
/// Every call ends within the deadline that the adapter was configured with. Dropping a future at any
/// point leaves pool, connection and record consistent; whether the operation was applied is then
/// unknown.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new record, if there is none under its id. Never overwrites a live one, sent once, never
    /// resent.
    ///
    /// For an id whose record is over but still there, either answer is allowed; after
    /// [`Created`](CreateOutcome::Created) nothing old is visible. A record that cannot be read is not
    /// overwritten: the answer is [`Exists`](CreateOutcome::Exists) or the error
    /// [`Corrupt`](crate::StoreErrorKind::Corrupt).
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError>;

    /// Reads the record, if it is live at `now`. Sees every write that was acknowledged before the
    /// call began, and writes nothing.
    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// Replaces the content of a live record, if it still has the expected revision. Never creates.
    ///
    /// The stored `expires_at` never moves back. A record that already has the change's own revision
    /// is answered with [`Updated`](UpdateOutcome::Updated). A payload that is too large is refused before
    /// anything else is looked at; a record that cannot be read is `Corrupt` or `UnsupportedFormat`.
    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError>;

    /// Moves the idle deadline of a live record to `expires_at`, if that is later. Payload and
    /// revision stay.
    ///
    /// The store does not cap the value by the absolute deadline; visibility tests that one anyway. A record
    /// whose times cannot be read is `Corrupt`.
    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError>;

    /// Removes the record, whatever its state. `true` if it was live; a record that was over or
    /// unreadable is removed too and answers `false`.
    ///
    /// After a resend inside the adapter the answer is advisory; that the session is gone is the promise.
    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// How long after its logical end a record is physically removed at the earliest, by native expiry,
    /// purge or reclaim. Servers whose clocks differ by less cannot destroy each other's sessions.
    fn margin(&self) -> Duration;

    /// The index by subject, if this store has one.
    fn subject_index(&self) -> Option<&dyn SubjectIndex>;

    /// The walk over all sessions, if this store has one.
    fn inspect(&self) -> Option<&dyn Inspect>;

    /// The removal of what is over, if this store does not expire records by itself.
    fn purger(&self) -> Option<&dyn Purge>;
}

/// The answer of [`SessionStore::create`]. Closed: the contract has these two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "see above")]
pub enum CreateOutcome {
    /// The record is stored.
    Created,
    /// The id is taken; nothing was changed.
    Exists,
}

/// The answer of [`SessionStore::update`]. Closed: the contract has these three answers.
///
/// `Conflict` and `Missing` say that surely no send of this call was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "see above")]
pub enum UpdateOutcome {
    /// The change is stored.
    Updated,
    /// The record is live, but its revision is another one.
    Conflict,
    /// There is no live record under this id.
    Missing,
}

/// The answer of [`SessionStore::touch`]. Closed: the contract has these two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "see above")]
pub enum TouchOutcome {
    /// The idle deadline is at least the given one now.
    Touched,
    /// There is no live record under this id.
    Missing,
}

/// The sessions of a subject. **Never misses a live session.**
#[async_trait]
pub trait SubjectIndex: fmt::Debug + Send + Sync {
    /// The live sessions of `subject`, a page at a time, in no particular order.
    ///
    /// A cursor goes on with the listing that returned it. With another listing it is `InvalidCursor` or a
    /// position in that listing, and never shows another subject's sessions.
    ///
    /// Every session that is live throughout the walk is listed at least once. Records that cannot be
    /// read are left out.
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError>;

    /// Deletes every session of `subject` but `except`, and says how many live ones there were.
    ///
    /// Records of the subject that are over may go too and do not count. So may a record that cannot be read,
    /// where the index says that it is the subject's.
    ///
    /// Every session whose login had returned before the call began is dead after it. On trouble the
    /// error says by [`StoreError::deleted`] that the call was partial; repeating it is safe.
    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Deletes the session `id` if it belongs to `subject`. `true` if it was live and is gone; `false` for
    /// one that is another's, is over, or cannot be read.
    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// A walk over all sessions of the namespace, for administration.
///
/// On backends without an order (Redis, DynamoDB) this reads everything, in bounded pieces.
#[async_trait]
pub trait Inspect: fmt::Debug + Send + Sync {
    /// The live sessions, a page at a time. Every session that is live throughout the walk is seen at
    /// least once; duplicates are possible. Records that cannot be read are left out.
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError>;

    /// How many sessions are live.
    async fn count(&self, now: Timestamp) -> Result<Count, StoreError>;
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a number is counted or estimated")]
pub enum Count {
    /// Counted one by one. Sessions that come or go meanwhile may or may not be included.
    Exact(u64),
    /// Estimated.
    Estimate(u64),
}

/// The removal of records that are over, for backends that do not do it by themselves.
#[async_trait]
pub trait Purge: fmt::Debug + Send + Sync {
    /// Examines at most `limit` due records and removes exactly those whose life ended at or before
    /// `cutoff`. Records that are not due cost nothing and do not count.
    ///
    /// Takes the cut-off as it is: the caller subtracts the margin, `now.minus(store.margin())`. Safe
    /// beside traffic and other purgers; never removes a record that was touched meanwhile.
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError>;
}

/// The answer of [`Purge::purge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "adapters build it")]
pub struct Purged {
    /// How many records were removed.
    pub removed: u64,
    /// Whether a full batch was examined, so that another call may find more.
    pub more: bool,
}

/// Several handles on one store; what [`Sessions`](crate::Sessions) itself uses.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        (**self).create(record, now).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        (**self).load(id, now).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        (**self).update(change, now).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        (**self).touch(id, expires_at, now).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        (**self).delete(id, now).await
    }

    fn margin(&self) -> Duration {
        (**self).margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        (**self).subject_index()
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        (**self).inspect()
    }

    fn purger(&self) -> Option<&dyn Purge> {
        (**self).purger()
    }
}
