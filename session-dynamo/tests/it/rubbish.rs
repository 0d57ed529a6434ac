//! What is stored is not what we wrote.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{
    Count, CreateOutcome, Inspect, PageRequest, Record, SessionStore, StoreErrorKind, SubjectIndex,
    Timestamp, TouchOutcome, UpdateOutcome,
};
use session_dynamo::DynamoStore;

use crate::raw::Raw;
use crate::support::{
    Item, alice, binary, kind, login, minutes, now, number, record, record_with, revision, store,
    text,
};

const EVERY_ATTRIBUTE: [&str; 9] = ["r", "e", "d", "c", "h", "s", "a", "l", "b"];

fn full() -> Record {
    record_with(|parts| {
        parts.subject = Some(alice());
        parts.authentication = Some(session_core::Authentication { at: now(), level: 1 });
    })
}

/// Every operation on a record that cannot be read, as contract rule X04 has it.
async fn assert_corrupt(store: &DynamoStore, raw: &Raw, like: &Record, what: &str) {
    let id = like.id();
    let stored = raw.get(id).await;
    assert_eq!(kind(store.load(id, now()).await), StoreErrorKind::Corrupt, "{what}");
    assert_eq!(store.create(like, now()).await.unwrap(), CreateOutcome::Exists, "{what}");
    assert_eq!(raw.get(id).await, stored, "kept as it is: {what}");
    assert!(!store.delete(id, now()).await.unwrap(), "{what}");
    assert!(!store.delete(id, now()).await.unwrap(), "{what}");
    assert_eq!(store.load(id, now()).await.unwrap(), None, "{what}");
}

#[tokio::test]
async fn attributes_of_other_types_and_missing_ones_are_corrupt() {
    let (store, raw) = store().await;
    for name in EVERY_ATTRIBUTE {
        let values = [
            None,
            Some(text("1")),
            Some(AttributeValue::Bool(true)),
            Some(AttributeValue::L(vec![number(1)])),
            Some(AttributeValue::M(HashMap::new())),
            Some(AttributeValue::Ns(vec!["1".into()])),
            Some(if "edcal".contains(name) { binary(b"1") } else { number(1) }),
        ];
        for value in values {
            if name == "s" && value.is_none() {
                continue;
            }
            let session = full();
            store.create(&session, now()).await.unwrap();
            raw.set(session.id(), name, value.clone()).await;
            assert_corrupt(&store, &raw, &session, &format!("{name}: {value:?}")).await;
        }
    }
}

#[tokio::test]
async fn updates_and_touches_of_what_they_cannot_read_are_errors() {
    let (store, raw) = store().await;
    for (name, value) in [
        ("r", Some(text("x"))),
        ("r", Some(binary(b"short"))),
        ("r", None),
        ("e", Some(text("9999999999999"))),
        ("e", None),
        ("d", Some(binary(b"9999999999999"))),
        ("d", None),
    ] {
        let session = full();
        store.create(&session, now()).await.unwrap();
        raw.set(session.id(), name, value.clone()).await;
        let update = store.update(&session.change(revision()), now()).await;
        assert_eq!(kind(update), StoreErrorKind::Corrupt, "{name}: {value:?}");
        if name != "r" {
            let touch = store.touch(session.id(), now().plus(minutes(99)), now()).await;
            assert_eq!(kind(touch), StoreErrorKind::Corrupt, "{name}: {value:?}");
        }
        assert!(!store.delete(session.id(), now()).await.unwrap());
    }
}

#[tokio::test]
async fn impossible_times_are_corrupt_and_never_immortal() {
    let (store, raw) = store().await;
    for bad in ["-1", "253402300800000", "1E+40", "1.5"] {
        for name in ["e", "d", "c"] {
            let session = login();
            store.create(&session, now()).await.unwrap();
            raw.set(session.id(), name, Some(AttributeValue::N(bad.into()))).await;
            if name != "c" {
                let update = store.update(&session.change(revision()), now()).await;
                assert_eq!(kind(update), StoreErrorKind::Corrupt, "{name} {bad}");
                let touch = store.touch(session.id(), now().plus(minutes(99)), now()).await;
                assert_eq!(kind(touch), StoreErrorKind::Corrupt, "{name} {bad}");
                assert_eq!(store.count(now()).await.unwrap(), Count::Exact(0), "{name} {bad}");
            }
            assert_corrupt(&store, &raw, &session, &format!("{name} {bad}")).await;
        }
    }
}

#[tokio::test]
async fn a_record_that_is_over_is_over_though_its_item_never_expires() {
    let (store, raw) = store().await;
    for over in [
        record_with(|parts| parts.expires_at = now().minus(minutes(1))),
        record_with(|parts| parts.deadline = now().minus(minutes(1))),
    ] {
        store.create(&over, now()).await.unwrap();
        for ttl in [None, Some(text("1")), Some(number(now().as_millis()))] {
            raw.set(over.id(), "ttl", ttl).await;
            assert_eq!(store.load(over.id(), now()).await.unwrap(), None);
            let change = over.change(revision()).expires_at(now().plus(minutes(9)));
            assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Missing);
            let touched = store.touch(over.id(), now().plus(minutes(9)), now()).await.unwrap();
            assert_eq!(touched, TouchOutcome::Missing);
        }
        assert!(!store.delete(over.id(), now()).await.unwrap());
        assert_eq!(raw.get(over.id()).await, None);
    }
}

#[tokio::test]
async fn a_wrong_expiry_is_put_right_by_the_next_write() {
    let (store, raw) = store().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    for wrong in [text("1"), number(now().as_millis())] {
        raw.set(session.id(), "ttl", Some(wrong)).await;
        let loaded = store.load(session.id(), now()).await.unwrap().unwrap();
        let later = loaded.expires_at().plus(minutes(1));
        store.touch(session.id(), later, now()).await.unwrap();
        let seconds = (later.as_millis() + 300_000).div_ceil(1_000);
        assert_eq!(raw.get(session.id()).await.unwrap()["ttl"], number(seconds));
    }
}

#[tokio::test]
async fn a_later_format_is_kept_listed_touched_and_deleted() {
    let (store, raw) = store().await;
    let session = full();
    store.create(&session, now()).await.unwrap();
    raw.set(session.id(), "f", Some(number(2))).await;
    raw.set(session.id(), "b", Some(AttributeValue::M(HashMap::new()))).await;
    raw.set(session.id(), "l", Some(text("high"))).await;
    let stored = raw.get(session.id()).await.unwrap();

    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::UnsupportedFormat);
    for change in [session.change(revision()), record_with(|_| {}).change(revision())] {
        let change = if change.id() == session.id() { change } else { session.change(revision()) };
        assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::UnsupportedFormat);
    }
    assert_eq!(raw.get(session.id()).await.unwrap(), stored, "kept as it is");
    let later = session.expires_at().plus(minutes(5));
    assert_eq!(store.touch(session.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    let page = store.list(&alice(), &PageRequest::first(9), now()).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].expires_at), (1, later));
    assert_eq!(store.count(now()).await.unwrap(), Count::Exact(1));
    assert!(store.delete_one(&alice(), session.id(), now()).await.unwrap());
    assert_eq!(raw.get(session.id()).await, None);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_listed_and_goes_with_delete_all() {
    let (store, raw) = store().await;
    let mut spoilt = Vec::new();
    for (name, value) in [
        ("r", None),
        ("r", Some(binary(b"short"))),
        ("h", Some(text("x"))),
        ("h", Some(binary(&[1; 31]))),
        ("e", None),
        ("d", Some(AttributeValue::N("1E+40".into()))),
        ("c", Some(AttributeValue::N("-5".into()))),
        ("s", Some(text("alice"))),
    ] {
        let session = login();
        store.create(&session, now()).await.unwrap();
        raw.set(session.id(), name, value).await;
        spoilt.push(session);
    }
    let whole = login();
    store.create(&whole, now()).await.unwrap();
    let page = store.list(&alice(), &PageRequest::first(100), now()).await.unwrap();
    assert_eq!(page.items, [whole.summary()]);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
    for session in spoilt.iter().chain([&whole]) {
        assert_eq!(raw.get(session.id()).await, None, "{session:?}");
    }
}

#[tokio::test]
async fn what_is_unreadable_is_not_known_to_be_anybodys() {
    let (store, raw) = store().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    raw.set(session.id(), "s", Some(text("alice"))).await;
    assert!(!store.delete_one(&alice(), session.id(), now()).await.unwrap());
    assert!(raw.get(session.id()).await.is_some());
}

#[tokio::test]
async fn items_that_no_store_wrote_disturb_nobody() {
    let (store, raw) = store().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    for key in [&[1][..], &[0; 16], &[7; 17], &[0xff; 300]] {
        raw.put(Item::from([("id".into(), binary(key)), ("x".into(), text("y"))])).await;
        let entry = Item::from([
            ("s".into(), binary(alice().as_bytes())),
            ("id".into(), binary(key)),
            ("d".into(), number(Timestamp::MAX.as_millis())),
        ]);
        crate::support::put(&raw.client, &raw.subjects(), entry).await;
    }
    let (mut listed, mut scanned) = (Vec::new(), Vec::new());
    let (mut list, mut scan) = (Some(PageRequest::first(1)), Some(PageRequest::first(1)));
    while let Some(request) = list.take() {
        let page = store.list(&alice(), &request, now()).await.unwrap();
        listed.extend(page.items);
        list = page.next.map(|next| PageRequest::first(1).after(next));
    }
    while let Some(request) = scan.take() {
        let page = store.scan(&request, now()).await.unwrap();
        scanned.extend(page.items);
        scan = page.next.map(|next| PageRequest::first(1).after(next));
    }
    assert_eq!((&listed[..], &scanned[..]), (&[session.summary()][..], &[session.summary()][..]));
    assert_eq!(store.count(now()).await.unwrap(), Count::Exact(1));
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
}
