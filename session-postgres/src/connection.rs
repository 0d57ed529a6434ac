//! Connections of our own: how one is opened, and when one that was idle can be used again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use session_core::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};
use tokio::time::Instant;

use crate::error;

/// A connection that was idle for longer is asked whether it still works.
const TRUSTED_FOR: Duration = Duration::from_secs(10);

/// A connection is replaced at this age, so that a server behind the same name is found, and what a backend
/// of the server has gathered goes.
const LIFETIME: Duration = Duration::from_mins(30);

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    options: PgConnectOptions,
    /// Bounds name resolution, TCP, TLS and login together.
    connect_timeout: Duration,
    /// For how long one that was idle may take to answer.
    response_timeout: Duration,
    started: Instant,
    /// The millisecond after a connection last failed, counted from `started`.
    failed_until: AtomicU64,
}

impl Connector {
    pub(crate) fn new(
        options: PgConnectOptions,
        connect_timeout: Duration,
        response_timeout: Duration,
    ) -> Self {
        let (started, failed_until) = (Instant::now(), AtomicU64::new(0));
        Self { options, connect_timeout, response_timeout, started, failed_until }
    }

    /// Remembers that a connection failed: the idle ones may be no better.
    pub(crate) fn note_failure(&self) {
        self.failed_until.fetch_max(self.millis(Instant::now()) + 1, Ordering::AcqRel);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a connection can be used that was last taken `last_used` ago, without asking it first.
    fn is_trusted(&self, last_used: Duration) -> bool {
        let taken_at = self
            .millis(Instant::now())
            .saturating_sub(u64::try_from(last_used.as_millis()).unwrap_or(u64::MAX));
        last_used < TRUSTED_FOR && taken_at >= self.failed_until.load(Ordering::Acquire)
    }

    async fn open(&self) -> Result<PgConnection, StoreError> {
        let mut connection =
            PgConnection::connect_with(&self.options).await.map_err(error::of_connect)?;
        let standby = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await;
        let standby = standby.and_then(|row| row.try_get(0)).map_err(error::of_connect)?;
        if standby {
            // What it answers may be old: it could miss a logout.
            return Err(StoreError::new(
                StoreErrorKind::ReadOnly,
                "connect: the server is a standby",
            ));
        }
        Ok(connection)
    }
}

impl Manager for Connector {
    type Type = PgConnection;
    type Error = StoreError;

    async fn create(&self) -> Result<PgConnection, StoreError> {
        let opened =
            tokio::time::timeout(self.connect_timeout, self.open()).await.unwrap_or_else(|_| {
                Err(StoreError::new(StoreErrorKind::Unavailable, "connect: no answer in time"))
            });
        match &opened {
            Ok(_) => tracing::debug!("postgres connection opened"),
            Err(error) => tracing::warn!(kind = ?error.kind(), "postgres connection failed"),
        }
        opened
    }

    async fn recycle(
        &self,
        connection: &mut PgConnection,
        metrics: &Metrics,
    ) -> RecycleResult<StoreError> {
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("old"));
        }
        if self.is_trusted(metrics.last_used()) {
            return Ok(());
        }
        match tokio::time::timeout(self.response_timeout, connection.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(RecycleError::message("it does not answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_from_before_a_failure_and_idle_ones_are_not_trusted() {
        let second = Duration::from_secs(1);
        let connector = Connector::new(PgConnectOptions::new(), second, second);
        tokio::time::advance(60 * second).await;
        assert!(connector.is_trusted(Duration::ZERO));
        assert!(connector.is_trusted(9 * second));
        assert!(!connector.is_trusted(10 * second));
        connector.note_failure();
        assert!(!connector.is_trusted(second));
        assert!(!connector.is_trusted(Duration::ZERO), "taken at the same moment");
        tokio::time::advance(2 * second).await;
        assert!(connector.is_trusted(second));
        assert!(!connector.is_trusted(2 * second));
    }
}
