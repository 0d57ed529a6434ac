//! Servers, stores and records for the tests.

use std::time::Duration;

pub(crate) use conformance_tests::sample::{
    alice, kind, login, minutes, now, on_own_thread, record, record_with, revision, unique_name,
    within,
};
use conformance_tests::servers::{RedisEndpoint, RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use session_core::{
    Authentication, Bytes, PreviousSecret, Realm, Record, SecretHash, SessionId, Subject,
};
use session_redis::RedisStore;

/// The server that the tests share. They keep apart by prefix.
pub(crate) fn shared_url() -> &'static str {
    RedisEndpoint::shared().unwrap_or_else(|error| panic!("{error}")).url()
}

/// A server that a test may spoil.
pub(crate) async fn own_server(options: RedisOptions) -> RedisServer {
    tokio::task::spawn_blocking(|| RedisServer::start(options).unwrap()).await.unwrap()
}

/// A store with a prefix of its own on the shared server, and a connection to look behind it.
pub(crate) async fn store() -> (RedisStore, Raw) {
    let store = RedisStore::builder().prefix(unique_name()).connect(shared_url()).await.unwrap();
    let raw = Raw::open(shared_url(), store.prefix()).await;
    (store, raw)
}

/// A store on `server` that gives up fast.
pub(crate) async fn impatient(url: &str) -> RedisStore {
    RedisStore::builder()
        .prefix(unique_name())
        .connect_timeout(Duration::from_millis(300))
        .response_timeout(Duration::from_millis(300))
        .deadline(Duration::from_millis(800))
        .connect(url)
        .await
        .unwrap()
}

/// A record with everything that a logged-in session usually has.
pub(crate) fn usual_record() -> Record {
    record_with(|parts| {
        parts.subject = Some(Subject::new(&Realm::default(), &"u".repeat(35)).unwrap());
        parts.authentication = Some(Authentication { at: now(), level: 1 });
        parts.previous =
            Some(PreviousSecret { hash: SecretHash::from_bytes([7; 32]), grace_until: now() });
        parts.payload = Bytes::from(vec![b'x'; 480]);
    })
}

/// A connection that sees what is stored, as an administrator would.
pub(crate) struct Raw {
    connection: MultiplexedConnection,
    prefix: String,
}

impl Raw {
    pub(crate) async fn open(url: &str, prefix: &str) -> Self {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
        let client = redis::Client::open(url).unwrap();
        let connection =
            client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        Self { connection, prefix: prefix.to_owned() }
    }

    pub(crate) fn record_key(&self, id: &SessionId) -> Vec<u8> {
        [self.prefix.as_bytes(), b":s:", id.as_bytes()].concat()
    }

    pub(crate) fn index_key(&self, subject: &Subject) -> Vec<u8> {
        [self.prefix.as_bytes(), b":u:", subject.as_bytes()].concat()
    }

    pub(crate) async fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        command.query_async(&mut self.connection).await.unwrap()
    }

    pub(crate) async fn set(&mut self, id: &SessionId, value: &[u8]) {
        let key = self.record_key(id);
        let () = self.run(redis::cmd("SET").arg(key).arg(value).arg("PX").arg(600_000)).await;
    }

    pub(crate) async fn get(&mut self, id: &SessionId) -> Option<Vec<u8>> {
        let key = self.record_key(id);
        self.run(redis::cmd("GET").arg(key)).await
    }

    pub(crate) async fn pttl(&mut self, key: &[u8]) -> i64 {
        self.run(redis::cmd("PTTL").arg(key)).await
    }

    /// The members of an index, in order.
    pub(crate) async fn entries(&mut self, subject: &Subject) -> Vec<Vec<u8>> {
        let key = self.index_key(subject);
        self.run(redis::cmd("ZRANGE").arg(key).arg(0).arg(-1)).await
    }

    /// Every key of the namespace.
    pub(crate) async fn keys(&mut self) -> Vec<Vec<u8>> {
        let pattern = format!("{}:*", self.prefix);
        self.run(redis::cmd("KEYS").arg(pattern)).await
    }
}
