//! URLs, pools and TLS against real servers.

use conformance_tests::servers::RedisOptions;
use deadpool_redis::{Manager, Pool, Runtime};
use session_core::{CreateOutcome, SessionStore, StoreErrorKind, SubjectIndex, UpdateOutcome};
use session_redis::RedisStore;

use crate::support::{
    Raw, alice, kind, login, minutes, now, own_server, record, revision, shared_url, unique_name,
};

#[tokio::test]
async fn user_password_and_database_of_the_url_are_used() {
    let server = own_server(RedisOptions::new()).await;
    server.command(&["ACL", "SETUSER", "app", "on", ">p@ss/w#rd?%", "~*", "+@all"]).unwrap();
    let url = format!("redis://app:p%40ss%2Fw%23rd%3F%25@127.0.0.1:{}/3", server.port());
    let store = RedisStore::connect(&url).await.unwrap();
    store.create(&record(), now()).await.unwrap();
    let keyspace = server.command(&["INFO", "keyspace"]).unwrap();
    assert!(keyspace.contains("db3:keys=1,expires=1"), "{keyspace}");
    let users = server.command(&["CLIENT", "LIST"]).unwrap();
    assert!(users.contains("user=app"), "{users}");

    let beyond = format!("redis://127.0.0.1:{}/99", server.port());
    let error = RedisStore::connect(&beyond).await.unwrap_err();
    assert!(
        matches!(error.kind(), StoreErrorKind::Config | StoreErrorKind::Unavailable),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_ipv6_host_is_reached() {
    let server = own_server(RedisOptions::new()).await;
    let store = RedisStore::connect(&format!("redis://[::1]:{}", server.port())).await.unwrap();
    assert_eq!(store.create(&record(), now()).await.unwrap(), CreateOutcome::Created);
}

#[tokio::test]
async fn a_pool_of_your_own_works_like_connections_of_ours() {
    let manager = Manager::new(shared_url()).unwrap();
    let pool = Pool::builder(manager).max_size(4).runtime(Runtime::Tokio1).build().unwrap();
    let store = RedisStore::builder().prefix(unique_name()).from_pool(pool.clone()).unwrap();
    let session = record();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    let change = session.change(revision()).login(alice(), now().plus(minutes(90))).unwrap();
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    store.create(&login(), now()).await.unwrap();
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 2);
    let same = RedisStore::from_pool(pool.clone());
    assert_eq!(same.prefix(), "session");

    // All connections of the pool are taken: the call ends within its deadline, and nothing was sent.
    let store = RedisStore::builder()
        .prefix(unique_name())
        .deadline(std::time::Duration::from_millis(100))
        .from_pool(pool.clone())
        .unwrap();
    let mut taken = Vec::new();
    while pool.status().available > 0 || taken.len() < 4 {
        taken.push(pool.get().await.unwrap());
    }
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Timeout);
    drop(taken);
    assert_eq!(store.create(&record(), now()).await.unwrap(), CreateOutcome::Created);
}

#[tokio::test]
async fn two_connections_are_one_store() {
    let name = unique_name();
    let store = RedisStore::builder()
        .prefix(name.clone())
        .connections(2)
        .connect(shared_url())
        .await
        .unwrap();
    let mut raw = Raw::open(shared_url(), &name).await;
    for _ in 0..10 {
        let session = record();
        store.create(&session, now()).await.unwrap();
        assert!(store.load(session.id(), now()).await.unwrap().is_some());
    }
    assert_eq!(raw.keys().await.len(), 10);
}

#[cfg(any(
    all(feature = "tls-rustls-ring", not(feature = "tls-rustls-aws-lc")),
    all(feature = "tls-rustls-aws-lc", not(feature = "tls-rustls-ring"))
))]
#[tokio::test]
async fn tls_verifies_the_server() {
    let server = own_server(RedisOptions::new().tls()).await;
    let files = server.tls_files().unwrap();
    let authority = std::fs::read(files.authority()).unwrap();
    let url = server.url();
    let store = RedisStore::builder().tls_roots(authority.clone()).connect(&url).await.unwrap();
    let session = record();
    store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));

    let stranger = own_server(RedisOptions::new().tls()).await;
    let other = std::fs::read(stranger.tls_files().unwrap().authority()).unwrap();
    let error = RedisStore::builder().tls_roots(other).connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    for rubbish in [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = RedisStore::builder().tls_roots(rubbish).connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config);
    }
    // Plain text to a TLS port, and the other way round: an error, in time.
    let plain = url.replace("rediss://", "redis://");
    assert!(RedisStore::connect(&plain).await.is_err());
    let tls_to_plain = server.plain_url().replace("redis://", "rediss://");
    let error =
        RedisStore::builder().tls_roots(authority).connect(&tls_to_plain).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

/// With no provider, or with two and no choice between them, rustls would panic.
#[cfg(all(
    feature = "tls-rustls",
    any(
        not(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc")),
        all(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc")
    )
))]
#[tokio::test]
async fn tls_without_one_crypto_provider_is_a_matter_of_configuration() {
    let error = RedisStore::connect("rediss://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Config);
    assert!(error.to_string().contains("crypto provider"), "{error}");
}
