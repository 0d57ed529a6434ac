//! The rules of the contract, against a real server.

mod raw;

use std::collections::HashSet;

use conformance_tests::servers::PostgresEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use session_core::SessionId;
use session_postgres::PostgresStore;
use tokio::sync::Mutex;

use raw::Raw;

struct Postgres {
    server: Endpoint,
    /// The tables that are there. Rules open many handles on one.
    tables: Mutex<HashSet<String>>,
}

impl Postgres {
    async fn with(&self, space: &Space, connections: u32) -> Result<PostgresStore> {
        let url = space.route_url(&self.server).await?;
        let builder = PostgresStore::builder().table(space.name()).connections(connections);
        let store = builder.connect(&url).await?;
        let mut tables = self.tables.lock().await;
        if !tables.contains(space.name()) {
            store.migrate().await?;
            tables.insert(space.name().to_owned());
        }
        Ok(store)
    }
}

impl Fixture for Postgres {
    type Store = PostgresStore;
    const PROFILE: Profile =
        Profile::new("session-postgres").version(env!("CARGO_PKG_VERSION")).driver("sqlx");

    async fn start() -> Result<Self> {
        let server = PostgresEndpoint::shared()?.endpoint()?;
        Ok(Self { server, tables: Mutex::default() })
    }

    async fn open(&self, space: &Space) -> Result<PostgresStore> {
        self.with(space, 4).await
    }

    async fn open_narrow(&self, space: &Space) -> Result<PostgresStore> {
        self.with(space, 1).await
    }

    fn backend(&self) -> Endpoint {
        self.server.clone()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Raw::open(&self.server, space).await?.rows().await.map(Some)
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Raw::open(&self.server, space).await?.spoil(id).await.map(Some)
    }

    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>> {
        Raw::open(&self.server, space).await?.everything().await.map(Some)
    }
}

fn main() -> std::process::ExitCode {
    Suite::<Postgres>::new().at_once(6).subject_index().inspect().purge().main()
}
