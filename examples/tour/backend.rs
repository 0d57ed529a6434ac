//! Opens the store that was asked for.

use std::error::Error;
use std::sync::Arc;

use session_core::SessionStore;

/// A store, and its name for the headline.
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn SessionStore>,
}

/// Opens the store that `store` names, which is made ready for use where that takes something.
pub(crate) async fn open(store: &str) -> Result<Backend, Box<dyn Error>> {
    match store.split_once("://").map_or(store, |(scheme, _)| scheme) {
        "memory" => Ok(Backend {
            name: "the embedded memory store".into(),
            store: Arc::new(session_memory::MemoryStore::new()),
        }),
        "redis" | "rediss" => redis(store).await,
        "postgres" | "postgresql" => postgres(store).await,
        "mongodb" | "mongodb+srv" => mongo(store).await,
        "dynamodb" => dynamo(store).await,
        // A URL may hold a password, so only its scheme is repeated.
        scheme => Err(format!(
            "no store for `{scheme}`; there are `memory`, `redis`, `postgres`, `mongodb` and `dynamodb`"
        )
        .into()),
    }
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_redis::RedisStore::builder().prefix("session-tour").connect(url).await?;
    Ok(Backend { name: "Redis".into(), store: Arc::new(store) })
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Backend, Box<dyn Error>> {
    let builder = session_postgres::PostgresStore::builder().table("session_tour");
    let store = builder.connect(url).await?;
    store.migrate().await?;
    Ok(Backend { name: "PostgreSQL".into(), store: Arc::new(store) })
}

#[cfg(feature = "mongo")]
async fn mongo(uri: &str) -> Result<Backend, Box<dyn Error>> {
    let builder = session_mongo::MongoStore::builder().collection("session-tour");
    let store = builder.connect(uri).await?;
    store.ensure_indexes().await?;
    Ok(Backend { name: "MongoDB".into(), store: Arc::new(store) })
}

#[cfg(feature = "dynamo")]
async fn dynamo(url: &str) -> Result<Backend, Box<dyn Error>> {
    let builder = session_dynamo::DynamoStore::builder().table("session-tour");
    let store = builder.connect_lazily(url)?;
    store.create_tables().await?;
    Ok(Backend { name: "DynamoDB".into(), store: Arc::new(store) })
}

/// For a build without a backend: says how to get one that has it.
macro_rules! missing {
    ($($function:ident, $feature:literal, $example:literal;)*) => {$(
        #[cfg(not(feature = $feature))]
        #[allow(clippy::unused_async, reason = "the same shape as with the feature")]
        async fn $function(_url: &str) -> Result<Backend, Box<dyn Error>> {
            Err(concat!(
                "this build does not have that backend; run it as\n    ",
                "cargo run --example tour --features ", $feature, " -- --store ", $example,
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
