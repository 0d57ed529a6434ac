//! The backends that can be soaked. A new one is an arm here.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance_tests::Result;
use conformance_tests::servers::{RedisOptions, RedisServer};
use session_core::SessionStore;
use session_memory::MemoryStore;
use session_redis::RedisStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Redis,
}

/// A backend that runs. Its server, if it has one, is ours alone and ends with it.
pub(crate) enum Running {
    Memory(MemoryStore),
    Redis { server: Arc<RedisServer>, prefix: String },
}

impl Backend {
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    pub(crate) const fn has_server(self) -> bool {
        matches!(self, Self::Redis)
    }

    pub(crate) const fn purges(self) -> bool {
        matches!(self, Self::Memory)
    }

    /// Starts the backend so that an acknowledged write survives a crash.
    pub(crate) async fn start(self) -> Result<Running> {
        match self {
            // Room for the largest purge.
            Self::Memory => Ok(Running::Memory(
                MemoryStore::builder().max_sessions(4_000_000).max_bytes(4 << 30).build()?,
            )),
            Self::Redis => {
                let options = RedisOptions::new()
                    .config("appendonly", "yes")
                    .config("appendfsync", "always");
                let server =
                    tokio::task::spawn_blocking(|| RedisServer::start(options)).await??;
                Ok(Running::Redis { server: Arc::new(server), prefix: prefix() })
            }
        }
    }
}

impl Running {
    /// One more handle, opened separately.
    pub(crate) async fn open(&self) -> Result<Arc<dyn SessionStore>> {
        match self {
            Self::Memory(store) => Ok(Arc::new(store.clone())),
            Self::Redis { server, prefix } => {
                let store = RedisStore::builder().prefix(prefix.clone());
                Ok(Arc::new(store.connect(&server.url()).await?))
            }
        }
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
        self.on_server(|server| server.kill().and_then(|()| server.restart())).await
    }

    /// Stops the server for this time: connections stay open, nothing is answered.
    pub(crate) async fn pause_for(&self, time: Duration) -> Result<()> {
        self.on_server(RedisServer::pause).await?;
        crate::meter::sleep(time).await;
        self.on_server(RedisServer::resume).await
    }

    async fn on_server<E>(
        &self,
        act: impl FnOnce(&RedisServer) -> std::result::Result<(), E> + Send + 'static,
    ) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let Self::Redis { server, .. } = self else {
            return Err("this backend has no server".into());
        };
        let server = Arc::clone(server);
        Ok(tokio::task::spawn_blocking(move || act(&server)).await??)
    }
}

fn prefix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("soak-{}-{}", now.as_micros(), std::process::id())
}

/// Choices that differ from run to run.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default()
}
