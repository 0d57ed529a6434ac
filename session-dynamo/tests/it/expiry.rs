//! The attributes by which DynamoDB removes items.

use session_core::{SessionStore, Subject, Timestamp};

use crate::raw::Raw;
use crate::support::{
    Item, alice, login, minutes, now, number, record, record_with, revision, store,
};

/// Five minutes after `end`, in seconds, rounded up.
fn kept_until(end: Timestamp) -> u64 {
    (end.as_millis() + 300_000).div_ceil(1_000)
}

async fn ttl(raw: &Raw, id: &session_core::SessionId) -> aws_sdk_dynamodb::types::AttributeValue {
    raw.get(id).await.unwrap()["ttl"].clone()
}

#[tokio::test]
async fn an_item_is_kept_until_the_margin_after_its_end_has_passed() {
    let (store, raw) = store().await;
    let session = record_with(|parts| {
        parts.expires_at = Timestamp::from_millis(now().as_millis() / 1_000 * 1_000 + 1_800_001);
    });
    store.create(&session, now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(session.expires_at())));

    let later = now().plus(minutes(60));
    store.touch(session.id(), later, now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(later)));
    // Earlier ones change nothing.
    store.touch(session.id(), now().plus(minutes(1)), now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(later)));

    let change = session.change(revision()).expires_at(now().plus(minutes(90)));
    store.update(&change, now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(change.record().expires_at())));
    // The absolute deadline ends the life that the idle one would extend.
    let change = change.record().change(revision()).lower_deadline(now().plus(minutes(10)));
    store.update(&change, now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(change.record().deadline())));
}

#[tokio::test]
async fn a_touch_between_load_and_update_is_not_taken_back() {
    let (store, raw) = store().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let later = now().plus(minutes(60));
    store.touch(session.id(), later, now()).await.unwrap();
    store.update(&session.change(revision()).payload("more"), now()).await.unwrap();
    assert_eq!(ttl(&raw, session.id()).await, number(kept_until(later)));
    let loaded = store.load(session.id(), now()).await.unwrap().unwrap();
    assert_eq!((loaded.expires_at(), &loaded.payload()[..]), (later, &b"more"[..]));
}

#[tokio::test]
async fn an_index_entry_is_kept_until_the_absolute_deadline() {
    let (store, raw) = store().await;
    let session = login();
    let entry = async || -> Item { raw.entries().await.pop().unwrap() };
    store.create(&session, now()).await.unwrap();
    assert_eq!(entry().await["ttl"], number(kept_until(session.deadline())));
    assert_eq!(entry().await["d"], number(session.deadline().as_millis()));

    let raised = now().plus(minutes(900));
    let change = session.change(revision()).login(alice(), raised).unwrap();
    store.update(&change, now()).await.unwrap();
    assert_eq!(entry().await["ttl"], number(kept_until(raised)));
    // A deadline that is lowered may be raised again by a write that is already under way.
    let change = change.record().change(revision()).lower_deadline(now().plus(minutes(5)));
    store.update(&change, now()).await.unwrap();
    assert_eq!(entry().await["d"], number(raised.as_millis()));
}

#[tokio::test]
async fn every_item_of_every_table_expires() {
    let (store, raw) = store().await;
    let name = Subject::new(&session_core::Realm::default(), &"x".repeat(191)).unwrap();
    for subject in [None, Some(alice()), Some(name)] {
        for deadline in [Timestamp::MIN, now(), now().plus(minutes(1)), Timestamp::MAX] {
            let session = record_with(|parts| {
                parts.subject.clone_from(&subject);
                parts.deadline = deadline;
            });
            store.create(&session, now()).await.unwrap();
            store.touch(session.id(), now().plus(minutes(70)), now()).await.unwrap();
            store.update(&session.change(revision()), now()).await.unwrap();
        }
    }
    let items = [raw.items(&raw.sessions).await.unwrap(), raw.entries().await].concat();
    assert_eq!(items.len(), 12 + 8);
    for item in items {
        let ttl: u64 = item["ttl"].as_n().unwrap().parse().unwrap();
        assert!((300..=253_402_300_800 + 300).contains(&ttl), "seconds, not milliseconds: {ttl}");
    }
}
