//! The rules of the contract once more, behind a PgBouncer in transaction mode that keeps prepared statements (1.21 or
//! newer), with them and without.
//!
//! `cargo xtask test --containers` runs this; with a server of your own behind such a pooler:
//! `SESSION_TEST_POSTGRES_URL=postgres://… cargo test -p session-postgres --test pgbouncer`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use conformance_tests::sample::assert_kept;
use conformance_tests::servers::PostgresEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use session_postgres::{Pooler, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::sync::Mutex;

struct Behind {
    pooler: Pooler,
    endpoint: Endpoint,
    tables: Mutex<HashSet<String>>,
}

impl Behind {
    fn with(pooler: Pooler) -> Result<Self> {
        let endpoint = PostgresEndpoint::shared()?.endpoint()?;
        Ok(Self { pooler, endpoint, tables: Mutex::default() })
    }

    async fn open_with(&self, space: &Space, connections: u32) -> Result<PostgresStore> {
        let builder = PostgresStore::builder().table(space.name()).connections(connections);
        let url = space.route_url(&self.endpoint).await?;
        let store = builder.pooler(self.pooler).connect(&url).await?;
        let mut tables = self.tables.lock().await;
        if !tables.contains(space.name()) {
            store.migrate().await?;
            tables.insert(space.name().to_owned());
        }
        Ok(store)
    }
}

impl Fixture for Behind {
    type Store = PostgresStore;
    const PROFILE: Profile =
        Profile::new("session-postgres").version(env!("CARGO_PKG_VERSION")).driver("sqlx");

    async fn start() -> Result<Self> {
        Self::with(Pooler::KeepsPreparedStatements)
    }

    async fn open(&self, space: &Space) -> Result<PostgresStore> {
        self.open_with(space, 4).await
    }

    async fn open_narrow(&self, space: &Space) -> Result<PostgresStore> {
        self.open_with(space, 1).await
    }

    fn backend(&self) -> Endpoint {
        self.endpoint.clone()
    }
}

async fn every_rule_is_kept(pooler: Pooler) {
    let suite = Suite::<Behind>::new().at_once(6).subject_index().inspect().purge();
    let results = suite.run(Behind::with(pooler).unwrap(), |_| true).await;
    assert_kept(&results, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_pooler() {
    let shared = PostgresEndpoint::shared().unwrap();
    let options: PgConnectOptions = shared.url().parse().unwrap();
    let port = options.get_port();
    // Its own settings are refused by a pooler that knows nothing of them.
    let mut connection: PgConnection = options.extra_float_digits(None).connect().await.unwrap();
    let row = sqlx::query("SELECT inet_server_port()").fetch_one(&mut connection).await.unwrap();
    assert_ne!(row.get::<i32, _>(0), i32::from(port), "this is the server itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_with_prepared_statements() {
    every_rule_is_kept(Pooler::KeepsPreparedStatements).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_without_prepared_statements() {
    every_rule_is_kept(Pooler::LosesPreparedStatements).await;
}
