//! Both sides of every bound, and who is refused.

use std::time::Duration;

use session_core::{CreateOutcome, MAX_PAYLOAD_LEN, SessionStore, StoreErrorKind, UpdateOutcome};

use super::*;

fn kind<T>(result: Result<T, session_core::StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn the_number_of_sessions_is_bounded() {
    let store = bounded(4, ENOUGH);
    let alice = user("alice");
    for _ in 0..4 {
        assert_eq!(store.create(&of(&alice), NOW).await.unwrap(), CreateOutcome::Created);
    }
    let before = store.stored_bytes();
    assert_eq!(kind(store.create(&of(&alice), NOW).await), Some(StoreErrorKind::Full));
    assert_eq!(
        (store.stored_sessions(), store.stored_bytes()),
        (4, before),
        "a refusal leaves nothing"
    );
}

#[tokio::test]
async fn anonymous_sessions_use_at_most_half_of_the_number() {
    let store = bounded(6, ENOUGH);
    for _ in 0..3 {
        store.create(&anonymous(), NOW).await.unwrap();
    }
    assert_eq!(kind(store.create(&anonymous(), NOW).await), Some(StoreErrorKind::Full));
    for _ in 0..3 {
        store.create(&of(&user("alice")), NOW).await.unwrap();
    }
    assert_eq!(kind(store.create(&of(&user("bob")), NOW).await), Some(StoreErrorKind::Full));
}

#[tokio::test]
async fn bytes_are_bounded_and_anonymous_sessions_use_half_of_them() {
    let store = bounded(1_000, ENOUGH);
    store.create(&with_payload(MAX_PAYLOAD_LEN), NOW).await.unwrap();
    let left = ENOUGH / 2 - store.stored_bytes();
    let overhead = store.stored_bytes() - MAX_PAYLOAD_LEN as u64;
    let fits = usize::try_from(left - overhead).unwrap();
    let too_much = with_payload(fits + 1);
    assert_eq!(kind(store.create(&too_much, NOW).await), Some(StoreErrorKind::Full));
    store.create(&with_payload(fits), NOW).await.unwrap();
    assert_eq!(store.stored_bytes(), ENOUGH / 2);

    assert_eq!(kind(store.create(&anonymous(), NOW).await), Some(StoreErrorKind::Full));
    store.create(&of(&user("alice")), NOW).await.unwrap();
}

#[tokio::test]
async fn an_update_may_not_grow_beyond_the_bound_and_leaves_the_record() {
    let store = bounded(1_000, ENOUGH);
    store.create(&with_payload(MAX_PAYLOAD_LEN), NOW).await.unwrap();
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    let grown = change(&record).payload(vec![0; MAX_PAYLOAD_LEN]);
    assert_eq!(kind(store.update(&grown, NOW).await), Some(StoreErrorKind::Full));
    assert_eq!(store.load(record.id(), NOW).await.unwrap(), Some(record.clone()));
    let shrunk = change(&record).payload("");
    assert_eq!(store.update(&shrunk, NOW).await.unwrap(), UpdateOutcome::Updated);
}

#[tokio::test]
async fn a_login_of_an_anonymous_session_is_never_refused() {
    let store = bounded(4, ENOUGH);
    let visitor = anonymous();
    store.create(&visitor, NOW).await.unwrap();
    for _ in 0..3 {
        store.create(&of(&user("bob")), NOW).await.unwrap();
    }
    let change = login(&visitor, &user("alice")).payload(vec![0; MAX_PAYLOAD_LEN]);
    assert_eq!(kind(store.create(&of(&user("bob")), NOW).await), Some(StoreErrorKind::Full));
    assert_eq!(store.update(&change, NOW).await.unwrap(), UpdateOutcome::Updated);

    let store = bounded(1_000, ENOUGH);
    store.create(&visitor, NOW).await.unwrap();
    while store
        .create(
            &Record::from_parts(RecordParts {
                subject: Some(user("bob")),
                payload: vec![0; 100_000].into(),
                ..parts()
            }),
            NOW,
        )
        .await
        .is_ok()
    {}
    assert_eq!(store.update(&change, NOW).await.unwrap(), UpdateOutcome::Updated);
    assert!(store.stored_bytes() > ENOUGH, "the bound gives way to a login");
}

#[tokio::test]
async fn a_login_makes_room_for_another_visitor() {
    let store = bounded(4, ENOUGH);
    let visitor = anonymous();
    store.create(&visitor, NOW).await.unwrap();
    store.create(&anonymous(), NOW).await.unwrap();
    assert_eq!(kind(store.create(&anonymous(), NOW).await), Some(StoreErrorKind::Full));
    store.update(&login(&visitor, &user("alice")), NOW).await.unwrap();
    store.create(&anonymous(), NOW).await.unwrap();
}

#[tokio::test]
async fn a_full_store_reclaims_what_is_over_only_after_the_margin() {
    let store = bounded(2, ENOUGH);
    let first = of(&user("alice"));
    store.create(&first, NOW).await.unwrap();
    store.create(&of(&user("alice")), NOW).await.unwrap();
    let end = 10 * MINUTE;
    store.touch(first.id(), after(end + 1), NOW).await.unwrap();

    let late = |millis| {
        Record::from_parts(RecordParts {
            expires_at: after(millis + MINUTE),
            deadline: after(millis + MINUTE),
            ..of(&user("bob")).into_parts()
        })
    };
    let just_before = after(end + MARGIN - 1);
    assert_eq!(
        kind(store.create(&late(end + MARGIN), just_before).await),
        Some(StoreErrorKind::Full)
    );
    let just_after = after(end + MARGIN);
    store.create(&late(end + MARGIN), just_after).await.unwrap();
    assert_eq!(
        kind(store.create(&late(end + MARGIN), just_after).await),
        Some(StoreErrorKind::Full),
        "the touched one stays a millisecond longer"
    );
    store.create(&late(end + MARGIN), after(end + MARGIN + 1)).await.unwrap();
    assert_eq!(store.stored_sessions(), 2);
}

#[tokio::test]
async fn a_live_session_is_never_evicted() {
    let store = bounded(8, ENOUGH);
    let users: Vec<_> = (0..4).map(|_| of(&user("alice"))).collect();
    for record in &users {
        store.create(record, NOW).await.unwrap();
    }
    for _ in 0..1_000 {
        let _ = store.create(&anonymous(), NOW).await;
    }
    for record in &users {
        assert!(store.load(record.id(), NOW).await.unwrap().is_some());
    }
    assert_eq!(store.stored_sessions(), 8);
}

#[tokio::test]
async fn everything_that_was_taken_is_given_back() {
    let store = bounded(1_000, ENOUGH);
    let alice = user("alice");
    for record in [anonymous(), with_payload(1_000), of(&alice), complete(&alice)] {
        store.create(&record, NOW).await.unwrap();
        let change = change(&record).payload(vec![1; 333]);
        store.update(&change, NOW).await.unwrap();
        let record = change.record();
        store.update(&login(record, &alice), NOW).await.unwrap();
        assert!(store.stored_bytes() > 0);
        assert!(store.delete(record.id(), NOW).await.unwrap());
        assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
    }
}

#[tokio::test]
async fn every_field_comes_back() {
    let store = MemoryStore::new();
    for record in [anonymous(), complete(&user("alice"))] {
        store.create(&record, NOW).await.unwrap();
        assert_eq!(store.load(record.id(), NOW).await.unwrap(), Some(record.clone()));
        assert_eq!(store.create(&record, NOW).await.unwrap(), CreateOutcome::Exists);
    }
}

#[tokio::test]
async fn a_payload_that_is_too_large_leaves_nothing() {
    let store = MemoryStore::new();
    let record = Record::from_parts(RecordParts {
        subject: Some(user("alice")),
        ..with_payload(MAX_PAYLOAD_LEN + 1).into_parts()
    });
    assert_eq!(kind(store.create(&record, NOW).await), Some(StoreErrorKind::TooLarge));
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let minute = Duration::from_secs(60);
    let millisecond = Duration::from_millis(1);
    let config = Some(StoreErrorKind::Config);
    let build = MemoryStore::builder;
    assert_eq!(kind(build().margin(minute).build()), config);
    let store = build().margin(minute + millisecond).build().unwrap();
    assert_eq!(store.margin(), minute + millisecond);
    assert_eq!(kind(build().max_skew(MemoryStoreBuilder::DEFAULT_MARGIN).build()), config);
    assert_eq!(kind(build().max_sessions(1).build()), config);
    assert_eq!(kind(build().max_sessions(2).build()), None);
    assert_eq!(kind(build().max_bytes(ENOUGH - 1).build()), config);
    assert_eq!(kind(build().max_bytes(ENOUGH).build()), None);
    assert_eq!(MemoryStore::new().margin(), Duration::from_secs(300));
}
