//! Opens the store that was asked for.

use std::error::Error;
use std::sync::Arc;

use session_core::SessionStore;

/// A store, and its name for the headline.
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn SessionStore>,
}

pub(crate) async fn open(store: &str) -> Result<Backend, Box<dyn Error>> {
    match store.split_once("://").map_or(store, |(scheme, _)| scheme) {
        "memory" => Ok(Backend {
            name: "the embedded memory store".into(),
            store: Arc::new(session_memory::MemoryStore::new()),
        }),
        "redis" | "rediss" => redis(store).await,
        // A URL may hold a password, so only its scheme is repeated.
        scheme => Err(format!("no store for `{scheme}`; there are `memory` and `redis`").into()),
    }
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_redis::RedisStore::builder().prefix("session-tour").connect(url).await?;
    Ok(Backend { name: "Redis".into(), store: Arc::new(store) })
}

#[cfg(not(feature = "redis"))]
#[allow(clippy::unused_async, reason = "the same shape as with the feature")]
async fn redis(_url: &str) -> Result<Backend, Box<dyn Error>> {
    Err("this build has no Redis; run it as\n    \
         cargo run --example tour --features redis -- --store redis://127.0.0.1"
        .into())
}
