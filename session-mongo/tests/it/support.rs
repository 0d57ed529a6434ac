//! Servers, stores and records for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance_tests::servers::{MongoEndpoint, MongoOptions, MongoServer};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Client, Collection, Database};
use session_core::{
    Bytes, Clock, OsRandom, Realm, Record, RecordParts, Revision, SecretHash, SessionId,
    SessionToken, StoreError, StoreErrorKind, Subject, SystemClock, Timestamp,
};
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

/// Does something with a server that takes its time, without holding up the test.
pub(crate) async fn on_own_thread<S: Send + Sync + 'static, T: Send + 'static>(
    server: &Arc<S>,
    act: impl FnOnce(&S) -> T + Send + 'static,
) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap()
}

/// A collection that no other test and no other run uses.
pub(crate) fn collection() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("it-{started}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store with a collection and indexes of its own, and a way to look behind it.
pub(crate) async fn store() -> (MongoStore, Raw) {
    let store = store_on(shared_url()).await;
    let raw = Raw::open(shared_url(), store.collection()).await;
    (store, raw)
}

pub(crate) async fn store_on(url: &str) -> MongoStore {
    let store = MongoStore::builder().collection(collection()).connect(url).await.unwrap();
    store.ensure_indexes().await.unwrap();
    store
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(crate) fn alice() -> Subject {
    Subject::new(&Realm::default(), "alice").unwrap()
}

/// A record of an anonymous session that has just begun.
pub(crate) fn record() -> Record {
    record_with(|_| {})
}

/// A record of a session of Alice's that has just begun.
pub(crate) fn login() -> Record {
    record_with(|parts| parts.subject = Some(alice()))
}

pub(crate) fn record_with(change: impl FnOnce(&mut RecordParts)) -> Record {
    let token = SessionToken::random(&OsRandom).unwrap();
    let mut parts = RecordParts {
        id: token.id(),
        revision: revision(),
        secret_hash: SecretHash::of(&token, &Realm::default()),
        previous: None,
        subject: None,
        created_at: now(),
        expires_at: now().plus(minutes(30)),
        deadline: now().plus(minutes(600)),
        authentication: None,
        credential_tag: None,
        payload: Bytes::from_static(b"payload"),
    };
    change(&mut parts);
    Record::from_parts(parts)
}

pub(crate) fn revision() -> Revision {
    Revision::random(&OsRandom).unwrap()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.expect_err("an error was expected").kind()
}

/// Tries again until `attempt` succeeds, for as long as `patience`.
pub(crate) async fn within<T, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let start = tokio::time::Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if start.elapsed() > patience => {
                panic!("not within {patience:?}: {error:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
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
