//! Where connections come from, and how a statement is sent and, where that is safe, sent again.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Object, PoolError};
use session_core::{StoreError, StoreErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection as _, Postgres};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::connection::Connector;
use crate::error::{self, ServerError, Trouble};
use crate::statement::{Reply, Statement, Value};

/// Sends of a statement that the server undoes because of others.
const MOST_COLLISIONS: u32 = 5;

/// A connection of ours that was not needed for longer is closed.
const IDLE_FOR: Duration = Duration::from_mins(5);
/// How often is looked for such ones.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Where connections come from.
pub(crate) enum Source {
    /// Connections of our own, each used by one call at a time.
    Own(Own),
    /// Connections of a pool that was handed in.
    Shared(PgPool),
}

/// Connections of our own.
pub(crate) struct Own {
    pool: managed::Pool<Connector>,
    started: Instant,
    /// In milliseconds since `started`.
    swept_at: AtomicU64,
}

/// How long a call may take, and whether it may be sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The end of the whole call.
    pub(crate) deadline: Instant,
    /// How long one reply may take.
    pub(crate) response: Duration,
    /// Whether the statement may be sent once more when the connection was lost before the reply.
    pub(crate) resend: bool,
}

/// The reply to a statement.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// An earlier send of the same statement may have been applied.
    pub(crate) resent: bool,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No send of this call can have been applied.
    NotDone(StoreError),
    /// A send may have been applied.
    Unknown(StoreError),
}

impl Failure {
    /// The error of a call that changes nothing, and so can always be made again.
    pub(crate) fn of_read(self) -> StoreError {
        match self {
            Self::Unknown(error) if error.is_outcome_unknown() => {
                StoreError::new(StoreErrorKind::Unavailable, "no reply").with_source(error)
            }
            Self::NotDone(error) | Self::Unknown(error) => error,
        }
    }

    /// The error of a call that changes something.
    pub(crate) fn of_write(self) -> StoreError {
        match self {
            Self::Unknown(error) if !error.is_outcome_unknown() => {
                StoreError::new(StoreErrorKind::OutcomeUnknown, "no reply").with_source(error)
            }
            Self::NotDone(error) | Self::Unknown(error) => error,
        }
    }
}

impl Source {
    pub(crate) fn own(connector: Connector, connections: usize) -> Result<Self, StoreError> {
        let pool = managed::Pool::builder(connector)
            .max_size(connections)
            .queue_mode(managed::QueueMode::Lifo)
            .build()
            .map_err(|_| StoreError::new(StoreErrorKind::Config, "the pool cannot be built"))?;
        Ok(Self::Own(Own { pool, started: Instant::now(), swept_at: AtomicU64::new(0) }))
    }

    /// Sends a statement and reads the reply.
    pub(crate) async fn run(
        &self,
        limits: Limits,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Answer, Failure> {
        let (mut resent, mut stale, mut collisions) = (false, false, 0);
        let failure =
            |error, resent| if resent { Failure::Unknown(error) } else { Failure::NotDone(error) };
        loop {
            let lease = self
                .lease(limits, resent || stale)
                .await
                .map_err(|error| failure(error, resent))?;
            match lease.exchange(limits, statement, values).await {
                Ok(reply) => return Ok(Answer { reply, resent }),
                Err(Broken::Refused(said)) if said.is_stale_plan() && !stale => stale = true,
                Err(Broken::Refused(said))
                    if said.is_collision() && limits.resend && collisions < MOST_COLLISIONS =>
                {
                    collisions += 1;
                }
                Err(Broken::Refused(said)) => {
                    return Err(failure(said.into_store_error(statement.name()), resent));
                }
                Err(Broken::Lost(_)) if limits.resend && !resent => resent = true,
                Err(Broken::Lost(error) | Broken::Late(error)) => {
                    return Err(Failure::Unknown(error));
                }
            }
        }
    }

    /// Opens a connection if there is none, so that wrong settings show early.
    pub(crate) async fn connect(&self, limits: Limits) -> Result<(), StoreError> {
        self.lease(limits, false).await.map(drop)
    }

    /// A connection; with `proven`, one that has just answered.
    async fn lease(&self, limits: Limits, proven: bool) -> Result<Lease<'_>, StoreError> {
        let taken = tokio::time::timeout_at(limits.deadline, self.take(proven)).await;
        let late = |_| StoreError::new(StoreErrorKind::Timeout, "wait for a connection");
        let connection = Some(taken.map_err(late)??);
        Ok(Lease { source: self, connection, state: State::InOrder, patience: limits.response })
    }

    async fn take(&self, proven: bool) -> Result<Connection, StoreError> {
        match self {
            // After a failure it asks those that are older by itself.
            Self::Own(own) => {
                own.sweep();
                own.pool.get().await.map(Connection::Own).map_err(of_own_pool)
            }
            Self::Shared(pool) => loop {
                let mut connection = pool.acquire().await.map_err(error::of_connect)?;
                if !proven || connection.ping().await.is_ok() {
                    return Ok(Connection::Shared(connection));
                }
                Connection::Shared(connection).discard();
            },
        }
    }

    /// Whether the connections are somebody else's, with settings that we did not choose.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    fn note_failure(&self) {
        if let Self::Own(own) = self {
            own.pool.manager().note_failure();
        }
    }
}

impl Own {
    /// Closes connections that were not needed for a while, now and then.
    fn sweep(&self) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.started.elapsed());
        let before = self.swept_at.load(Ordering::Relaxed);
        let due = now.saturating_sub(before) >= millis(SWEEP_EVERY);
        if due
            && self
                .swept_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.pool.retain(|_, metrics| metrics.last_used() < IDLE_FOR);
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(own) => f.debug_tuple("Own").field(&own.pool.status()).finish(),
            Self::Shared(pool) => f
                .debug_struct("Shared")
                .field("connections", &pool.size())
                .field("idle", &pool.num_idle())
                .finish(),
        }
    }
}

enum Connection {
    Own(Object<Connector>),
    Shared(PoolConnection<Postgres>),
}

impl Connection {
    fn get(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Shared(connection) => connection,
        }
    }

    /// Closes it at once, and tells its pool that it is gone.
    fn discard(self) {
        match self {
            Self::Own(connection) => drop(Object::take(connection)),
            Self::Shared(connection) => drop(connection.detach()),
        }
    }
}

/// A connection for one exchange. It goes back to its pool only when no reply can arrive on it any more.
struct Lease<'a> {
    source: &'a Source,
    connection: Option<Connection>,
    state: State,
    /// How long the rest of a reply may take whose caller is gone.
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is under way.
    InOrder,
    /// A request is under way. A lease that is dropped now was dropped by its caller.
    Busy,
    /// A reply may arrive that nobody should get, or the server has given the connection up.
    Spoiled,
}

/// Why an exchange has no reply.
enum Broken {
    /// The server said no. The statement had no effect.
    Refused(ServerError),
    /// The connection ended. The statement may have been applied.
    Lost(StoreError),
    /// Nothing came in time. The statement may have been applied.
    Late(StoreError),
}

impl Lease<'_> {
    async fn exchange(
        mut self,
        limits: Limits,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Reply, Broken> {
        let reply_by = limits.deadline.min(Instant::now() + limits.response);
        let Some(connection) = &mut self.connection else {
            return Err(Broken::Lost(error::unexpected("take a connection")));
        };
        self.state = State::Busy;
        let sent = statement.send(connection.get(), values);
        let answer = tokio::time::timeout_at(reply_by, sent).await;
        self.state = State::Spoiled;
        match answer {
            Ok(Ok(reply)) => {
                self.state = State::InOrder;
                Ok(reply)
            }
            Ok(Err(error)) => match error::trouble(error) {
                Trouble::Refused(said) => {
                    if !said.spoils_connection() {
                        self.state = State::InOrder;
                    }
                    Err(Broken::Refused(said))
                }
                Trouble::Lost(error) => {
                    self.source.note_failure();
                    Err(Broken::Lost(error))
                }
            },
            Err(_) => {
                self.source.note_failure();
                Err(Broken::Late(StoreError::new(
                    StoreErrorKind::OutcomeUnknown,
                    "no reply in time",
                )))
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match self.state {
            State::InOrder => {}
            State::Busy => settle(connection, self.patience),
            State::Spoiled => {
                tracing::debug!("postgres connection closed");
                connection.discard();
            }
        }
    }
}

/// Sends the rest of a request and receives its reply, for nobody, so that a caller who goes away costs no
/// connection and a request that has begun does not wait for a later one. Not in time: the connection is closed.
fn settle(mut connection: Connection, patience: Duration) {
    let Ok(runtime) = Handle::try_current() else { return connection.discard() };
    runtime.spawn(async move {
        // The reply to a ping comes after all others.
        let settled = tokio::time::timeout(patience, connection.get().ping()).await;
        if !matches!(settled, Ok(Ok(()))) {
            connection.discard();
        }
    });
}

fn of_own_pool(error: PoolError<StoreError>) -> StoreError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Closed => StoreError::new(StoreErrorKind::Config, "the store is closed"),
        PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            StoreError::new(StoreErrorKind::Unavailable, "take a connection")
        }
    }
}
