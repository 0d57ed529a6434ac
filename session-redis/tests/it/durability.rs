//! Replicas.

use std::time::{Duration, Instant};

use conformance_tests::servers::{RedisOptions, RedisServer};
use session_core::{
    CreateOutcome, SessionStore, StoreErrorKind, SubjectIndex, TouchOutcome, UpdateOutcome,
};
use session_redis::RedisStore;

use crate::support::{Raw, alice, kind, login, minutes, now, own_server, record, revision, within};

async fn replica_of(primary: &RedisServer) -> RedisServer {
    let replica = own_server(RedisOptions::new()).await;
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).unwrap();
    replica
}

/// A store that waits for one replica, for which writes are confirmed from now on.
async fn store_with_replica(url: &str, patience: Duration) -> RedisStore {
    let store = RedisStore::builder().replicas(1, patience).connect(url).await.unwrap();
    let confirmed = || {
        let (store, session) = (store.clone(), record());
        async move { store.create(&session, now()).await }
    };
    within(Duration::from_secs(20), confirmed).await;
    store
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_replica() {
    let primary = own_server(RedisOptions::new()).await;
    let replica = replica_of(&primary).await;
    let store = store_with_replica(&primary.url(), Duration::from_secs(2)).await;
    let mut behind = Raw::open(&replica.url(), store.prefix()).await;
    for _ in 0..50 {
        let session = login();
        assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
        let created = behind.get(session.id()).await;
        assert!(created.is_some());
        assert_eq!(behind.entries(&alice()).await.len(), 1);
        let change = session.change(revision()).payload("new");
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
        assert_ne!(behind.get(session.id()).await, created);
        let later = now().plus(minutes(50));
        assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
        assert!(store.delete(session.id(), now()).await.unwrap());
        assert_eq!(behind.get(session.id()).await, None);
        let key = behind.index_key(&alice());
        let _: i64 =
            Raw::open(&primary.url(), store.prefix()).await.run(redis::cmd("DEL").arg(key)).await;
    }
}

#[tokio::test]
async fn too_few_replicas_is_not_durable_and_so_is_a_logout_that_may_not_have_arrived() {
    let primary = own_server(RedisOptions::new()).await;
    let replica = replica_of(&primary).await;
    let store = store_with_replica(&primary.url(), Duration::from_millis(300)).await;
    let (session, second) = (login(), login());
    for session in [&session, &second] {
        // Where the machine is busy the replica may be late; the session is there all the same.
        let _ = store.create(session, now()).await;
    }

    replica.pause().unwrap();
    let start = Instant::now();
    assert_eq!(kind(store.create(&login(), now()).await), StoreErrorKind::NotDurable);
    let change = session.change(revision());
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::NotDurable);
    assert_eq!(
        kind(store.update(&change, now()).await),
        StoreErrorKind::NotDurable,
        "found its own revision"
    );
    let touched = store.touch(session.id(), now().plus(minutes(50)), now()).await;
    assert_eq!(kind(touched), StoreErrorKind::NotDurable);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::NotDurable);
    assert_eq!(store.load(session.id(), now()).await.unwrap(), None, "applied on the primary");
    assert_eq!(
        kind(store.delete(session.id(), now()).await),
        StoreErrorKind::NotDurable,
        "nothing there, yet"
    );
    assert_eq!(kind(store.delete_all(&alice(), None, now()).await), StoreErrorKind::NotDurable);
    assert_eq!(kind(store.delete_all(&alice(), None, now()).await), StoreErrorKind::NotDurable);
    // Nothing is to be made durable where nothing was done.
    let conflict = second.change(revision());
    assert_eq!(store.update(&conflict, now()).await.unwrap(), UpdateOutcome::Missing);
    assert!(start.elapsed() < Duration::from_secs(9));

    replica.resume().unwrap();
    within(Duration::from_secs(5), || store.delete(session.id(), now())).await;
    let mut behind = Raw::open(&replica.url(), store.prefix()).await;
    assert_eq!(behind.get(session.id()).await, None);
    assert_eq!(behind.get(second.id()).await, None);
}

#[tokio::test]
async fn writes_that_wait_do_not_hold_up_reads() {
    let primary = own_server(RedisOptions::new()).await;
    let store = RedisStore::builder()
        .replicas(1, Duration::from_millis(900))
        .connect(&primary.url())
        .await
        .unwrap();
    let session = login();
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::NotDurable);
    let waiting = {
        let (store, session) = (store.clone(), session.clone());
        tokio::spawn(async move { store.touch(session.id(), now().plus(minutes(50)), now()).await })
    };
    tokio::task::yield_now().await;
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    assert!(!waiting.is_finished());
    assert_eq!(kind(waiting.await.unwrap()), StoreErrorKind::NotDurable);
}
