//! Opens the store that was asked for.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use session_core::{SessionStore, SystemClock};
use session_memory::MemoryStore;

/// A store, and its name for the pages.
pub(crate) struct Kept {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn SessionStore>,
}

pub(crate) async fn open(url: &str) -> Result<Kept, Box<dyn Error>> {
    match url.split_once("://").map_or(url, |(scheme, _)| scheme) {
        "memory" => memory(),
        "redis" | "rediss" => redis(url).await,
        // A URL may hold a password, so only its scheme is repeated.
        scheme => Err(format!("no store for `{scheme}`; there are `memory` and `redis`").into()),
    }
}

fn memory() -> Result<Kept, Box<dyn Error>> {
    let store = MemoryStore::new();
    // The task that removes what is over ends with the store.
    store.spawn_purge(Duration::from_secs(60), Arc::new(SystemClock))?;
    Ok(Kept { name: "the memory of this program", store: Arc::new(store) })
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<Kept, Box<dyn Error>> {
    let store = session_redis::RedisStore::builder().prefix("session-demo").connect(url).await?;
    Ok(Kept { name: "Redis", store: Arc::new(store) })
}

#[cfg(not(feature = "redis"))]
#[allow(clippy::unused_async, reason = "the same shape as with the feature")]
async fn redis(_url: &str) -> Result<Kept, Box<dyn Error>> {
    Err("this build has no Redis; run it as\n    \
         cargo run -p demo --features redis -- --store redis://127.0.0.1"
        .into())
}
