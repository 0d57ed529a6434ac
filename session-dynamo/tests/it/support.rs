//! Stores, tables and records for the tests.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
pub(crate) use conformance_tests::sample::{
    alice, everything_about, kind, login, minutes, now, record, record_with, revision, unique_name,
};
use conformance_tests::servers::DynamoEndpoint;
use session_core::{Authentication, Bytes, Realm, Record, SessionId, Subject};
use session_dynamo::{DynamoStore, DynamoStoreBuilder};

use crate::proxy::Proxy;
pub(crate) use crate::raw::Item;
use crate::raw::Raw;

/// The server that the tests share. They keep apart by table.
pub(crate) fn shared_url() -> &'static str {
    DynamoEndpoint::shared().unwrap_or_else(|error| panic!("{error}")).url()
}

/// The `host:port` in a URL.
pub(crate) fn address(url: &str) -> &str {
    url.split("://").nth(1).unwrap().split(['/', '?']).next().unwrap()
}

/// Settings that are patient with a busy machine.
pub(crate) fn builder() -> DynamoStoreBuilder {
    DynamoStore::builder()
        .table(unique_name())
        .connect_timeout(Duration::from_secs(10))
        .attempt_timeout(Duration::from_secs(20))
        .deadline(Duration::from_mins(1))
}

/// A store with tables of its own on the shared server, and a look behind it.
pub(crate) async fn store() -> (DynamoStore, Raw) {
    let store = builder().connect_lazily(shared_url()).unwrap();
    store.create_tables().await.unwrap();
    let raw = Raw::open(address(shared_url()), store.table());
    (store, raw)
}

/// The same behind a proxy.
pub(crate) async fn store_behind_proxy() -> (DynamoStore, Proxy, Raw) {
    store_with(builder()).await
}

/// A store behind a proxy that gives up fast.
pub(crate) async fn impatient() -> (DynamoStore, Proxy, Raw) {
    let (patient, raw) = store().await;
    let proxy = Proxy::to(address(shared_url())).await;
    let impatient = DynamoStore::builder()
        .table(patient.table())
        .attempt_timeout(Duration::from_millis(400))
        .deadline(Duration::from_secs(1));
    (impatient.connect_lazily(&proxy.url()).unwrap(), proxy, raw)
}

pub(crate) async fn store_with(builder: DynamoStoreBuilder) -> (DynamoStore, Proxy, Raw) {
    let proxy = Proxy::to(address(shared_url())).await;
    let store = builder.connect_lazily(&proxy.url()).unwrap();
    store.create_tables().await.unwrap();
    proxy.reset();
    let raw = Raw::open(address(shared_url()), store.table());
    (store, proxy, raw)
}

/// A record with everything that a logged-in session usually has.
pub(crate) fn usual_record() -> Record {
    record_with(|parts| {
        parts.subject = Some(Subject::new(&Realm::default(), &"u".repeat(36)).unwrap());
        parts.authentication = Some(Authentication { at: now(), level: 1 });
        parts.payload = Bytes::from(vec![b'x'; 486]);
    })
}

pub(crate) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

impl Raw {
    pub(crate) fn subjects(&self) -> String {
        format!("{}-subjects", self.sessions)
    }

    /// The item of a record.
    pub(crate) async fn get(&self, id: &SessionId) -> Option<Item> {
        let get = self.client.get_item().table_name(&self.sessions).consistent_read(true);
        get.key("id", binary(id.as_bytes())).send().await.unwrap().item
    }

    /// Puts an item over whatever is there.
    pub(crate) async fn put(&self, item: Item) {
        put(&self.client, &self.sessions, item).await;
    }

    /// Changes an attribute of a record, or takes it away.
    pub(crate) async fn set(&self, id: &SessionId, name: &str, value: Option<AttributeValue>) {
        let mut item = self.get(id).await.unwrap();
        match value {
            Some(value) => item.insert(name.to_owned(), value),
            None => item.remove(name),
        };
        self.put(item).await;
    }

    /// The entries of the index.
    pub(crate) async fn entries(&self) -> Vec<Item> {
        self.items(&self.subjects()).await.unwrap()
    }
}

pub(crate) async fn put(client: &Client, table: &str, item: Item) {
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}
