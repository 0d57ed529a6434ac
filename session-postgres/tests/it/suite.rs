//! The rules of the contract once more: as a user with the least privileges, and on a pool whose connections have a
//! time zone of their own, on a server that has it as well.

use std::collections::HashSet;
use std::sync::Arc;

use conformance_tests::sample::assert_kept;
use conformance_tests::servers::{PostgresOptions, PostgresServer};
use conformance_tests::{Endpoint, Fixture, Profile, Result, Rule, Space, Suite};
use session_postgres::PostgresStore;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Mutex;

use crate::support::{Raw, own_server};

const ZONE: &str = "America/New_York";

/// What is different about a store.
#[derive(Clone, Copy)]
enum Way {
    LeastPrivileges,
    PoolInAnotherZone,
}

struct Elsewhere {
    way: Way,
    endpoint: Endpoint,
    tables: Mutex<HashSet<String>>,
    server: Arc<PostgresServer>,
}

impl Elsewhere {
    async fn begin(way: Way) -> Self {
        let options = PostgresOptions::new().config("timezone", &format!("'{ZONE}'"));
        let server = own_server(options).await;
        Raw::open(&server.url(), "none").await.run("CREATE ROLE sessions LOGIN").await;
        let endpoint = Endpoint::parse(&server.url()).unwrap();
        Self { way, endpoint, tables: Mutex::default(), server }
    }

    async fn open_with(&self, space: &Space, connections: u32) -> Result<PostgresStore> {
        let builder = PostgresStore::builder().table(space.name()).connections(connections);
        let mut tables = self.tables.lock().await;
        if !tables.contains(space.name()) {
            let owner = &self.server.url();
            builder.clone().connect(owner).await?.migrate().await?;
            let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO sessions";
            Raw::open(owner, space.name()).await.run(grant).await;
            tables.insert(space.name().to_owned());
        }
        drop(tables);
        let url = space.route_url(&self.endpoint).await?;
        let url = url.replace("//postgres@", "//sessions@");
        Ok(match self.way {
            Way::LeastPrivileges => builder.connect(&url).await?,
            Way::PoolInAnotherZone => {
                let pool = PgPoolOptions::new().max_connections(connections);
                let pool = pool.after_connect(|connection, _| {
                    let set = sqlx::raw_sql(AssertSqlSafe(format!("SET timezone = '{ZONE}'")));
                    Box::pin(async move { set.execute(connection).await.map(drop) })
                });
                builder.from_pool(pool.connect(&url).await?)?
            }
        })
    }
}

impl Fixture for Elsewhere {
    type Store = PostgresStore;
    const PROFILE: Profile =
        Profile::new("session-postgres").version(env!("CARGO_PKG_VERSION")).driver("sqlx");

    async fn start() -> Result<Self> {
        Ok(Self::begin(Way::LeastPrivileges).await)
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

/// The rules that are `wanted` are kept; those of the suite that look behind the store are not among them.
async fn run(way: Way, wanted: impl Fn(&Rule) -> bool) {
    let suite = Suite::<Elsewhere>::new().at_once(6).subject_index().inspect().purge();
    let results = suite.run(Elsewhere::begin(way).await, wanted).await;
    assert_kept(&results, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_with_the_least_privileges() {
    run(Way::LeastPrivileges, |_| true).await;
}

/// Without those on faults: a pool of the application's own has its own limits.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_kept_on_a_pool_in_another_time_zone() {
    let disturbs =
        |rule: &Rule| rule.group() == "faults" || ["L02", "L03", "W01"].contains(&rule.id());
    run(Way::PoolInAnotherZone, |rule| !disturbs(rule)).await;
}
