//! Servers, stores and records for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conformance_tests::servers::{RedisEndpoint, RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use session_core::{
    Authentication, Bytes, Clock, OsRandom, PreviousSecret, Realm, Record, RecordParts, Revision,
    SecretHash, SessionId, SessionToken, StoreError, StoreErrorKind, Subject, SystemClock,
    Timestamp,
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

/// Does something with the server that takes its time, without holding up the test.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    server: &Arc<RedisServer>,
    act: impl FnOnce(&RedisServer) -> T + Send + 'static,
) -> T {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || act(&server)).await.unwrap()
}

/// A prefix that no other test and no other run uses.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("it-{started}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store with a prefix of its own on the shared server, and a connection to look behind it.
pub(crate) async fn store() -> (RedisStore, Raw) {
    let store = RedisStore::builder().prefix(prefix()).connect(shared_url()).await.unwrap();
    let raw = Raw::open(shared_url(), store.prefix()).await;
    (store, raw)
}

/// A store on `server` that gives up fast.
pub(crate) async fn impatient(url: &str) -> RedisStore {
    RedisStore::builder()
        .prefix(prefix())
        .connect_timeout(Duration::from_millis(300))
        .response_timeout(Duration::from_millis(300))
        .deadline(Duration::from_millis(800))
        .connect(url)
        .await
        .unwrap()
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
