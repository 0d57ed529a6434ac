//! The rules of the contract, against a real server.

mod raw;

use conformance_tests::servers::RedisEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use deadpool_redis::{Manager, Pool, Runtime};
use session_core::SessionId;
use session_redis::RedisStore;

use raw::Raw;

struct Redis(Endpoint);

impl Fixture for Redis {
    type Store = RedisStore;
    const PROFILE: Profile =
        Profile::new("session-redis").version(env!("CARGO_PKG_VERSION")).driver("redis");

    async fn start() -> Result<Self> {
        Ok(Self(RedisEndpoint::shared()?.endpoint()?))
    }

    async fn open(&self, space: &Space) -> Result<RedisStore> {
        let url = space.route_url(&self.0).await?;
        Ok(RedisStore::builder().prefix(space.name()).connect(&url).await?)
    }

    async fn open_narrow(&self, space: &Space) -> Result<RedisStore> {
        let manager = Manager::new(space.route_url(&self.0).await?)?;
        let pool = Pool::builder(manager).max_size(1).runtime(Runtime::Tokio1).build()?;
        Ok(RedisStore::builder().prefix(space.name()).from_pool(pool)?)
    }

    fn backend(&self) -> Endpoint {
        self.0.clone()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Raw::open(&self.0, space).await?.records().await.map(Some)
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Raw::open(&self.0, space).await?.spoil(id).await.map(Some)
    }

    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>> {
        Raw::open(&self.0, space).await?.everything().await.map(Some)
    }
}

fn main() -> std::process::ExitCode {
    Suite::<Redis>::new().subject_index().inspect().main()
}
