//! The rules of the contract, against a real server.

use conformance_tests::servers::RedisEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use redis::aio::MultiplexedConnection;
use session_core::SessionId;
use session_redis::RedisStore;

struct Redis(Endpoint);

impl Fixture for Redis {
    type Store = RedisStore;
    const PROFILE: Profile = Profile::new("session-redis");

    async fn start() -> Result<Self> {
        let server = RedisEndpoint::shared()?;
        Ok(Self(Endpoint::parse(server.url())?.described(server.to_string())))
    }

    async fn open(&self, space: &Space) -> Result<RedisStore> {
        let url = space.route_url(&self.0).await?;
        Ok(RedisStore::builder().prefix(space.name()).connect(&url).await?)
    }

    fn backend(&self) -> String {
        self.0.description()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        let pattern = format!("{}:s:*", space.name());
        let keys: Vec<Vec<u8>> =
            redis::cmd("KEYS").arg(pattern).query_async(&mut self.raw(space).await?).await?;
        Ok(Some(u64::try_from(keys.len())?))
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        let key = [space.name().as_bytes(), b":s:", id.as_bytes()].concat();
        let mut rubbish = redis::cmd("SET");
        rubbish
            .arg(key)
            .arg("rubbish")
            .arg("KEEPTTL")
            .exec_async(&mut self.raw(space).await?)
            .await?;
        Ok(Some(()))
    }
}

impl Redis {
    async fn raw(&self, space: &Space) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(space.route_url(&self.0).await?)?;
        Ok(client.get_multiplexed_async_connection().await?)
    }
}

fn main() -> std::process::ExitCode {
    Suite::<Redis>::new().subject_index().inspect().main()
}
