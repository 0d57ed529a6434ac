//! The sessions of a subject: pages, cursors, and what a race leaves behind.

use std::collections::HashSet;
use std::num::NonZeroU32;

use session_core::{
    CreateOutcome, Cursor, Inspect, PageRequest, Purge, SessionId, SessionStore, StoreErrorKind,
    SubjectIndex, UpdateOutcome,
};

use super::*;

async fn listed(store: &MemoryStore, subject: &Subject, limit: u16) -> Vec<SessionId> {
    let mut ids = Vec::new();
    let mut page = PageRequest::first(limit);
    loop {
        let answer = store.list(subject, &page, NOW).await.unwrap();
        assert!(answer.items.len() <= page.limit());
        ids.extend(answer.items.iter().map(|summary| summary.id));
        match answer.next {
            Some(cursor) => page = PageRequest::first(limit).after(cursor),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn pages_cover_every_session_once_whatever_their_size() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let mut expected = HashSet::new();
    for _ in 0..12 {
        let record = of(&alice);
        store.create(&record, NOW).await.unwrap();
        store.create(&of(&user("bob")), NOW).await.unwrap();
        expected.insert(*record.id());
    }
    for limit in [1, 5, 6, 11, 12, 13, 1_000] {
        let ids = listed(&store, &alice, limit).await;
        assert_eq!(ids.len(), 12);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), expected);
    }
    assert_eq!(store.delete_all(&alice, expected.iter().next(), NOW).await.unwrap(), 11);
    assert_eq!(listed(&store, &alice, 5).await, [*expected.iter().next().unwrap()]);
}

#[tokio::test]
async fn a_walk_goes_on_after_its_place_was_deleted() {
    let store = MemoryStore::new();
    let alice = user("alice");
    for _ in 0..6 {
        store.create(&of(&alice), NOW).await.unwrap();
    }
    let first = store.list(&alice, &PageRequest::first(3), NOW).await.unwrap();
    for summary in &first.items {
        store.delete(&summary.id, NOW).await.unwrap();
    }
    let rest = PageRequest::first(10).after(first.next.unwrap());
    assert_eq!(store.list(&alice, &rest, NOW).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn the_order_stays_whichever_entry_goes_and_comes_again() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let records: Vec<Record> = (0..5).map(|_| of(&alice)).collect();
    for record in &records {
        store.create(record, NOW).await.unwrap();
    }
    for gone in &records {
        let mut expected: Vec<SessionId> =
            records.iter().map(|record| *record.id()).filter(|id| id != gone.id()).collect();
        expected.sort_unstable();
        store.delete(gone.id(), NOW).await.unwrap();
        for limit in [1, 2, 4, 5] {
            assert_eq!(listed(&store, &alice, limit).await, expected);
        }
        store.create(gone, NOW).await.unwrap();
    }
    assert_eq!(store.delete_all(&alice, None, NOW).await.unwrap(), 5);
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn more_sessions_than_a_batch_are_deleted() {
    let store = MemoryStore::new();
    let alice = user("alice");
    for _ in 0..1_024 {
        store.create(&of(&alice), NOW).await.unwrap();
    }
    assert_eq!(store.delete_all(&alice, None, NOW).await.unwrap(), 1_024);
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn cursors_of_others_are_refused() {
    let store = MemoryStore::new();
    let (alice, bob) = (user("alice"), user("bob"));
    for subject in [&alice, &bob, &alice, &bob] {
        store.create(&of(subject), NOW).await.unwrap();
    }
    let of_alice = store.list(&alice, &PageRequest::first(1), NOW).await.unwrap().next.unwrap();
    let of_all = store.scan(&PageRequest::first(1), NOW).await.unwrap().next.unwrap();
    let mut changed = of_alice.as_bytes().to_vec();
    changed[3] ^= 1;

    let mut bad = vec![of_all.clone(), Cursor::from_bytes(&changed).unwrap()];
    bad.extend(
        [&b"x"[..], &[0; 16], &[0; 24], &[0xff; 24], &[1; 1_024]]
            .map(|bytes| Cursor::from_bytes(bytes).unwrap()),
    );
    bad.push(Cursor::from_bytes(&of_alice.as_bytes()[..23]).unwrap());
    for cursor in bad {
        let error =
            store.list(&alice, &PageRequest::first(1).after(cursor), NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
    }
    for (store, subject) in [(&store, &bob), (&MemoryStore::new(), &alice)] {
        let page = PageRequest::first(1).after(of_alice.clone());
        let error = store.list(subject, &page, NOW).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
    }
    let error = store.scan(&PageRequest::first(1).after(of_alice), NOW).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::InvalidCursor);
}

#[tokio::test]
async fn a_refused_login_leaves_no_entry() {
    let store = MemoryStore::new();
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    let before = store.stored_bytes();
    store.update(&change(&record).payload("canary-payload"), NOW).await.unwrap();
    let refused = login(&record, &user("alice"));
    assert_eq!(store.update(&refused, NOW).await.unwrap(), UpdateOutcome::Conflict);
    assert_eq!(store.stored_bytes(), before);

    store.delete(record.id(), NOW).await.unwrap();
    assert_eq!(store.update(&refused, NOW).await.unwrap(), UpdateOutcome::Missing);
    assert_eq!(store.stored_bytes(), 0);
}

#[tokio::test]
async fn an_entry_that_a_conflict_left_behind_goes_when_its_end_has_passed() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let record = of(&alice);
    store.create(&record, NOW).await.unwrap();
    store.update(&change(&record).payload("other"), NOW).await.unwrap();
    let refused = login(&record, &alice);
    assert_eq!(store.update(&refused, NOW).await.unwrap(), UpdateOutcome::Conflict);
    assert_eq!(listed(&store, &alice, 9).await, [*record.id()], "the entry stays");

    store.delete(record.id(), NOW).await.unwrap();
    assert_eq!(listed(&store, &alice, 9).await, []);
    assert!(store.stored_bytes() > 0, "another writer might rely on the entry");
    let limit = NonZeroU32::new(10).unwrap();
    Purge::purge(&store, limit, after(60 * MINUTE - 1)).await.unwrap();
    assert!(store.stored_bytes() > 0);
    Purge::purge(&store, limit, after(60 * MINUTE)).await.unwrap();
    assert_eq!(store.stored_bytes(), 0);
}

#[tokio::test]
async fn an_entry_that_was_left_behind_stays_as_long_as_a_later_login_needs_it() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let record = of(&alice);
    store.create(&record, NOW).await.unwrap();
    let changed = change(&record).payload("other").expires_at(after(120 * MINUTE));
    store.update(&changed, NOW).await.unwrap();
    let refused = login(&record, &alice);
    assert_eq!(store.update(&refused, NOW).await.unwrap(), UpdateOutcome::Conflict);
    let longer = change(changed.record()).login(alice.clone(), after(120 * MINUTE)).unwrap();
    assert_eq!(store.update(&longer, NOW).await.unwrap(), UpdateOutcome::Updated);

    let limit = NonZeroU32::new(10).unwrap();
    Purge::purge(&store, limit, after(60 * MINUTE)).await.unwrap();
    assert_eq!(listed(&store, &alice, 9).await, [*record.id()]);
    Purge::purge(&store, limit, after(120 * MINUTE)).await.unwrap();
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn a_repeated_login_owns_its_entry() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    let change = login(&record, &alice);
    for _ in 0..3 {
        assert_eq!(store.update(&change, NOW).await.unwrap(), UpdateOutcome::Updated);
    }
    assert_eq!(listed(&store, &alice, 9).await, [*record.id()]);
    store.delete(record.id(), NOW).await.unwrap();
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn a_second_create_does_not_disturb_the_entry() {
    let store = MemoryStore::new();
    let alice = user("alice");
    let record = of(&alice);
    store.create(&record, NOW).await.unwrap();
    assert_eq!(store.create(&record, NOW).await.unwrap(), CreateOutcome::Exists);
    assert_eq!(listed(&store, &alice, 9).await, [*record.id()]);
    let same_id =
        Record::from_parts(RecordParts { id: *record.id(), ..of(&user("bob")).into_parts() });
    assert_eq!(store.create(&same_id, NOW).await.unwrap(), CreateOutcome::Exists);
    assert_eq!(listed(&store, &user("bob"), 9).await, []);
}

#[tokio::test]
async fn a_session_of_someone_else_is_not_deleted() {
    let store = MemoryStore::new();
    let record = of(&user("alice"));
    store.create(&record, NOW).await.unwrap();
    assert!(!store.delete_one(&user("bob"), record.id(), NOW).await.unwrap());
    assert!(store.delete_one(&user("alice"), record.id(), NOW).await.unwrap());
    assert!(!store.delete_one(&user("alice"), record.id(), NOW).await.unwrap());
}
