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

/// For how long that question may go unanswered. A call waits for it, and may then still have to connect.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// A connection is replaced at this age, so that a server behind the same name is found, and what a backend
/// of the server has gathered goes.
const LIFETIME: Duration = Duration::from_mins(30);

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    options: PgConnectOptions,
    /// Bounds name resolution, TCP, TLS and login together.
    connect_timeout: Duration,
    started: Instant,
    /// The millisecond after a connection last failed, counted from `started`. Those taken before are asked.
    doubted_until: AtomicU64,
    /// The millisecond after one that was asked did not answer. Those taken before are closed: to ask each of them
    /// would take longer than a new one when the network swallows what is sent.
    lost_until: AtomicU64,
}

/// Whether a connection that was idle can be used.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// At once.
    Full,
    /// If it answers.
    Ask,
    /// Not any more.
    Lost,
}

impl Connector {
    pub(crate) fn new(options: PgConnectOptions, connect_timeout: Duration) -> Self {
        let (doubted_until, lost_until) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { options, connect_timeout, started: Instant::now(), doubted_until, lost_until }
    }

    /// Remembers that a connection failed: the idle ones may be no better.
    pub(crate) fn note_failure(&self) {
        self.note(&self.doubted_until);
    }

    fn note(&self, mark: &AtomicU64) {
        mark.fetch_max(self.millis(Instant::now()) + 1, Ordering::AcqRel);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// What is to be done with a connection that was last taken `last_used` ago.
    fn trust(&self, last_used: Duration) -> Trust {
        let taken_at = self
            .millis(Instant::now())
            .saturating_sub(u64::try_from(last_used.as_millis()).unwrap_or(u64::MAX));
        let is_before = |mark: &AtomicU64| taken_at < mark.load(Ordering::Acquire);
        if is_before(&self.lost_until) {
            Trust::Lost
        } else if is_before(&self.doubted_until) || last_used >= TRUSTED_FOR {
            Trust::Ask
        } else {
            Trust::Full
        }
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
        match self.trust(metrics.last_used()) {
            Trust::Full => Ok(()),
            Trust::Lost => Err(RecycleError::message("another one did not answer")),
            Trust::Ask => {
                let answer = tokio::time::timeout(ANSWERS_WITHIN, connection.ping()).await;
                if matches!(answer, Ok(Ok(()))) {
                    return Ok(());
                }
                self.note(&self.lost_until);
                Err(RecycleError::message("it does not answer"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn doubted_connections_are_asked_and_those_are_closed_that_one_without_answer_speaks_for()
    {
        let second = Duration::from_secs(1);
        let connector = Connector::new(PgConnectOptions::new(), second);
        tokio::time::advance(60 * second).await;
        assert_eq!(connector.trust(Duration::ZERO), Trust::Full);
        assert_eq!(connector.trust(9 * second), Trust::Full);
        assert_eq!(connector.trust(10 * second), Trust::Ask);
        connector.note_failure();
        assert_eq!(connector.trust(second), Trust::Ask);
        assert_eq!(connector.trust(Duration::ZERO), Trust::Ask, "taken at the same moment");
        connector.note(&connector.lost_until);
        assert_eq!(connector.trust(Duration::ZERO), Trust::Lost);
        tokio::time::advance(2 * second).await;
        assert_eq!(connector.trust(second), Trust::Full);
        assert_eq!(connector.trust(2 * second), Trust::Lost);
    }
}
