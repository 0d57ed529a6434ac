//! The backends that can be soaked. A new one is an arm here.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use conformance_tests::Result;
use conformance_tests::servers::{
    PostgresOptions, PostgresServer, RedisOptions, RedisServer, ServerError,
};
use session_core::SessionStore;
use session_memory::MemoryStore;
use session_postgres::PostgresStore;
use session_redis::RedisStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// This process.
    Memory,
    /// A Redis server of our own, which writes every command to its disk before it answers.
    Redis,
    /// A PostgreSQL server of our own.
    Postgres,
}

/// A backend that runs. Its server, if it has one, is ours alone and ends with it.
pub(crate) enum Running {
    Memory(MemoryStore),
    Redis(Arc<RedisServer>),
    Postgres(Arc<PostgresServer>),
}

impl Backend {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) const fn has_server(self) -> bool {
        match self {
            Self::Memory => false,
            Self::Redis | Self::Postgres => true,
        }
    }

    pub(crate) const fn purges(self) -> bool {
        match self {
            Self::Memory | Self::Postgres => true,
            Self::Redis => false,
        }
    }

    /// Starts the backend so that an acknowledged write survives a crash of its server.
    pub(crate) async fn start(self) -> Result<Running> {
        match self {
            // Room for the largest purge.
            Self::Memory => Ok(Running::Memory(
                MemoryStore::builder().max_sessions(4_000_000).max_bytes(4 << 30).build()?,
            )),
            Self::Redis => {
                let options =
                    RedisOptions::new().config("appendonly", "yes").config("appendfsync", "always");
                let server = blocking(|| RedisServer::start(options)).await?;
                Ok(Running::Redis(Arc::new(server)))
            }
            Self::Postgres => {
                let options = PostgresOptions::new().config("fsync", "on");
                let server = blocking(|| PostgresServer::start(options)).await?;
                PostgresStore::connect(&server.url()).await?.migrate().await?;
                Ok(Running::Postgres(Arc::new(server)))
            }
        }
    }
}

impl Running {
    /// One more handle, opened separately.
    pub(crate) async fn open(&self) -> Result<Arc<dyn SessionStore>> {
        Ok(match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Redis(server) => Arc::new(RedisStore::connect(&server.url()).await?),
            Self::Postgres(server) => Arc::new(PostgresStore::connect(&server.url()).await?),
        })
    }

    pub(crate) async fn handles(&self, count: usize) -> Result<Vec<Arc<dyn SessionStore>>> {
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            handles.push(self.open().await?);
        }
        Ok(handles)
    }

    /// Kills the server, as a crash does, and starts it again.
    pub(crate) async fn kill_and_restart(&self) -> Result<()> {
        match self {
            Self::Memory(_) => Err("this backend has no server".into()),
            Self::Redis(server) => {
                let server = Arc::clone(server);
                blocking(move || server.kill().and_then(|()| server.restart())).await
            }
            Self::Postgres(server) => {
                let server = Arc::clone(server);
                blocking(move || server.kill().and_then(|()| server.restart())).await
            }
        }
    }

    /// Stops the server for this time: connections stay open, nothing is answered.
    pub(crate) async fn pause_for(&self, time: Duration) -> Result<()> {
        match self {
            Self::Memory(_) => return Err("this backend has no server".into()),
            Self::Redis(server) => server.pause()?,
            Self::Postgres(server) => server.pause()?,
        }
        crate::meter::sleep(time).await;
        match self {
            Self::Memory(_) => {}
            Self::Redis(server) => server.resume()?,
            Self::Postgres(server) => server.resume()?,
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> std::result::Result<T, ServerError> + Send + 'static,
) -> Result<T> {
    Ok(tokio::task::spawn_blocking(act).await??)
}

/// Choices that differ from run to run.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default()
}
