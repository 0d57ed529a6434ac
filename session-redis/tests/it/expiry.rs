//! Times to live: every key has one, never shorter than the session's life and its margin.

use std::time::Duration;

use session_core::{SessionStore, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome};
use session_redis::RedisStore;

use crate::proxy::Proxy;
use crate::support::{
    Raw, alice, login, minutes, now, record, record_with, revision, shared_url, store, unique_name,
};

/// `ttl` is `expected`, less what the test took.
fn assert_about(ttl: i64, expected: Duration) {
    let expected = i64::try_from(expected.as_millis()).unwrap();
    assert!(ttl <= expected && ttl > expected - 20_000, "{ttl} instead of {expected}");
}

#[tokio::test]
async fn a_key_lives_until_the_margin_after_its_session_ended() {
    let (store, mut raw) = store().await;
    let session = record();
    let key = raw.record_key(session.id());
    let margin = store.margin();
    store.create(&session, now()).await.unwrap();
    assert_about(raw.pttl(&key).await, minutes(30) + margin);
    store.touch(session.id(), now().plus(minutes(60)), now()).await.unwrap();
    assert_about(raw.pttl(&key).await, minutes(60) + margin);
    let change = session.change(revision()).expires_at(now().plus(minutes(40)));
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_about(raw.pttl(&key).await, minutes(60) + margin);
    let change = change.record().change(revision()).lower_deadline(now().plus(minutes(10)));
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_about(raw.pttl(&key).await, minutes(10) + margin);
    store.touch(session.id(), now().plus(minutes(90)), now()).await.unwrap();
    assert_about(raw.pttl(&key).await, minutes(10) + margin);
}

#[tokio::test]
async fn a_touch_never_shortens_the_life_of_a_key() {
    for old in [false, true] {
        let proxy = Proxy::to(shared_url()).await;
        if old {
            proxy.pretend_old_server();
        }
        let store =
            RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
        let mut raw = Raw::open(shared_url(), store.prefix()).await;
        let session = record();
        let key = raw.record_key(session.id());
        store.create(&session, now()).await.unwrap();
        let ahead = now().plus(minutes(4));
        let later = session.expires_at().plus(minutes(1));
        assert_eq!(store.touch(session.id(), later, ahead).await.unwrap(), TouchOutcome::Touched);
        assert_about(raw.pttl(&key).await, minutes(30) + store.margin());
        assert!(store.load(session.id(), later.minus(minutes(1))).await.unwrap().is_some());
        store.touch(session.id(), now().plus(minutes(50)), now()).await.unwrap();
        assert_about(raw.pttl(&key).await, minutes(50) + store.margin());
    }
}

#[tokio::test]
async fn the_last_moment_of_the_year_9999_is_a_time_like_any_other() {
    let (store, mut raw) = store().await;
    let session = record_with(|parts| {
        parts.subject = Some(alice());
        parts.expires_at = Timestamp::MAX;
        parts.deadline = Timestamp::MAX;
    });
    for now in [now(), Timestamp::MIN] {
        store.create(&session, now).await.unwrap();
        assert_eq!(store.load(session.id(), now).await.unwrap().as_ref(), Some(&session));
        let change = session.change(revision()).payload("x");
        assert_eq!(store.update(&change, now).await.unwrap(), UpdateOutcome::Updated);
        let touched = store.touch(session.id(), Timestamp::MAX, now).await.unwrap();
        assert_eq!(touched, TouchOutcome::Touched);
        let key = raw.index_key(&alice());
        assert!(raw.pttl(&key).await > 200_000_000_000_000);
        assert_eq!(store.delete_all(&alice(), None, now).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn no_key_is_without_a_time_to_live() {
    let (store, mut raw) = store().await;
    let over = record_with(|parts| parts.expires_at = Timestamp::MIN);
    let mut current = record();
    store.create(&over, now()).await.unwrap();
    store.create(&current, now()).await.unwrap();
    store.create(&login(), now()).await.unwrap();
    for minute in 0..3 {
        let deadline = now().plus(minutes(600 + minute));
        let change = current.change(revision()).login(alice(), deadline).unwrap();
        store.update(&change, now()).await.unwrap();
        store.touch(current.id(), now().plus(minutes(60 + minute)), now()).await.unwrap();
        current = change.record().clone();
    }
    let keys = raw.keys().await;
    assert!(keys.len() >= 3);
    for key in keys {
        let ttl = raw.pttl(&key).await;
        assert_ne!(ttl, -1, "{}", String::from_utf8_lossy(&key));
    }
}
