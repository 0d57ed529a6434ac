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
        "postgres" | "postgresql" => postgres(url).await,
        "mongodb" | "mongodb+srv" => mongo(url).await,
        "dynamodb" => dynamo(url).await,
        // A URL may hold a password, so only its scheme is repeated.
        scheme => Err(format!(
            "no store for `{scheme}`; there are `memory`, `redis`, `postgres`, `mongodb` and `dynamodb`"
        )
        .into()),
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

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Kept, Box<dyn Error>> {
    let builder = session_postgres::PostgresStore::builder().table("session_demo");
    let store = Arc::new(builder.connect(url).await?);
    store.migrate().await?;
    tokio::spawn(purge_each_minute(Arc::clone(&store)));
    Ok(Kept { name: "PostgreSQL", store })
}

/// PostgreSQL removes nothing by itself.
#[cfg(feature = "postgres")]
async fn purge_each_minute(store: Arc<session_postgres::PostgresStore>) {
    use session_core::{Clock as _, Purge as _};

    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let cutoff = SystemClock.now().minus(store.margin());
        if let Err(error) = store.purge(std::num::NonZeroU32::MAX, cutoff).await {
            eprintln!("demo: {error}");
        }
    }
}

#[cfg(feature = "mongo")]
async fn mongo(uri: &str) -> Result<Kept, Box<dyn Error>> {
    let builder = session_mongo::MongoStore::builder().collection("session-demo");
    let store = builder.connect(uri).await?;
    store.ensure_indexes().await?;
    Ok(Kept { name: "MongoDB", store: Arc::new(store) })
}

#[cfg(feature = "dynamo")]
async fn dynamo(url: &str) -> Result<Kept, Box<dyn Error>> {
    let builder = session_dynamo::DynamoStore::builder().table("session-demo");
    let store = builder.connect_lazily(url)?;
    store.create_tables().await?;
    Ok(Kept { name: "DynamoDB", store: Arc::new(store) })
}

/// For a build without a backend: says how to get one that has it.
macro_rules! missing {
    ($($function:ident, $feature:literal, $example:literal;)*) => {$(
        #[cfg(not(feature = $feature))]
        #[allow(clippy::unused_async, reason = "the same shape as with the feature")]
        async fn $function(_url: &str) -> Result<Kept, Box<dyn Error>> {
            Err(concat!(
                "this build does not have that backend; run it as\n    ",
                "cargo run -p demo --features ", $feature, " -- --store ", $example,
            )
            .into())
        }
    )*};
}

missing! {
    redis, "redis", "redis://127.0.0.1";
    postgres, "postgres", "postgres://postgres@127.0.0.1/postgres";
    mongo, "mongo", "'mongodb://127.0.0.1/test?directConnection=true'";
    dynamo, "dynamo", "'dynamodb://127.0.0.1:8000?region=eu-west-1'";
}
