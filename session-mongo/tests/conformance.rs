//! The rules of the contract, against a real server.

mod raw;

use std::collections::HashSet;
use std::time::Duration;

use conformance_tests::servers::MongoEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use session_core::SessionId;
use session_mongo::{MongoStore, MongoStoreBuilder};
use tokio::sync::Mutex;

use raw::Raw;

struct Mongo {
    server: Endpoint,
    /// The namespaces whose indexes are there.
    indexed: Mutex<HashSet<String>>,
}

impl Fixture for Mongo {
    type Store = MongoStore;
    const PROFILE: Profile =
        Profile::new("session-mongo").version(env!("CARGO_PKG_VERSION")).driver("mongodb");

    async fn start() -> Result<Self> {
        Ok(Self { server: MongoEndpoint::shared()?.endpoint()?, indexed: Mutex::default() })
    }

    async fn open(&self, space: &Space) -> Result<MongoStore> {
        self.open_with(MongoStore::builder(), space).await
    }

    async fn open_narrow(&self, space: &Space) -> Result<MongoStore> {
        self.open_with(MongoStore::builder().connections(1), space).await
    }

    fn backend(&self) -> Endpoint {
        self.server.clone()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Raw::open(&self.server, space).await?.documents().await.map(Some)
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Raw::open(&self.server, space).await?.spoil(id).await.map(Some)
    }

    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>> {
        Raw::open(&self.server, space).await?.everything().await.map(Some)
    }
}

impl Mongo {
    async fn open_with(&self, builder: MongoStoreBuilder, space: &Space) -> Result<MongoStore> {
        let url = space.route_url(&self.server).await?;
        let builder = builder.connect_timeout(Duration::from_secs(1));
        let store = builder.collection(space.name()).connect(&url).await?;
        if self.indexed.lock().await.insert(space.name().to_owned()) {
            store.ensure_indexes().await?;
        }
        Ok(store)
    }
}

fn main() -> std::process::ExitCode {
    Suite::<Mongo>::new().at_once(4).subject_index().inspect().main()
}
