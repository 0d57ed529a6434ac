//! The rules of the contract, against a real server.

mod raw;

use std::time::Duration;

use conformance_tests::servers::DynamoEndpoint;
use conformance_tests::{Endpoint, Fixture, Profile, Result, Space, Suite};
use session_core::SessionId;
use session_dynamo::DynamoStore;

use raw::Raw;

struct Dynamo(Endpoint);

impl Fixture for Dynamo {
    type Store = DynamoStore;
    const PROFILE: Profile = Profile::new("session-dynamo")
        .version(env!("CARGO_PKG_VERSION"))
        .driver("aws-sdk-dynamodb");

    async fn start() -> Result<Self> {
        Ok(Self(DynamoEndpoint::shared()?.endpoint()?))
    }

    async fn open(&self, space: &Space) -> Result<DynamoStore> {
        let url = space.route_url(&self.0).await?;
        let builder = DynamoStore::builder().table(space.name());
        if Some(space.route(&self.0).await?.as_str()) != self.0.address() {
            // The suite disturbs this handle, so it gives up as soon as handles usually do. The tables are there.
            return Ok(builder
                .attempt_timeout(Duration::from_millis(2_900))
                .connect_lazily(&url)?);
        }
        // DynamoDB Local is slow when many rules run at the same time.
        let builder = builder.attempt_timeout(SLOW).deadline(SLOW).connect_timeout(SLOW);
        let store = builder.connect_lazily(&url)?;
        store.create_tables().await?;
        Ok(store)
    }

    fn backend(&self) -> Endpoint {
        self.0.clone()
    }

    async fn physical_rows(&self, space: &Space) -> Result<Option<u64>> {
        Ok(Some(self.raw(space)?.records().await?))
    }

    async fn corrupt(&self, space: &Space, id: &SessionId) -> Result<Option<()>> {
        Ok(Some(self.raw(space)?.spoil(id).await?))
    }

    async fn stored(&self, space: &Space) -> Result<Option<Vec<Vec<u8>>>> {
        Ok(Some(self.raw(space)?.everything().await?))
    }
}

const SLOW: Duration = Duration::from_secs(30);

impl Dynamo {
    fn raw(&self, space: &Space) -> Result<Raw> {
        Ok(Raw::open(self.0.address().ok_or("no address")?, space.name()))
    }
}

fn main() -> std::process::ExitCode {
    Suite::<Dynamo>::new()
        .subject_index()
        .inspect()
        .at_once(4)
        .timeout(Duration::from_mins(15))
        .main()
}
