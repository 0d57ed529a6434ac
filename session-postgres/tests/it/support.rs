//! Servers, stores and records for the tests.

use std::sync::Arc;
use std::time::Duration;

pub(crate) use conformance_tests::sample::{
    alice, kind, login, minutes, now, on_own_thread, record, record_with, revision, unique_name,
    within,
};
use conformance_tests::servers::{PostgresEndpoint, PostgresOptions, PostgresServer};
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

/// A store with a table of its own on the shared server, and a way to look behind it.
pub(crate) async fn store() -> (PostgresStore, Raw) {
    store_on(shared_url()).await
}

pub(crate) async fn store_on(url: &str) -> (PostgresStore, Raw) {
    let store = PostgresStore::builder().table(unique_name()).connect(url).await.unwrap();
    store.migrate().await.unwrap();
    let raw = Raw::open(url, store.table()).await;
    (store, raw)
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
