//! The index: a sorted set beside the records.

use std::collections::BTreeSet;

use session_core::{
    Page, PageRequest, Realm, SessionId, SessionStore, SessionSummary, StoreErrorKind, Subject,
    SubjectIndex, UpdateOutcome,
};
use session_redis::RedisStore;

use crate::proxy::Proxy;
use crate::support::{
    Raw, alice, kind, login, minutes, now, record, record_with, revision, shared_url, store,
    unique_name,
};

async fn walk(store: &RedisStore, subject: &Subject, limit: u16) -> Vec<SessionId> {
    let mut ids = Vec::new();
    let mut request = PageRequest::first(limit);
    loop {
        let Page { items, next } = store.list(subject, &request, now()).await.unwrap();
        assert!(items.len() <= usize::from(limit));
        ids.extend(items.iter().map(|summary: &SessionSummary| summary.id));
        match next {
            Some(cursor) => request = PageRequest::first(limit).after(cursor),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn pages_go_on_among_sessions_of_one_deadline() {
    let (store, mut raw) = store().await;
    let deadline = now().plus(minutes(600));
    let mut all = BTreeSet::new();
    for _ in 0..40 {
        let session = record_with(|parts| {
            parts.subject = Some(alice());
            parts.deadline = deadline;
        });
        store.create(&session, now()).await.unwrap();
        all.insert(session.id().to_owned());
    }
    for limit in [1, 7, 39, 40, 41] {
        let seen = walk(&store, &alice(), limit).await;
        assert_eq!(seen.len(), 40, "limit {limit}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);
    }

    // The entry that marks the place goes: some may be seen twice, none is missed.
    let first = store.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
    let place = first.items.last().unwrap().id;
    let key = raw.index_key(&alice());
    let _: i64 = raw.run(redis::cmd("ZREM").arg(&key).arg(place.as_bytes())).await;
    let mut seen: BTreeSet<_> = first.items.iter().map(|summary| summary.id).collect();
    let mut next = first.next;
    while let Some(cursor) = next {
        let page =
            store.list(&alice(), &PageRequest::first(10).after(cursor), now()).await.unwrap();
        seen.extend(page.items.iter().map(|summary| summary.id));
        next = page.next;
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn delete_all_walks_an_index_of_many_pieces() {
    let (store, mut raw) = store().await;
    let mut kept = None;
    for number in 0..600_u64 {
        let session = record_with(|parts| {
            parts.subject = Some(alice());
            // Old enough for its entry to go at once, except every third.
            if number % 3 != 0 {
                parts.created_at = now().minus(minutes(60));
            }
            parts.deadline = now().plus(minutes(600 + number / 100));
        });
        store.create(&session, now()).await.unwrap();
        kept = Some(*session.id());
    }
    let kept = kept.unwrap();
    assert_eq!(store.delete_all(&alice(), Some(&kept), now()).await.unwrap(), 599);
    assert_eq!(walk(&store, &alice(), 1_000).await, [kept]);
    assert!(raw.entries(&alice()).await.len() <= 204, "entries of old records have gone");
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 0);
}

#[tokio::test]
async fn the_entry_of_a_young_record_stays_and_that_of_an_old_one_goes() {
    let (store, mut raw) = store().await;
    let young = login();
    let old = record_with(|parts| {
        parts.subject = Some(alice());
        parts.created_at = now().minus(minutes(11));
    });
    for session in [&young, &old] {
        store.create(session, now()).await.unwrap();
        assert!(store.delete(session.id(), now()).await.unwrap());
    }
    assert_eq!(raw.entries(&alice()).await, [young.id().as_bytes()]);
}

#[tokio::test]
async fn a_login_trims_what_is_over_and_keeps_the_rest() {
    let (store, mut raw) = store().await;
    let key = raw.index_key(&alice());
    let ended = |minutes_ago| now().minus(minutes(minutes_ago)).as_millis();
    for (member, deadline) in [("inside the margin", ended(4)), ("outside of it", ended(6))] {
        let _: i64 = raw.run(redis::cmd("ZADD").arg(&key).arg(deadline).arg(member)).await;
    }
    let session = login();
    store.create(&session, now()).await.unwrap();
    let entries = raw.entries(&alice()).await;
    assert_eq!(entries, [b"inside the margin".as_slice(), session.id().as_bytes()]);
}

#[tokio::test]
async fn the_index_lives_as_long_as_its_last_entry_also_on_old_servers() {
    for old in [false, true] {
        let proxy = Proxy::to(shared_url()).await;
        if old {
            proxy.pretend_old_server();
        }
        let store =
            RedisStore::builder().prefix(unique_name()).connect(&proxy.url()).await.unwrap();
        let mut raw = Raw::open(shared_url(), store.prefix()).await;
        let key = raw.index_key(&alice());
        let ends_in = |count| {
            record_with(|parts| {
                parts.subject = Some(alice());
                parts.deadline = now().plus(minutes(count));
            })
        };
        let mut ids = Vec::new();
        for (life, longest) in [(100, 100), (300, 300), (200, 300)] {
            let session = ends_in(life);
            store.create(&session, now()).await.unwrap();
            ids.push(*session.id());
            let ttl = raw.pttl(&key).await;
            let expected = i64::try_from((minutes(longest) + store.margin()).as_millis()).unwrap();
            assert!(ttl <= expected && ttl > expected - 20_000, "{ttl} after {life} minutes");
        }
        // An entry is only ever raised.
        let session = store.load(&ids[1], now()).await.unwrap().unwrap();
        let change = session.change(revision()).lower_deadline(now().plus(minutes(50)));
        store.update(&change, now()).await.unwrap();
        let again =
            change.record().change(revision()).login(alice(), now().plus(minutes(60))).unwrap();
        assert!(again.writes_index_entry());
        assert_eq!(store.update(&again, now()).await.unwrap(), UpdateOutcome::Updated);
        let entry: f64 = raw.run(redis::cmd("ZSCORE").arg(&key).arg(ids[1].as_bytes())).await;

        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let raised_to = now().plus(minutes(290)).as_millis() as f64;
        assert!(entry > raised_to, "not lowered to {entry}");
        assert_eq!(walk(&store, &alice(), 2).await.len(), 3);
        assert_eq!(proxy.saw(b"$2\r\nNX\r\n*4\r\n$7\r\nPEXPIRE"), !old, "the newer PEXPIRE");
    }
}

#[tokio::test]
async fn an_index_key_with_something_else_in_it_fails_the_login_and_leaves_no_session() {
    let (store, mut raw) = store().await;
    let key = raw.index_key(&alice());
    let () = raw.run(redis::cmd("SET").arg(&key).arg("x").arg("PX").arg(60_000)).await;
    let session = login();
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::Corrupt);
    assert_eq!(raw.get(session.id()).await, None);
    let anonymous = record();
    store.create(&anonymous, now()).await.unwrap();
    let change = anonymous.change(revision()).login(alice(), now().plus(minutes(9))).unwrap();
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::OutcomeUnknown);
    assert_eq!(
        kind(store.list(&alice(), &PageRequest::first(1), now()).await),
        StoreErrorKind::Corrupt
    );
    let error = store.delete_all(&alice(), None, now()).await.unwrap_err();
    assert_eq!((error.kind(), error.deleted()), (StoreErrorKind::Corrupt, Some(0)));
}

#[tokio::test]
async fn subjects_are_bytes_whatever_they_look_like() {
    let (store, _) = store().await;
    let realm = Realm::new("tenant").unwrap();
    let names = [
        "*",
        "a:b",
        "{}",
        "{alice}",
        "[a-z]",
        "é",
        "e\u{301}",
        "\u{1f600}",
        "\r\nDEL x\r\n",
        "alice",
    ];
    let mut subjects: Vec<_> =
        names.iter().map(|name| Subject::new(&realm, name).unwrap()).collect();
    subjects.push(Subject::new(&Realm::default(), "alice").unwrap());
    subjects.push(Subject::new(&Realm::new(&"r".repeat(63)).unwrap(), &"n".repeat(191)).unwrap());
    for subject in &subjects {
        let session = record_with(|parts| parts.subject = Some(subject.clone()));
        store.create(&session, now()).await.unwrap();
        assert_eq!(walk(&store, subject, 10).await, [*session.id()]);
    }
    for subject in &subjects {
        assert_eq!(
            store.delete_all(subject, None, now()).await.unwrap(),
            1,
            "its own and no other"
        );
    }
}

#[tokio::test]
async fn a_subject_that_is_a_prefix_does_not_reach_another() {
    let (store, _) = store().await;
    let session = login();
    store.create(&session, now()).await.unwrap();
    let other = Subject::new(&Realm::default(), "alic").unwrap();
    assert!(!store.delete_one(&other, session.id(), now()).await.unwrap());
    assert_eq!(store.delete_all(&other, None, now()).await.unwrap(), 0);
    assert!(store.delete_one(&alice(), session.id(), now()).await.unwrap());
    assert!(!store.delete_one(&alice(), session.id(), now()).await.unwrap());
}
