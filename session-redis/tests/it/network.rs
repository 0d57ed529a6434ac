//! What the network does to a call, through the proxy of the suite.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_tests::net::{Fault, Proxy, Span};
use session_core::{
    CreateOutcome, PageRequest, SessionStore, StoreErrorKind, SubjectIndex, TouchOutcome,
    UpdateOutcome,
};
use session_redis::RedisStore;

use crate::support::{
    Raw, alice, impatient, kind, login, minutes, now, record, revision, shared_url, unique_name,
    within,
};

const RECOVERY: Duration = Duration::from_secs(5);

/// The URL of the shared server, through the proxy.
async fn url_through(proxy: &Arc<Proxy>) -> String {
    let server = shared_url().rsplit_once('/').unwrap().1.rsplit('@').next().unwrap().to_owned();
    format!("redis://{}", proxy.route(&server).await.unwrap())
}

#[tokio::test]
async fn f05_a_black_hole_costs_no_more_than_the_deadline() {
    for hole in [Fault::Hang, Fault::Silence] {
        let proxy = Proxy::new();
        let store = impatient(&url_through(&proxy).await).await;
        let session = login();
        store.create(&session, now()).await.unwrap();
        proxy.strike(hole, 1, Span::ForGood).await.unwrap();

        let start = Instant::now();
        let (page, hers) = (PageRequest::first(10), alice());
        let change = session.change(revision());
        let (fresh, later) = (record(), now().plus(minutes(50)));
        let (loaded, listed, created, updated, touched, deleted, all) = tokio::join!(
            store.load(session.id(), now()),
            store.list(&hers, &page, now()),
            store.create(&fresh, now()),
            store.update(&change, now()),
            store.touch(session.id(), later, now()),
            store.delete(session.id(), now()),
            store.delete_all(&hers, None, now()),
        );
        // 800 ms, and something for a busy machine.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(kind(loaded), StoreErrorKind::Unavailable);
        assert_eq!(kind(listed), StoreErrorKind::Unavailable);
        for kind in [kind(created), kind(updated), kind(touched), kind(deleted)] {
            assert_eq!(kind, StoreErrorKind::OutcomeUnknown);
        }
        let error = all.unwrap_err();
        assert_eq!(error.deleted(), Some(0), "{error:?}");

        proxy.heal().await.unwrap();
        within(RECOVERY, || store.load(session.id(), now())).await;
    }
}

#[tokio::test]
async fn f08_half_a_second_of_latency_fails_no_call() {
    let proxy = Proxy::new();
    let store = RedisStore::builder()
        .prefix(unique_name())
        .connect(&url_through(&proxy).await)
        .await
        .unwrap();
    let mut jitter = [500, 350, 120, 480, 20, 500].into_iter().cycle();
    let mut slow = async || {
        let delay = Fault::Delay(Duration::from_millis(jitter.next().unwrap()));
        proxy.strike(delay, 1, Span::ForGood).await.unwrap();
    };
    for _ in 0..2 {
        let session = login();
        slow().await;
        assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
        slow().await;
        assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(&session));
        slow().await;
        let change = session.change(revision());
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
        slow().await;
        let later = now().plus(minutes(50));
        assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
        slow().await;
        assert!(store.delete(session.id(), now()).await.unwrap());
    }
    assert_eq!(proxy.connections(), 1, "a slow connection is not a broken one");
}

#[tokio::test]
async fn f08_a_trickle_ends_at_the_deadline_of_the_call() {
    let proxy = Proxy::new();
    let store = impatient(&url_through(&proxy).await).await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    // A byte every 50 ms: no read waits for long, and the whole reply would take ten seconds.
    proxy.strike(Fault::Trickle, 1, Span::ForGood).await.unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Unavailable);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    proxy.heal().await.unwrap();
    let loaded = within(RECOVERY, || store.load(session.id(), now())).await;
    assert_eq!(loaded, Some(session));
}

#[tokio::test]
async fn f22_a_login_whose_request_is_cut_leaves_neither_record_nor_entry() {
    let proxy = Proxy::new();
    let url = url_through(&proxy).await;
    let store = RedisStore::builder().prefix(unique_name()).connect(&url).await.unwrap();
    let mut raw = Raw::open(shared_url(), store.prefix()).await;
    store.load(record().id(), now()).await.unwrap();
    let session = login();
    // Of the transaction that writes the entry and then the record, the first half arrives.
    proxy.strike(Fault::CutRequest, 1, Span::Once).await.unwrap();
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::OutcomeUnknown);
    assert_eq!(proxy.struck(), 1);
    assert_eq!(raw.get(session.id()).await, None);
    assert_eq!(raw.entries(&alice()).await, Vec::<Vec<u8>>::new());

    // And with its reply lost, on a new connection, both are there.
    store.load(session.id(), now()).await.unwrap();
    proxy.strike(Fault::LoseReply, 1, Span::Once).await.unwrap();
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::OutcomeUnknown);
    assert!(raw.get(session.id()).await.is_some());
    assert_eq!(raw.entries(&alice()).await, [session.id().as_bytes()]);
}
