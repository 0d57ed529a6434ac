//! A server that dies, stops, forgets and runs full while many clients use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_tests::load::{Load, Progress, Running};
use conformance_tests::servers::{RedisOptions, RedisServer};
use session_core::{SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};
use session_redis::RedisStore;
use tokio::time::sleep;

use crate::support::{
    kind, login, minutes, now, on_own_thread, own_server, record, revision, unique_name, within,
};

/// From the moment that a server is back, without a restart of the application.
const RECOVERY: Duration = Duration::from_secs(5);
/// The deadline of a store, and something for a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// Every acknowledged write is on the disk before its reply is sent.
fn durable() -> RedisOptions {
    RedisOptions::new().config("appendonly", "yes").config("appendfsync", "always")
}

/// Three clients with connections of their own on each of a few sessions.
async fn load(server: &RedisServer) -> Running {
    let mut handles: Vec<Arc<dyn SessionStore>> = Vec::new();
    let name = unique_name();
    for _ in 0..3 {
        let store = RedisStore::builder().prefix(name.clone()).connect(&server.url()).await;
        handles.push(Arc::new(store.unwrap()));
    }
    let load = Load::new(u64::from(std::process::id())).longest_call(LONGEST_CALL);
    load.start(handles)
}

async fn succeeds_soon(load: &Running) {
    load.succeeds_within(RECOVERY).await.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Ends the load, and says what was seen. Fails when a history has no order.
async fn ended(load: Running) -> Progress {
    let seen = load.end().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(seen.histories > 0, "{seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_f02_f03_f22_acknowledged_writes_survive_kill_9_under_load() {
    let server = Arc::new(own_server(durable()).await);
    let load = load(&server).await;
    for round in 1..=4 {
        succeeds_soon(&load).await;
        sleep(Duration::from_millis(150 + 40 * round)).await;
        on_own_thread(&server, RedisServer::kill).await.unwrap();
        on_own_thread(&server, RedisServer::restart).await.unwrap();
        succeeds_soon(&load).await;
    }
    let seen = ended(load).await;
    assert!(seen.refused + seen.unknown > 0, "no call met an outage: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_an_acknowledged_logout_stays_when_the_server_is_killed_right_after() {
    let server = Arc::new(own_server(durable()).await);
    let store = RedisStore::builder().prefix(unique_name()).connect(&server.url()).await.unwrap();
    for _ in 0..3 {
        let (kept, ended) = (login(), login());
        within(RECOVERY, || store.create(&ended, now())).await;
        store.create(&kept, now()).await.unwrap();
        assert!(store.delete(ended.id(), now()).await.unwrap());
        on_own_thread(&server, RedisServer::kill).await.unwrap();
        let error = store.load(ended.id(), now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "down is not logged out");
        on_own_thread(&server, RedisServer::restart).await.unwrap();
        let loaded = within(RECOVERY, || store.load(kept.id(), now())).await;
        assert_eq!(loaded, Some(kept));
        assert_eq!(store.load(ended.id(), now()).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_ten_seconds_without_an_answer_cost_each_call_its_deadline_and_mix_up_nothing() {
    let server = Arc::new(own_server(RedisOptions::new()).await);
    let store = RedisStore::builder().prefix(unique_name()).connect(&server.url()).await.unwrap();
    let owners: Vec<_> = (0..16).map(|_| login()).collect();
    for owner in &owners {
        store.create(owner, now()).await.unwrap();
    }
    server.pause().unwrap();
    let stopped = Instant::now();
    // Each asks for its own the whole time, and beyond.
    let asking = owners.iter().map(|owner| {
        let (store, owner) = (store.clone(), owner.clone());
        tokio::spawn(async move {
            let (mut failed, mut answered, mut longest) = (0, 0, Duration::ZERO);
            while stopped.elapsed() < Duration::from_secs(10) || answered < 20 {
                let begun = Instant::now();
                match store.load(owner.id(), now()).await {
                    Ok(loaded) => {
                        assert_eq!(loaded.as_ref(), Some(&owner), "another call's reply");
                        answered += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                        failed += 1;
                    }
                }
                longest = longest.max(begun.elapsed());
                sleep(Duration::from_millis(20)).await;
            }
            (failed, longest)
        })
    });
    let asking: Vec<_> = asking.collect();
    sleep(Duration::from_secs(10)).await;
    server.resume().unwrap();
    within(RECOVERY, || store.load(owners[0].id(), now())).await.unwrap();
    for asked in asking {
        let (failed, longest) = asked.await.unwrap();
        assert!(failed > 0, "no call met the outage");
        assert!(longest < LONGEST_CALL, "{longest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f15_flushed_scripts_and_killed_connections_under_load_leave_an_order() {
    let server = Arc::new(own_server(RedisOptions::new()).await);
    let load = load(&server).await;
    for _ in 0..100 {
        on_own_thread(&server, |server| server.command(&["SCRIPT", "FLUSH"])).await.unwrap();
        let kill = ["CLIENT", "KILL", "TYPE", "normal"];
        on_own_thread(&server, move |server| server.command(&kill)).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    succeeds_soon(&load).await;
    ended(load).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn f12_a_full_disk_refuses_writes_and_logouts_and_serves_reads() {
    let options = RedisOptions::new().config("appendonly", "yes").disk(4 << 20);
    let started = tokio::task::spawn_blocking(|| RedisServer::start(options)).await.unwrap();
    let server = Arc::new(started.unwrap_or_else(|error| panic!("{error}")));
    let store = RedisStore::builder().prefix(unique_name()).connect(&server.url()).await.unwrap();
    let session = login();
    store.create(&session, now()).await.unwrap();

    on_own_thread(&server, RedisServer::fill_disk).await.unwrap();
    // The last block of the file still takes a few writes.
    let full = Instant::now();
    let refused = loop {
        match store.create(&record(), now()).await {
            Ok(_) => assert!(full.elapsed() < Duration::from_secs(20), "the disk is not full"),
            Err(error) => break error,
        }
        sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(refused.kind(), StoreErrorKind::ReadOnly, "{refused:?}");
    let change = session.change(revision()).payload("more");
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::ReadOnly);
    let later = now().plus(minutes(50));
    assert_eq!(kind(store.touch(session.id(), later, now()).await), StoreErrorKind::ReadOnly);
    // A logout that the server refuses is an error, not a logout.
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(&session));
    assert_eq!(store.check(now()).await.unwrap().append_ok, Some(false));

    on_own_thread(&server, RedisServer::empty_disk).await.unwrap();
    let updated = within(RECOVERY, || store.update(&change, now())).await;
    assert_eq!(updated, UpdateOutcome::Updated);
    let touched = store.touch(session.id(), later, now()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    assert!(store.delete(session.id(), now()).await.unwrap());
}
