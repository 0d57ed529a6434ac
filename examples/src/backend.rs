//! The store that a program is told to use, by its URL.

use std::error::Error;
use std::sync::Arc;

use session_core::SessionStore;

/// A store, and its name for people.
#[derive(Debug)]
pub struct Backend {
    /// What it is, in words.
    pub name: &'static str,
    /// Ready for use.
    pub store: Arc<dyn SessionStore>,
}

/// Opens the store that `url` names, and makes it ready for use where that takes something. `namespace` keeps programs
/// apart: letters and underscores.
///
/// A backend is there with the feature of its name; `program` is the command that gets one, for the error where it
/// is not.
///
/// # Errors
///
/// When there is no such backend, or it cannot be used. A URL may hold a password, so only its scheme is repeated.
pub async fn open(url: &str, namespace: &str, program: &str) -> Result<Backend, Box<dyn Error>> {
    match url.split_once("://").map_or(url, |(scheme, _)| scheme) {
        "memory" => Ok(Backend {
            name: "the embedded memory store",
            store: Arc::new(session_memory::MemoryStore::new()),
        }),
        "redis" | "rediss" => redis(url, namespace, program).await,
        "postgres" | "postgresql" => postgres(url, namespace, program).await,
        "mongodb" | "mongodb+srv" => mongo(url, namespace, program).await,
        "dynamodb" => dynamo(url, namespace, program).await,
        scheme => Err(format!(
            "no store for `{scheme}`; there are `memory`, `redis`, `postgres`, `mongodb` and `dynamodb`"
        )
        .into()),
    }
}

#[cfg(feature = "redis")]
async fn redis(url: &str, namespace: &str, _: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_redis::RedisStore::builder().prefix(namespace).connect(url).await?;
    Ok(Backend { name: "Redis", store: Arc::new(store) })
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, namespace: &str, _: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_postgres::PostgresStore::builder().table(namespace).connect(url).await?;
    store.migrate().await?;
    Ok(Backend { name: "PostgreSQL", store: Arc::new(store) })
}

#[cfg(feature = "mongo")]
async fn mongo(uri: &str, namespace: &str, _: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_mongo::MongoStore::builder().collection(namespace).connect(uri).await?;
    store.ensure_indexes().await?;
    Ok(Backend { name: "MongoDB", store: Arc::new(store) })
}

#[cfg(feature = "dynamo")]
async fn dynamo(url: &str, namespace: &str, _: &str) -> Result<Backend, Box<dyn Error>> {
    let store = session_dynamo::DynamoStore::builder().table(namespace).connect_lazily(url)?;
    store.create_tables().await?;
    Ok(Backend { name: "DynamoDB", store: Arc::new(store) })
}

/// For a build without a backend: says how to get one that has it.
macro_rules! missing {
    ($($function:ident, $feature:literal, $example:literal;)*) => {$(
        #[cfg(not(feature = $feature))]
        #[allow(clippy::unused_async, reason = "the same shape as with the feature")]
        async fn $function(_: &str, _: &str, program: &str) -> Result<Backend, Box<dyn Error>> {
            let how = concat!("--features ", $feature, " -- --store ", $example);
            Err(format!("this build does not have that backend; run it as\n    {program} {how}").into())
        }
    )*};
}

missing! {
    redis, "redis", "redis://127.0.0.1";
    postgres, "postgres", "postgres://postgres@127.0.0.1/postgres";
    mongo, "mongo", "'mongodb://127.0.0.1/test?directConnection=true'";
    dynamo, "dynamo", "'dynamodb://127.0.0.1:8000?region=eu-west-1'";
}
