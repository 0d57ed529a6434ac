//! Servers, stores and records for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance_tests::servers::{PostgresEndpoint, PostgresOptions, PostgresServer};
use session_core::{
    Bytes, Clock, OsRandom, Realm, Record, RecordParts, Revision, SecretHash, SessionToken,
    StoreError, StoreErrorKind, Subject, SystemClock, Timestamp,
};
use session_postgres::PostgresStore;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::sync::Mutex;

/// From the moment that a server is back, without a restart of the application.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// The server that the tests share. They keep apart by table.
pub(crate) fn shared_url() -> &'static str {
    PostgresEndpoint::shared().unwrap_or_else(|error| panic!("{error}")).url()
}

/// A server that a test may spoil.
pub(crate) async fn own_server(options: PostgresOptions) -> Arc<PostgresServer> {
    let start = || PostgresServer::start(options).unwrap();
    Arc::new(tokio::task::spawn_blocking(start).await.unwrap())
}

/// Does something with a server that takes its time, without holding up the test.
pub(crate) async fn on_own_thread(
    server: &Arc<PostgresServer>,
    act: impl FnOnce(&PostgresServer) + Send + 'static,
) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap();
}

/// A table that no other test and no other run uses.
pub(crate) fn table() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("it_{started}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store with a table of its own on the shared server, and a way to look behind it.
pub(crate) async fn store() -> (PostgresStore, Raw) {
    store_on(shared_url()).await
}

pub(crate) async fn store_on(url: &str) -> (PostgresStore, Raw) {
    let store = PostgresStore::builder().table(table()).connect(url).await.unwrap();
    store.migrate().await.unwrap();
    let raw = Raw::open(url, store.table()).await;
    (store, raw)
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(crate) fn alice() -> Subject {
    Subject::new(&Realm::default(), "alice").unwrap()
}

/// A record of an anonymous session that has just begun.
pub(crate) fn record() -> Record {
    record_with(|_| {})
}

/// A record of a session of Alice's that has just begun.
pub(crate) fn login() -> Record {
    record_with(|parts| parts.subject = Some(alice()))
}

pub(crate) fn record_with(change: impl FnOnce(&mut RecordParts)) -> Record {
    let token = SessionToken::random(&OsRandom).unwrap();
    let mut parts = RecordParts {
        id: token.id(),
        revision: revision(),
        secret_hash: SecretHash::of(&token, &Realm::default()),
        previous: None,
        subject: None,
        created_at: now(),
        expires_at: now().plus(minutes(30)),
        deadline: now().plus(minutes(600)),
        authentication: None,
        credential_tag: None,
        payload: Bytes::from_static(b"payload"),
    };
    change(&mut parts);
    Record::from_parts(parts)
}

pub(crate) fn revision() -> Revision {
    Revision::random(&OsRandom).unwrap()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.expect_err("an error was expected").kind()
}

/// Tries again until `attempt` succeeds, for as long as `patience`.
pub(crate) async fn within<T, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let start = tokio::time::Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if start.elapsed() > patience => {
                panic!("not within {patience:?}: {error:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Looks at what is stored, and does what an administrator can. `{table}` is the table.
pub(crate) struct Raw {
    connection: Mutex<PgConnection>,
    table: String,
}

impl Raw {
    pub(crate) async fn open(url: &str, table: &str) -> Self {
        let connection = PgConnection::connect(url).await.unwrap();
        Self { connection: Mutex::new(connection), table: format!("public.\"{table}\"") }
    }

    /// Runs one statement, or several without parameters.
    pub(crate) async fn run(&self, statements: &str) {
        self.try_run(statements).await.unwrap();
    }

    pub(crate) async fn try_run(&self, statements: &str) -> Result<(), sqlx::Error> {
        let statements = statements.replace("{table}", &self.table);
        let mut connection = self.connection.lock().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await.map(drop)
    }

    pub(crate) async fn row(&self, query: &str) -> PgRow {
        let query = query.replace("{table}", &self.table);
        let mut connection = self.connection.lock().await;
        sqlx::query(AssertSqlSafe(query)).fetch_one(&mut *connection).await.unwrap()
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        self.row(query).await.get(0)
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        self.row(query).await.get(0)
    }

    /// How many rows there are, those that are over included.
    pub(crate) async fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM {table}").await
    }
}
