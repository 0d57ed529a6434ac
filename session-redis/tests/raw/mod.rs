//! Looks at a namespace beneath the adapter, as an administrator would.

use conformance_tests::{Endpoint, Result, Space};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue};
use session_core::SessionId;

pub(crate) struct Raw {
    connection: MultiplexedConnection,
    prefix: String,
}

impl Raw {
    pub(crate) async fn open(endpoint: &Endpoint, space: &Space) -> Result<Self> {
        let client = redis::Client::open(space.route_url(endpoint).await?)?;
        let connection = client.get_multiplexed_async_connection().await?;
        Ok(Self { connection, prefix: space.name().to_owned() })
    }

    /// How many records there are, those that are over included.
    pub(crate) async fn records(&mut self) -> Result<u64> {
        Ok(u64::try_from(self.keys(":s:*").await?.len())?)
    }

    /// Writes rubbish over a record.
    pub(crate) async fn spoil(&mut self, id: &SessionId) -> Result<()> {
        let key = [self.prefix.as_bytes(), b":s:", id.as_bytes()].concat();
        self.run(redis::cmd("SET").arg(key).arg("rubbish").arg("KEEPTTL")).await
    }

    /// Every key with its value, or with its members and their scores.
    pub(crate) async fn everything(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut blobs = Vec::new();
        for key in self.keys(":*").await? {
            let kind: String = self.run(redis::cmd("TYPE").arg(&key)).await?;
            match kind.as_str() {
                "string" => blobs.push(self.run(redis::cmd("GET").arg(&key)).await?),
                "zset" => {
                    let mut all = redis::cmd("ZRANGE");
                    all.arg(&key).arg(0).arg(-1).arg("WITHSCORES");
                    blobs.extend(self.run::<Vec<Vec<u8>>>(&all).await?);
                }
                // Gone since it was named.
                "none" => {}
                other => return Err(format!("a key of type {other}").into()),
            }
            blobs.push(key);
        }
        Ok(blobs)
    }

    /// The keys of the namespace that end in this way. `SCAN` may name one twice.
    async fn keys(&mut self, ending: &str) -> Result<Vec<Vec<u8>>> {
        let pattern = format!("{}{ending}", self.prefix);
        let (mut keys, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
            let (next, found): (u64, Vec<Vec<u8>>) = self.run(&scan).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                keys.sort_unstable();
                keys.dedup();
                return Ok(keys);
            }
        }
    }

    async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.connection).await?)
    }
}
