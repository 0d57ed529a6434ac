//! Where connections come from, and how a request is sent and, where that is safe, sent again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::{Pool, PoolError};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisError, Value};
use session_core::{StoreError, StoreErrorKind};
use tokio::time::Instant;

use crate::connection::{Connection, Server};
use crate::error;
use crate::scripts::ScriptForm;
use crate::shared::Slot;

/// Where connections come from.
pub(crate) enum Source {
    /// Connections of our own, each shared by many calls.
    Shared {
        /// For all but writes that wait for replicas.
        ordinary: Lanes,
        /// For writes that wait for replicas: `WAIT` holds up what comes behind it on a connection.
        durable: Lanes,
    },
    /// Connections of a pool that was handed in, each used by one call at a time.
    Pool(Pool),
}

/// Which connections a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Ordinary,
    Durable,
}

/// A few connections, used in turn.
#[derive(Debug)]
pub(crate) struct Lanes {
    slots: Box<[Arc<Slot>]>,
    next: AtomicUsize,
}

/// How a request is put into words for one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) script: ScriptForm,
    pub(crate) server: Server,
}

/// How long a call may take, and whether it may be sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The end of the whole call.
    pub(crate) deadline: Instant,
    /// How long one reply may take.
    pub(crate) response: Duration,
    /// Whether the request may be sent once more when the connection was lost before the reply.
    pub(crate) resend: bool,
}

/// The replies to a request, one for each command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) replies: Vec<Value>,
    /// An earlier send of the same request may have been applied.
    pub(crate) resent: bool,
}

/// Why there are no replies.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No send of this call can have been applied.
    NotSent(StoreError),
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
            Self::NotSent(error) | Self::Unknown(error) => error,
        }
    }

    /// The error of a call that changes something.
    pub(crate) fn of_write(self) -> StoreError {
        match self {
            Self::Unknown(error) if !error.is_outcome_unknown() => {
                StoreError::new(StoreErrorKind::OutcomeUnknown, "no reply").with_source(error)
            }
            Self::NotSent(error) | Self::Unknown(error) => error,
        }
    }
}

impl Source {
    /// Sends what `build` makes and reads the replies.
    ///
    /// Scripts that the server does not know are sent with their source: after `NOSCRIPT` surely nothing of
    /// the script was done, and what else the request holds may be done twice.
    pub(crate) async fn run(
        &self,
        lane: Lane,
        limits: Limits,
        build: impl Fn(Form) -> Pipeline,
    ) -> Result<Answer, Failure> {
        let mut script = ScriptForm::Hash;
        let (mut resent, mut unsent) = (false, false);
        loop {
            let lease = self.lease(lane, limits.deadline).await.map_err(|error| {
                if resent { Failure::Unknown(error) } else { Failure::NotSent(error) }
            })?;
            let batch = build(Form { script, server: lease.server() });
            let reply_by = limits.deadline.min(Instant::now() + limits.response);
            match lease.exchange(&batch, reply_by).await {
                Ok(replies) if script == ScriptForm::Hash && any_code(&replies, "NOSCRIPT") => {
                    script = ScriptForm::Source;
                }
                Ok(replies) => return Ok(Answer { replies, resent }),
                // An idle connection that the server had closed: once more, on a new one.
                Err(Broken::Unsent(_)) if !unsent => unsent = true,
                Err(Broken::Unsent(error)) if !resent => return Err(Failure::NotSent(error)),
                Err(Broken::Lost(_)) if limits.resend && !resent => resent = true,
                Err(Broken::Unsent(error) | Broken::Lost(error) | Broken::Late(error)) => {
                    return Err(Failure::Unknown(error));
                }
            }
        }
    }

    /// Opens a connection if there is none, so that wrong settings show early.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), StoreError> {
        self.lease(Lane::Ordinary, deadline).await.map(drop)
    }

    async fn lease(&self, lane: Lane, deadline: Instant) -> Result<Lease, StoreError> {
        match (self, lane) {
            (Self::Shared { ordinary: lanes, .. }, Lane::Ordinary)
            | (Self::Shared { durable: lanes, .. }, Lane::Durable) => {
                let connection = lanes.slot()?.get(deadline).await?;
                Ok(Lease::Shared(connection.handle(), connection))
            }
            (Self::Pool(pool), _) => {
                // Boxed, since it takes seven kilobytes, and every call on any connection would.
                let connection = Box::pin(pool.get());
                match tokio::time::timeout_at(deadline, connection).await {
                    Ok(Ok(connection)) => Ok(Lease::Pooled(connection)),
                    Ok(Err(error)) => Err(from_pool(error)),
                    Err(_) => Err(StoreError::new(
                        StoreErrorKind::Timeout,
                        "wait for a connection of the pool",
                    )),
                }
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { ordinary, durable } => f
                .debug_struct("Shared")
                .field("connections", &ordinary.slots.len())
                .field("durable_connections", &durable.slots.len())
                .finish(),
            Self::Pool(pool) => f.debug_tuple("Pool").field(&pool.status()).finish(),
        }
    }
}

impl Lanes {
    pub(crate) fn new(slots: impl IntoIterator<Item = Arc<Slot>>) -> Self {
        Self { slots: slots.into_iter().collect(), next: AtomicUsize::new(0) }
    }

    fn slot(&self) -> Result<&Arc<Slot>, StoreError> {
        let next = match self.slots.len() {
            0 | 1 => 0,
            n => self.next.fetch_add(1, Ordering::Relaxed) % n,
        };
        let none =
            || StoreError::new(StoreErrorKind::Config, "there is no connection of this kind");
        self.slots.get(next).ok_or_else(none)
    }
}

/// A connection for one exchange.
enum Lease {
    Shared(MultiplexedConnection, Arc<Connection>),
    Pooled(deadpool_redis::Connection),
}

/// Why an exchange has no replies.
enum Broken {
    /// The connection had ended before anything of the request was sent.
    Unsent(StoreError),
    /// The connection ended. The request may have been applied.
    Lost(StoreError),
    /// Nothing came in time. The request may have been applied.
    Late(StoreError),
}

impl Lease {
    fn server(&self) -> Server {
        match self {
            Self::Shared(_, connection) => connection.server(),
            Self::Pooled(_) => Server::default(),
        }
    }

    /// Sends and receives. A connection that fails, or that leads to a replica, is not used again.
    async fn exchange(mut self, batch: &Pipeline, reply_by: Instant) -> Result<Vec<Value>, Broken> {
        let before = match &self {
            Self::Shared(_, connection) => connection.written(),
            Self::Pooled(_) => 0,
        };
        let received = {
            let connection = match &mut self {
                Self::Shared(handle, _) => handle,
                Self::Pooled(connection) => &mut **connection,
            };
            tokio::time::timeout_at(reply_by, send(connection, batch)).await
        };
        match received {
            Ok(Ok(replies)) => {
                if any_code(&replies, "READONLY") {
                    self.retire("the server takes no writes");
                }
                Ok(replies)
            }
            Ok(Err(error)) => {
                let unsent = match &self {
                    Self::Shared(_, connection) => connection.sent_nothing_since(before).await,
                    Self::Pooled(_) => false,
                };
                self.retire("the connection failed");
                Err(if unsent {
                    Broken::Unsent(error::from_driver(
                        error,
                        StoreErrorKind::Unavailable,
                        "not sent",
                    ))
                } else {
                    Broken::Lost(error::from_driver(
                        error,
                        StoreErrorKind::OutcomeUnknown,
                        "no reply",
                    ))
                })
            }
            Err(_) => {
                self.retire("no reply in time");
                Err(Broken::Late(StoreError::new(
                    StoreErrorKind::OutcomeUnknown,
                    "no reply in time",
                )))
            }
        }
    }

    fn retire(self, why: &'static str) {
        match self {
            Self::Shared(_, connection) => connection.retire(why),
            // Taken out of the pool for good.
            Self::Pooled(connection) => drop(deadpool_redis::Connection::take(connection)),
        }
    }
}

async fn send(
    connection: &mut MultiplexedConnection,
    batch: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    let mut commands = batch.cmd_iter();
    match (commands.next(), batch.len()) {
        (Some(command), 1) => Ok(vec![connection.send_packed_command(command).await?]),
        (_, count) => connection.send_packed_commands(batch, 0, count).await,
    }
}

fn any_code(replies: &[Value], code: &str) -> bool {
    replies.iter().any(|reply| error::has_code(reply, code))
}

fn from_pool(error: PoolError) -> StoreError {
    let kind = match error {
        PoolError::Backend(error) => {
            return error::from_driver(error, StoreErrorKind::Unavailable, "connect");
        }
        PoolError::Timeout(_) => StoreErrorKind::Overloaded,
        PoolError::Closed | PoolError::NoRuntimeSpecified => StoreErrorKind::Config,
        PoolError::PostCreateHook(_) => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, "take a connection from the pool")
}
