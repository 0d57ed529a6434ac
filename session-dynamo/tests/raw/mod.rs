//! Looks at a namespace beneath the adapter, as an administrator would.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use session_core::SessionId;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// A client of the server at `address`.
pub(crate) fn client(address: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The tables of a store that uses the default names of attributes.
pub(crate) struct Raw {
    pub(crate) client: Client,
    pub(crate) sessions: String,
}

impl Raw {
    pub(crate) fn open(address: &str, table: &str) -> Self {
        Self { client: client(address), sessions: table.to_owned() }
    }

    /// How many records there are, those that are over included.
    pub(crate) async fn records(&self) -> Result<u64, aws_sdk_dynamodb::Error> {
        let (mut count, mut start) = (0, None);
        loop {
            let scan = self.client.scan().table_name(&self.sessions).consistent_read(true);
            let piece = scan.select(Select::Count).set_exclusive_start_key(start).send().await?;
            count += u64::try_from(piece.count).expect("a number of items");
            start = piece.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// Writes rubbish over a record.
    pub(crate) async fn spoil(&self, id: &SessionId) -> Result<(), aws_sdk_dynamodb::Error> {
        let id = AttributeValue::B(Blob::new(id.as_bytes()));
        let rubbish = AttributeValue::S("rubbish".to_owned());
        let item = Item::from([("id".to_owned(), id), ("x".to_owned(), rubbish)]);
        let put = self.client.put_item().table_name(&self.sessions).set_item(Some(item));
        put.send().await.map(drop)?;
        Ok(())
    }

    /// Every value of every item of both tables.
    pub(crate) async fn everything(&self) -> Result<Vec<Vec<u8>>, aws_sdk_dynamodb::Error> {
        let mut blobs = Vec::new();
        for table in [self.sessions.clone(), format!("{}-subjects", self.sessions)] {
            for item in self.items(&table).await? {
                blobs.extend(item.into_values().map(|value| match value {
                    AttributeValue::B(bytes) => bytes.into_inner(),
                    AttributeValue::S(text) | AttributeValue::N(text) => text.into_bytes(),
                    other => format!("{other:?}").into_bytes(),
                }));
            }
        }
        Ok(blobs)
    }

    pub(crate) async fn items(&self, table: &str) -> Result<Vec<Item>, aws_sdk_dynamodb::Error> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let scan = self.client.scan().table_name(table).consistent_read(true);
            let piece = scan.set_exclusive_start_key(start).send().await?;
            items.extend(piece.items.unwrap_or_default());
            start = piece.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}
