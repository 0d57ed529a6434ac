//! Round trips, and what a session costs.

use conformance_tests::servers::RedisOptions;
use session_core::{SessionStore, SubjectIndex, TouchOutcome, UpdateOutcome};
use session_redis::RedisStore;

use crate::proxy::Proxy;
use crate::support::{
    Raw, alice, login, minutes, now, own_server, record, revision, shared_url, unique_name,
    usual_record,
};

#[tokio::test]
async fn every_operation_on_one_session_takes_one_round_trip() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
    // The first calls teach the server the scripts.
    let first = login();
    store.create(&first, now()).await.unwrap();
    store.update(&first.change(revision()), now()).await.unwrap();
    store.touch(first.id(), now().plus(minutes(60)), now()).await.unwrap();
    store.delete(first.id(), now()).await.unwrap();

    let session = record();
    assert_eq!(proxy.trips(store.create(&session, now())).await.0, 1, "create");
    assert_eq!(proxy.trips(store.load(session.id(), now())).await.0, 1, "load");
    let change = session.change(revision()).payload("more");
    let (trips, outcome) = proxy.trips(store.update(&change, now())).await;
    assert_eq!((trips, outcome.unwrap()), (1, UpdateOutcome::Updated));
    let later = now().plus(minutes(60));
    let (trips, outcome) = proxy.trips(store.touch(session.id(), later, now())).await;
    assert_eq!((trips, outcome.unwrap()), (1, TouchOutcome::Touched));

    let change =
        change.record().change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    assert!(change.writes_index_entry());
    let (trips, outcome) = proxy.trips(store.update(&change, now())).await;
    assert_eq!((trips, outcome.unwrap()), (1, UpdateOutcome::Updated), "login");
    assert_eq!(proxy.trips(store.create(&login(), now())).await.0, 1, "create with a subject");
    let (trips, live) = proxy.trips(store.delete(session.id(), now())).await;
    assert_eq!((trips, live.unwrap()), (1, true));
    assert_eq!(proxy.trips(store.delete_all(&alice(), None, now())).await.1.unwrap(), 1);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn f15_a_script_that_the_server_forgot_costs_one_more() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
    let mut raw = Raw::open(shared_url(), store.prefix()).await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let mut current = session;
    // Other tests use the scripts meanwhile, so the server may learn them again at any moment.
    for _ in 0..10 {
        let () = raw.run(redis::cmd("SCRIPT").arg("FLUSH")).await;
        let change = current.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
        let (trips, outcome) = proxy.trips(store.update(&change, now())).await;
        assert_eq!(outcome.unwrap(), UpdateOutcome::Updated);
        assert!(trips <= 2, "{trips}");
        current = change.record().clone();
        let () = raw.run(redis::cmd("SCRIPT").arg("FLUSH")).await;
        let later = now().plus(minutes(60));
        assert_eq!(store.touch(current.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    }
    let () = raw.run(redis::cmd("SCRIPT").arg("FLUSH")).await;
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_usual_session_takes_at_most_715_bytes() {
    let server = own_server(RedisOptions::new()).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut raw = Raw::open(&server.url(), store.prefix()).await;
    let session = usual_record();
    store.create(&session, now()).await.unwrap();
    let key = raw.record_key(session.id());
    let created: i64 = raw.run(redis::cmd("MEMORY").arg("USAGE").arg(&key)).await;
    let change = session.change(revision()).expires_at(now().plus(minutes(40)));
    store.update(&change, now()).await.unwrap();
    store.touch(session.id(), now().plus(minutes(50)), now()).await.unwrap();
    let changed: i64 = raw.run(redis::cmd("MEMORY").arg("USAGE").arg(&key)).await;
    assert!(created <= 715 && changed <= 715, "{created} and {changed} bytes");
}
