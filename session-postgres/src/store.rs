//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Change, CreateOutcome, CredentialTag, Inspect, Purge, Record, SessionId, SessionStore,
    StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome,
    async_trait,
};
use sqlx::postgres::PgPool;
use tokio::time::Instant;

use crate::builder::PostgresStoreBuilder;
use crate::names::Names;
use crate::row::{self, Refused};
use crate::source::{Answer, Failure, Limits, Source};
use crate::sql::Sql;
use crate::statement::{Statement, Value};
use crate::time::PgTime;

/// Sessions in PostgreSQL.
///
/// A clone is a reference to the same store.
///
/// Open it with [`PostgresStore::connect`], or with [`PostgresStore::builder`] for other settings, and create
/// its table with [`migrate`](PostgresStore::migrate). One [`check`](PostgresStore::check) at start tells
/// whether the server is set up for sessions.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) source: Source,
    pub(crate) names: Names,
    pub(crate) sql: Sql,
    pub(crate) margin: Duration,
    pub(crate) max_skew: Duration,
    pub(crate) deadline: Duration,
    pub(crate) walk_deadline: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) unlogged: bool,
    pub(crate) unverified_server: bool,
}

impl PostgresStore {
    /// Connects to `postgres://user[:password]@host[:port][/database][?sslmode=verify-full]` with the default
    /// settings.
    ///
    /// # Errors
    ///
    /// `Config` for a URL that is not one of these, or that does not protect the way to another machine;
    /// `Unavailable`, `Denied` and others when the server cannot be used now.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with other settings.
    #[must_use]
    pub fn builder() -> PostgresStoreBuilder {
        PostgresStoreBuilder::default()
    }

    /// A store on connections of your own pool, with the default settings.
    ///
    /// `sqlx`'s pool asks the server after each call, and by default before it, whether the connection still
    /// works: prefer [`PostgresStore::connect`] unless something else needs the pool, and switch
    /// `test_before_acquire` off. Deadlines of the pool's own apply besides ours.
    ///
    /// # Errors
    ///
    /// `Config` for a pool that does not protect the way to another machine.
    pub fn from_pool(pool: PgPool) -> Result<Self, StoreError> {
        Self::builder().from_pool(pool)
    }

    /// The schema of the table.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.inner.names.schema()
    }

    /// The table: the namespace of the store.
    #[must_use]
    pub fn table(&self) -> &str {
        self.inner.names.table()
    }

    /// Limits of one operation on one session.
    pub(crate) fn limits(&self, resend: bool) -> Limits {
        Limits {
            deadline: Instant::now() + self.inner.deadline,
            response: self.inner.response_timeout,
            resend,
        }
    }

    /// The end of a walk over many records that begins now.
    pub(crate) fn walk_end(&self) -> Instant {
        Instant::now() + self.inner.walk_deadline
    }

    /// Limits of one statement of a walk that ends at `walk`: none may wait for as long as the walk itself.
    pub(crate) fn limits_within(&self, walk: Instant) -> Limits {
        let limits = self.limits(true);
        Limits { deadline: limits.deadline.min(walk), response: self.inner.deadline, ..limits }
    }

    /// Sends a statement.
    pub(crate) async fn run(
        &self,
        limits: Limits,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Answer, Failure> {
        self.inner.source.run(limits, statement, values).await
    }

    /// Deletes one record, and says whether it was live.
    pub(crate) async fn delete_by(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let answer = self.run(self.limits(true), statement, values).await;
        let Answer { reply, .. } = answer.map_err(Failure::of_write)?;
        let removed = reply.rows.first().and_then(row::summary);
        Ok(removed.is_some_and(|summary| summary.is_live(now)))
    }

    /// What the record was like that an update did not change; nothing if there is none.
    async fn refused_update(
        &self,
        limits: Limits,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Refused>, StoreError> {
        let answer = self.run(limits, &self.inner.sql.update_refused, &[bytes(id)]).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        let refused = rows.first().map(|row| row::refused_update(row, now));
        Ok(refused.transpose()?)
    }

    /// Whether the record was over that a touch did not change; nothing if there is none.
    async fn refused_touch(
        &self,
        limits: Limits,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let answer = self.run(limits, &self.inner.sql.touch_refused, &[bytes(id)]).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        let refused = rows.first().map(|row| row::refused_touch(row, now));
        Ok(refused.transpose()?)
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        let _ = now;
        record.check_payload()?;
        let ends_at = PgTime::new(record.ends_at()).second_after();
        let values = [
            time(record.created_at()),
            time(record.expires_at()),
            time(record.deadline()),
            Value::Time(Some(ends_at)),
            Value::Int(record.revision().as_i64()),
            authenticated_at(record),
            grace_until(record),
            authentication_level(record),
            bytes(record.id()),
            Value::Bytes(Some(record.secret_hash().as_bytes())),
            previous_hash(record),
            credential_tag(record),
            subject(record),
            Value::Bytes(Some(record.payload())),
        ];
        let answer = self.run(self.limits(false), &self.inner.sql.create, &values).await;
        match answer.map_err(Failure::of_write)?.reply.affected {
            0 => Ok(CreateOutcome::Exists),
            _ => Ok(CreateOutcome::Created),
        }
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let answer = self.run(self.limits(true), &self.inner.sql.load, &[bytes(id)]).await;
        let rows = answer.map_err(Failure::of_read)?.reply.rows;
        let Some(row) = rows.first() else { return Ok(None) };
        let record = row::record(*id, row)?;
        Ok(record.is_live(now).then_some(record))
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let record = change.record();
        record.check_payload()?;
        let latest_end = PgTime::new(record.deadline()).second_after();
        let values = [
            bytes(change.id()),
            Value::Int(change.expected().as_i64()),
            time(now),
            Value::Int(record.revision().as_i64()),
            Value::Bytes(Some(record.secret_hash().as_bytes())),
            previous_hash(record),
            grace_until(record),
            subject(record),
            time(record.expires_at()),
            time(record.deadline()),
            Value::Time(Some(latest_end)),
            authenticated_at(record),
            authentication_level(record),
            credential_tag(record),
            Value::Bytes(Some(record.payload())),
        ];
        let limits = self.limits(true);
        let mut maybe_done = false;
        loop {
            let answer = self.run(limits, &self.inner.sql.update, &values).await;
            let answer =
                answer.map_err(|failure| Failure::of_write(failure).unknown_if(maybe_done))?;
            maybe_done |= answer.resent;
            if answer.reply.affected > 0 {
                return Ok(UpdateOutcome::Updated);
            }
            let refused = self.refused_update(limits, change.id(), now).await;
            match refused.map_err(|error| error.unknown_if(maybe_done))? {
                Some(Refused::Live(revision)) if revision == record.revision() => {
                    return Ok(UpdateOutcome::Updated);
                }
                // It has gone and come back meanwhile. The deadline ends this, should it go on.
                Some(Refused::Live(revision)) if revision == change.expected() => {}
                _ if maybe_done => return Err(sent_twice("update was sent twice")),
                Some(Refused::Live(_)) => return Ok(UpdateOutcome::Conflict),
                Some(Refused::Over) | None => return Ok(UpdateOutcome::Missing),
            }
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let values = [bytes(id), time(now), time(expires_at)];
        let limits = self.limits(true);
        let mut maybe_done = false;
        loop {
            let answer = self.run(limits, &self.inner.sql.touch, &values).await;
            let answer =
                answer.map_err(|failure| Failure::of_write(failure).unknown_if(maybe_done))?;
            maybe_done |= answer.resent;
            if answer.reply.affected > 0 {
                return Ok(TouchOutcome::Touched);
            }
            let over = self.refused_touch(limits, id, now).await;
            match over.map_err(|error| error.unknown_if(maybe_done))? {
                // The earlier send may have touched what has ended since.
                Some(true) | None if maybe_done => return Err(sent_twice("touch was sent twice")),
                Some(true) | None => return Ok(TouchOutcome::Missing),
                // It has gone and come back meanwhile. The deadline ends this, should it go on.
                Some(false) => {}
            }
        }
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.delete_by(&self.inner.sql.delete, &[bytes(id)], now).await
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

    fn purger(&self) -> Option<&dyn Purge> {
        Some(self)
    }
}

/// Shows no address and no credentials.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.schema())
            .field("table", &self.table())
            .field("source", &self.inner.source)
            .field("margin", &self.inner.margin)
            .field("deadline", &self.inner.deadline)
            .finish_non_exhaustive()
    }
}

fn sent_twice(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::OutcomeUnknown, doing)
}

pub(crate) fn bytes(id: &SessionId) -> Value<'_> {
    Value::Bytes(Some(id.as_bytes()))
}

pub(crate) const fn time(time: Timestamp) -> Value<'static> {
    Value::Time(Some(PgTime::new(time)))
}

fn subject(record: &Record) -> Value<'_> {
    Value::Bytes(record.subject().map(Subject::as_bytes))
}

fn previous_hash(record: &Record) -> Value<'_> {
    Value::Bytes(record.previous().map(|previous| &previous.hash.as_bytes()[..]))
}

fn grace_until(record: &Record) -> Value<'_> {
    Value::Time(record.previous().map(|previous| PgTime::new(previous.grace_until)))
}

fn authenticated_at(record: &Record) -> Value<'_> {
    Value::Time(record.authentication().map(|authentication| PgTime::new(authentication.at)))
}

fn authentication_level(record: &Record) -> Value<'_> {
    Value::Small(record.authentication().map(|authentication| authentication.level.into()))
}

fn credential_tag(record: &Record) -> Value<'_> {
    Value::Bytes(record.credential_tag().map(CredentialTag::as_bytes))
}

/// At most this many rows.
pub(crate) fn limit(count: usize) -> Value<'static> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
