//! What takes part. A further backend is a file like `memory.rs` and a line in [`BACKENDS`]; a further
//! contestant is a line in its backend's file.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use session_core::BoxError;

use crate::home::Home;
use crate::options::Settings;
use crate::report::Size;
use crate::sessions::Work;

/// Everything that can be named on the command line.
pub(crate) const BACKENDS: &[&dyn Backend] = &[
    &crate::memory::Memory,
    &crate::redis::Redis,
    &crate::postgres::Postgres,
    &crate::mongo::Mongo,
    &crate::dynamo::Dynamo,
    &crate::http::Http,
];

/// An operation that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Load,
    /// Of an anonymous session.
    Create,
    /// Of a session of a user, with its index entry.
    CreateWithSubject,
    /// By compare-and-set; the raw driver and most peers write blindly.
    Update,
    Touch,
    /// Of an anonymous session.
    Delete,
}

impl Op {
    pub(crate) const ALL: [Self; 6] = [
        Self::Load,
        Self::Create,
        Self::CreateWithSubject,
        Self::Update,
        Self::Touch,
        Self::Delete,
    ];
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::CreateWithSubject => "create with subject",
            Self::Update => "update",
            Self::Touch => "touch",
            Self::Delete => "delete",
        })
    }
}

/// How many tasks call at a time.
pub(crate) const TASKS: [usize; 2] = [1, 64];

/// The ratio to the raw driver that our store is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) op: Op,
    /// At [`TASKS`].
    pub(crate) ratios: [f64; 2],
}

/// A kind of storage, and all who use it.
#[async_trait]
pub(crate) trait Backend: Sync {
    /// As on the command line.
    fn name(&self) -> &'static str;

    /// Those that are measured.
    fn operations(&self) -> &'static [Op] {
        &Op::ALL
    }

    /// Those of [`TASKS`] that are measured.
    fn tasks(&self) -> &'static [usize] {
        &TASKS
    }

    fn goals(&self) -> &'static [Goal];

    /// Whether load is measured in a small and in a large store.
    fn has_scale(&self) -> bool {
        true
    }

    /// How many times as long a load may take with the large number of sessions as with the small one.
    fn scale_goal(&self) -> Option<f64>;

    /// A server with nothing in it, unless one was named on the command line, and contestants on it. The
    /// raw driver is the first of them.
    async fn open(&self, settings: &Settings) -> Result<Arena, BoxError>;

    /// Bytes per session, and what else of that kind is counted.
    async fn sizes(&self, settings: &Settings) -> Result<Vec<Size>, BoxError>;
}

/// Contestants on one server. They do not see each other's sessions.
pub(crate) struct Arena {
    pub(crate) contestants: Vec<Box<dyn Contestant>>,
    pub(crate) server: Box<dyn Server>,
}

/// Where the contestants' sessions are. One that was started for the run ends when this is dropped.
#[async_trait]
pub(crate) trait Server: Send + Sync {
    fn home(&self) -> &Home;

    /// The processor time that the server has used, if it runs beside us or says so.
    async fn used_time(&self) -> Result<Option<Duration>, BoxError> {
        Ok(self.home().used_time())
    }

    /// Removes what is left on a server that others use too.
    async fn clean_up(&self) -> Result<(), BoxError>;

    /// To be called at the end.
    async fn close(&self) -> Result<(), BoxError> {
        if self.home().is_private() { Ok(()) } else { self.clean_up().await }
    }
}

/// How a contestant is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The raw driver: what the others are compared with.
    Raw,
    /// Our store as it is meant to be used: the goals are for it.
    Ours,
    /// Others: our store used in another way, peers.
    Beside,
}

/// Somebody who stores sessions.
pub(crate) trait Contestant: Send + Sync {
    fn name(&self) -> &str;

    fn standing(&self) -> Standing;

    /// Makes all that the calls will need, so that only the calls themselves are timed.
    fn prepare(&self, op: Op, works: &[Work]) -> Box<dyn Batch>;
}

/// Calls that one task makes one after the other.
#[async_trait]
pub(crate) trait Batch: Send {
    /// Makes them. Each goes through one boxed future, as a call of a `SessionStore` does. Any outcome but
    /// the plain one is an error: the time of a call that did nothing counts for nothing.
    async fn run(&mut self) -> Result<(), BoxError>;
}
