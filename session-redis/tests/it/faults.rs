//! What the network and the server do to a call.

use std::time::{Duration, Instant};

use conformance_tests::servers::RedisOptions;
use session_core::{CreateOutcome, SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};
use session_redis::RedisStore;

use crate::proxy::Proxy;
use crate::support::{
    Raw, impatient, kind, minutes, now, own_server, record, revision, shared_url, unique_name,
    within,
};

#[tokio::test]
async fn f04_a_hung_server_costs_no_more_than_the_deadline_and_is_used_again_when_it_goes_on() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    let session = record();
    store.create(&session, now()).await.unwrap();

    server.pause().unwrap();
    let start = Instant::now();
    let calls = (0..20).map(|number| {
        let (store, session) = (store.clone(), session.clone());
        tokio::spawn(async move {
            match number % 4 {
                0 => kind(store.load(session.id(), now()).await),
                1 => kind(store.update(&session.change(revision()), now()).await),
                2 => kind(store.touch(session.id(), now().plus(minutes(50)), now()).await),
                _ => kind(store.create(&record(), now()).await),
            }
        })
    });
    for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let kind = call.await.unwrap();
        let expected = if number % 4 == 0 {
            StoreErrorKind::Unavailable
        } else {
            StoreErrorKind::OutcomeUnknown
        };
        assert_eq!(kind, expected, "call {number}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // The connection has been retired: from now on surely nothing is sent.
    let error = store.create(&record(), now()).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");

    server.resume().unwrap();
    let start = Instant::now();
    let loaded = within(Duration::from_secs(5), || store.load(session.id(), now())).await;
    assert!(loaded.is_some());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn f15_a_server_that_was_killed_and_restarted_is_used_again() {
    let server = own_server(RedisOptions::new()).await;
    let store = impatient(&server.url()).await;
    store.create(&record(), now()).await.unwrap();
    server.kill().unwrap();
    let error = store.load(record().id(), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(store.create(&record(), now()).await.unwrap_err().is_retryable());
    tokio::task::spawn_blocking(move || {
        server.restart().unwrap();
        server
    })
    .await
    .map(async |_server| {
        let session = record();
        within(Duration::from_secs(5), || store.create(&session, now())).await;
        assert!(store.load(session.id(), now()).await.unwrap().is_some());
    })
    .unwrap()
    .await;
}

#[tokio::test]
async fn f06_a_connection_that_the_server_closed_while_idle_fails_no_call() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
    let session = record();
    proxy.close().await;
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    proxy.close().await;
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    proxy.close().await;
    let later = now().plus(minutes(40));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    proxy.close().await;
    let change = session.change(revision());
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    proxy.close().await;
    assert!(store.delete(session.id(), now()).await.unwrap());
}

#[tokio::test]
async fn f06_a_connection_that_is_closed_just_now_fails_at_most_a_create() {
    let server = own_server(RedisOptions::new()).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let close = || server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    for _ in 0..20 {
        let session = record();
        close();
        if let Err(error) = store.create(&session, now()).await {
            assert!(error.is_outcome_unknown(), "{error:?}");
            store.create(&session, now()).await.unwrap();
        }
        close();
        assert!(store.load(session.id(), now()).await.unwrap().is_some());
        close();
        let later = now().plus(minutes(40));
        assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
        close();
        let change = session.change(revision());
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
        close();
        store.delete(session.id(), now()).await.unwrap();
        assert_eq!(store.load(session.id(), now()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn f07_a_lost_reply_is_settled_where_that_is_safe_and_told_where_it_is_not() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
    let mut raw = Raw::open(shared_url(), store.prefix()).await;
    let session = record();
    store.create(&session, now()).await.unwrap();

    proxy.lose_next_reply();
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(&session));

    let change = session.change(revision()).payload("new");
    proxy.lose_next_reply();
    assert_eq!(
        store.update(&change, now()).await.unwrap(),
        UpdateOutcome::Updated,
        "its own revision"
    );

    let late = session.change(revision()).payload("late");
    proxy.lose_next_reply();
    assert_eq!(
        kind(store.update(&late, now()).await),
        StoreErrorKind::OutcomeUnknown,
        "not a conflict"
    );
    assert_eq!(store.update(&late, now()).await.unwrap(), UpdateOutcome::Conflict);

    proxy.lose_next_reply();
    let later = now().plus(minutes(45));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    assert_eq!(store.load(session.id(), now()).await.unwrap().unwrap().expires_at(), later);

    let fresh = record();
    proxy.lose_next_reply();
    assert_eq!(
        kind(store.create(&fresh, now()).await),
        StoreErrorKind::OutcomeUnknown,
        "never resent"
    );
    assert!(raw.get(fresh.id()).await.is_some(), "though it was done");

    assert!(store.load(session.id(), now()).await.unwrap().is_some(), "on a new connection");
    proxy.lose_next_reply();
    store.delete(session.id(), now()).await.unwrap();
    assert_eq!(raw.get(session.id()).await, None);
}

#[tokio::test]
async fn one_connection_is_opened_however_many_calls_wait_and_whoever_gives_up() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect_lazily(&proxy.url()).unwrap();
    // The caller that begins the attempt goes away.
    let id = *record().id();
    let mut first = Box::pin(store.load(&id, now()));
    let begun =
        std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context)));
    assert!(begun.await.is_pending());
    drop(first);
    let calls = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.load(&id, now()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), None);
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn f18_calls_that_are_dropped_half_way_leave_the_connection_in_order() {
    let proxy = Proxy::to(shared_url()).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
    let sessions: Vec<_> = (0..20).map(|_| record()).collect();
    for session in &sessions {
        store.create(session, now()).await.unwrap();
    }
    for round in 0..200_u64 {
        for session in &sessions {
            let polls = round % 4;
            let mut call = std::pin::pin!(store.load(session.id(), now()));
            for _ in 0..polls {
                let once = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
                });
                if once.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let session = &sessions[usize::try_from(round).unwrap() % sessions.len()];
        let loaded = store.load(session.id(), now()).await.unwrap().unwrap();
        assert_eq!(loaded, *session, "a reply of another call");
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn without_a_server_every_call_says_so_and_never_that_there_is_no_session() {
    let store = RedisStore::builder().connect_lazily("redis://127.0.0.1:1").unwrap();
    let session = record();
    for _ in 0..3 {
        for kind in [
            kind(store.create(&session, now()).await),
            kind(store.load(session.id(), now()).await),
            kind(store.update(&session.change(revision()), now()).await),
            kind(store.touch(session.id(), now(), now()).await),
            kind(store.delete(session.id(), now()).await),
        ] {
            assert_eq!(kind, StoreErrorKind::Unavailable);
        }
    }
}
