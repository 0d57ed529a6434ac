//! Servers, stores and records for the tests.

use std::time::Duration;

pub(crate) use conformance_tests::sample::{
    alice, kind, login, minutes, now, on_own_thread, record, record_with, revision, unique_name,
    within,
};
use conformance_tests::servers::{MongoEndpoint, MongoOptions, MongoServer};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Client, Collection, Database};
use session_core::SessionId;
use session_mongo::MongoStore;

/// From the moment that a server is back, without a restart of the application.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// The server that the tests share. They keep apart by collection.
pub(crate) fn shared_url() -> &'static str {
    MongoEndpoint::shared().unwrap_or_else(|error| panic!("{error}")).url()
}

/// A server that a test may spoil.
pub(crate) async fn own_server(options: MongoOptions) -> MongoServer {
    tokio::task::spawn_blocking(|| MongoServer::start(options).unwrap()).await.unwrap()
}

/// A store with a collection and indexes of its own, and a way to look behind it.
pub(crate) async fn store() -> (MongoStore, Raw) {
    let store = store_on(shared_url()).await;
    let raw = Raw::open(shared_url(), store.collection()).await;
    (store, raw)
}

pub(crate) async fn store_on(url: &str) -> MongoStore {
    let store = MongoStore::builder().collection(unique_name()).connect(url).await.unwrap();
    store.ensure_indexes().await.unwrap();
    store
}

/// The id as it is stored.
pub(crate) fn by_id(id: &SessionId) -> Document {
    doc! { "_id": binary(id.as_bytes()) }
}

pub(crate) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// Looks at what is stored, as an administrator would.
pub(crate) struct Raw {
    pub(crate) database: Database,
    pub(crate) documents: Collection<Document>,
}

impl Raw {
    pub(crate) async fn open(url: &str, collection: &str) -> Self {
        let client = Client::with_uri_str(url).await.unwrap();
        let database = client.default_database().unwrap();
        Self { documents: database.collection(collection), database }
    }

    pub(crate) async fn get(&self, id: &SessionId) -> Option<Document> {
        self.documents.find_one(by_id(id)).await.unwrap()
    }

    pub(crate) async fn put(&self, document: &Document) {
        let filter = doc! { "_id": document.get("_id").unwrap().clone() };
        self.documents.replace_one(filter, document).upsert(true).await.unwrap();
    }

    pub(crate) async fn set(&self, id: &SessionId, fields: Document) {
        self.documents.update_one(by_id(id), doc! { "$set": fields }).await.unwrap();
    }

    pub(crate) async fn run(&self, database: &str, command: Document) -> Document {
        let database = self.database.client().database(database);
        database.run_command(command).await.unwrap()
    }
}
