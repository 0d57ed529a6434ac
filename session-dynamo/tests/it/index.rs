//! The index by subject: its entries, and their protocol.

use session_core::{
    CreateOutcome, PageRequest, Realm, SessionStore, StoreErrorKind, Subject, SubjectIndex,
    UpdateOutcome,
};

use crate::proxy::{ANY, Act};
use crate::support::{
    alice, impatient, kind, login, minutes, now, record, record_with, revision, store,
    store_behind_proxy,
};

#[tokio::test]
async fn no_record_is_written_whose_entry_may_be_missing() {
    let (store, proxy, raw) = store_behind_proxy().await;
    for act in [
        Act::Refuse(400, "AccessDeniedException"),
        Act::Refuse(400, "ThrottlingException"),
        Act::Refuse(500, "InternalServerError"),
        Act::CutBefore,
        Act::CutAfter,
    ] {
        let (session, anonymous) = (login(), record());
        store.create(&anonymous, now()).await.unwrap();
        proxy.reset();
        proxy.always("UpdateItem", act.clone());
        let created = store.create(&session, now()).await.unwrap_err();
        assert!(!created.is_outcome_unknown(), "surely not: {created:?}");
        let change = anonymous.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
        let updated = store.update(&change, now()).await.unwrap_err();
        assert!(!updated.is_outcome_unknown(), "surely not: {updated:?}");
        assert_eq!(proxy.count("PutItem"), 0, "{act:?}");
        proxy.reset();
        assert_eq!(raw.get(session.id()).await, None);
        assert_eq!(store.load(anonymous.id(), now()).await.unwrap(), Some(anonymous));
    }
}

#[tokio::test]
async fn an_entry_without_its_record_is_skipped_and_kept() {
    let (store, proxy, raw) = store_behind_proxy().await;
    // A login that was stopped between its two writes.
    let (session, anonymous) = (login(), record());
    store.create(&anonymous, now()).await.unwrap();
    proxy.always("PutItem", Act::Refuse(400, "ThrottlingException"));
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::Overloaded);
    let change = anonymous.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::Overloaded);
    assert_eq!(raw.entries().await.len(), 2);
    proxy.reset();

    let listed = store.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
    assert_eq!(listed.items, []);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 0);
    assert!(!store.delete_one(&alice(), anonymous.id(), now()).await.unwrap());
    assert_eq!(raw.entries().await.len(), 2, "they may be about to be used");
    // And are used: the two logins go on.
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let listed = store.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 2);
}

#[tokio::test]
async fn entries_go_with_records_that_are_older_than_ten_minutes() {
    let (store, raw) = store().await;
    let old = |age| {
        record_with(|parts| {
            parts.subject = Some(alice());
            parts.created_at = now().minus(minutes(age));
        })
    };
    for (age, kept) in [(0, 1), (9, 1), (11, 0)] {
        let session = old(age);
        store.create(&session, now()).await.unwrap();
        assert!(store.delete(session.id(), now()).await.unwrap());
        let entries = raw.entries().await;
        assert_eq!(entries.len(), kept, "{age} minutes");
        for entry in entries {
            let key = [("s", entry["s"].clone()), ("id", entry["id"].clone())];
            let delete = raw.client.delete_item().table_name(raw.subjects());
            let key = key.map(|(name, value)| (name.to_owned(), value)).into();
            delete.set_key(Some(key)).send().await.unwrap();
        }
    }
    // More than one batch of writes holds.
    for _ in 0..30 {
        store.create(&old(60), now()).await.unwrap();
    }
    let young = login();
    store.create(&young, now()).await.unwrap();
    assert_eq!(store.delete_all(&alice(), Some(young.id()), now()).await.unwrap(), 30);
    assert_eq!(raw.entries().await.len(), 1);
}

#[tokio::test]
async fn what_a_batch_leaves_over_is_asked_for_again() {
    let (store, proxy, raw) = store_behind_proxy().await;
    for _ in 0..3 {
        let old = record_with(|parts| {
            parts.subject = Some(alice());
            parts.created_at = now().minus(minutes(60));
        });
        store.create(&old, now()).await.unwrap();
    }
    for _ in 0..2 {
        proxy.next("BatchGetItem", Act::LeaveAllOver);
        proxy.next("BatchWriteItem", Act::LeaveAllOver);
    }
    let listed = store.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
    assert_eq!((listed.items.len(), proxy.count("BatchGetItem")), (3, 3));
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 3);
    assert_eq!((raw.entries().await.len(), proxy.count("BatchWriteItem")), (0, 3));
}

#[tokio::test]
async fn a_batch_that_is_always_left_over_ends_with_the_deadline() {
    let (store, proxy, raw) = impatient().await;
    let old = record_with(|parts| {
        parts.subject = Some(alice());
        parts.created_at = now().minus(minutes(60));
    });
    store.create(&old, now()).await.unwrap();
    proxy.always("BatchGetItem", Act::LeaveAllOver);
    proxy.always("BatchWriteItem", Act::LeaveAllOver);
    let listed = store.list(&alice(), &PageRequest::first(10), now()).await;
    assert_eq!(kind(listed), StoreErrorKind::Overloaded);
    assert!(proxy.count("BatchGetItem") > 1);
    // The record is gone; its entry is left to expire.
    assert!(store.delete(old.id(), now()).await.unwrap());
    assert_eq!((raw.get(old.id()).await, raw.entries().await.len()), (None, 1));
}

#[tokio::test]
async fn a_log_out_everywhere_that_fails_says_how_far_it_came_and_can_be_repeated() {
    let (store, proxy, _) = store_behind_proxy().await;
    for _ in 0..20 {
        store.create(&login(), now()).await.unwrap();
    }
    for _ in 0..5 {
        proxy.next("DeleteItem", Act::Pass);
    }
    proxy.next("DeleteItem", Act::Refuse(400, "AccessDeniedException"));
    let error = store.delete_all(&alice(), None, now()).await.unwrap_err();
    let deleted = error.deleted().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Denied);
    // All that were under way at the time have ended.
    let left = store.list(&alice(), &PageRequest::first(100), now()).await.unwrap().items.len();
    assert_eq!(usize::try_from(deleted).unwrap() + left, 20);
    assert!(deleted >= 5, "{deleted}");
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 20 - deleted);
}

#[tokio::test]
async fn names_are_opaque_and_never_reach_anothers_index() {
    let (store, _) = store().await;
    let realm = Realm::default();
    let names = [
        ":s",
        "#s",
        "*",
        "{\"S\":\"x\"}",
        "' OR 1=1--",
        "attribute_exists(s)",
        "a",
        "A",
        "é",
        "e\u{301}",
        "\u{1f600}",
        "\r\n",
        "a:b",
        "a#b",
    ];
    let subjects: Vec<_> = names.iter().map(|name| Subject::new(&realm, name).unwrap()).collect();
    for subject in &subjects {
        let session = record_with(|parts| parts.subject = Some(subject.clone()));
        store.create(&session, now()).await.unwrap();
    }
    for subject in &subjects {
        let listed = store.list(subject, &PageRequest::first(100), now()).await.unwrap();
        assert_eq!(listed.items.len(), 1, "{}", subject.name());
        assert_eq!(store.delete_all(subject, None, now()).await.unwrap(), 1, "{}", subject.name());
    }
}

#[tokio::test]
async fn pages_of_many_sessions_hold_as_many_as_were_asked_for() {
    let (store, proxy, _) = store_behind_proxy().await;
    let sessions: Vec<_> = (0..250).map(|_| login()).collect();
    for some in sessions.chunks(25) {
        let creates = some.iter().map(|session| store.create(session, now()));
        futures_util::future::try_join_all(creates).await.unwrap();
    }
    proxy.reset();
    let page = store.list(&alice(), &PageRequest::first(1_000), now()).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_none()), (250, true));
    assert_eq!((proxy.count("Query"), proxy.count("BatchGetItem")), (1, 3));
    let page = store.list(&alice(), &PageRequest::first(120), now()).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_some()), (120, true));
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 250);
    // A page that is full says nothing about what follows, so there is one more query.
    assert_eq!(proxy.count(ANY), 1 + 3 + 1 + 2 + 2 + 250);
}
