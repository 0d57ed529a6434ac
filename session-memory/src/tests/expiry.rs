//! What is over, when it goes, and how a purge finds it.

use std::num::NonZeroU32;

use session_core::{CreateOutcome, Purge, Purged, SessionId, SessionStore};

use super::*;

async fn purge(store: &MemoryStore, limit: u32, cutoff: Timestamp) -> Purged {
    Purge::purge(store, NonZeroU32::new(limit).unwrap(), cutoff).await.unwrap()
}

async fn stored(store: &MemoryStore, id: &SessionId) -> bool {
    store.load(id, NOW).await.unwrap().is_some()
}

#[tokio::test]
async fn a_purge_removes_exactly_what_has_ended() {
    let store = MemoryStore::new();
    let end = after(10 * MINUTE);
    let (at_end, later) = (
        anonymous(),
        Record::from_parts(RecordParts { expires_at: after(10 * MINUTE + 1), ..parts() }),
    );
    store.create(&at_end, NOW).await.unwrap();
    store.create(&later, NOW).await.unwrap();
    assert_eq!(purge(&store, 10, after(10 * MINUTE - 1)).await, Purged { removed: 0, more: false });
    assert_eq!(purge(&store, 10, end).await, Purged { removed: 1, more: false });
    assert!(!stored(&store, at_end.id()).await);
    assert!(stored(&store, later.id()).await);
}

#[tokio::test]
async fn a_touched_record_is_examined_once_and_armed_again() {
    let store = MemoryStore::new();
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    store.touch(record.id(), after(15 * MINUTE), NOW).await.unwrap();
    assert_eq!(
        purge(&store, 1, after(10 * MINUTE)).await,
        Purged { removed: 0, more: true },
        "a full batch was examined"
    );
    assert_eq!(purge(&store, 1, after(10 * MINUTE)).await, Purged { removed: 0, more: false });
    assert!(stored(&store, record.id()).await);
    assert_eq!(purge(&store, 9, after(15 * MINUTE - 1)).await.removed, 0);
    assert_eq!(purge(&store, 9, after(15 * MINUTE)).await.removed, 1);
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn a_lowered_deadline_is_found_in_time() {
    let store = MemoryStore::new();
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    let lowered = change(&record).lower_deadline(after(MINUTE));
    store.update(&lowered, NOW).await.unwrap();
    assert_eq!(purge(&store, 9, after(MINUTE)).await.removed, 1);
}

#[tokio::test]
async fn a_batch_is_bounded_and_says_whether_there_may_be_more() {
    let store = MemoryStore::new();
    for _ in 0..1_000 {
        store.create(&anonymous(), NOW).await.unwrap();
    }
    let end = after(10 * MINUTE);
    assert_eq!(purge(&store, 300, end).await, Purged { removed: 300, more: true });
    assert_eq!(store.stored_sessions(), 700);
    assert_eq!(purge(&store, 700, end).await, Purged { removed: 700, more: true });
    assert_eq!(purge(&store, u32::MAX, end).await, Purged { removed: 0, more: false });
}

#[tokio::test]
async fn an_id_is_free_again_when_the_margin_has_passed() {
    let store = MemoryStore::new();
    let old = of(&user("alice"));
    store.create(&old, NOW).await.unwrap();
    let new = Record::from_parts(RecordParts {
        id: *old.id(),
        expires_at: after(60 * MINUTE),
        deadline: after(60 * MINUTE),
        ..of(&user("bob")).into_parts()
    });
    let end = 10 * MINUTE;
    assert_eq!(
        store.create(&new, after(end + MARGIN - 1)).await.unwrap(),
        CreateOutcome::Exists,
        "a clock that is ahead destroys nothing"
    );
    assert!(stored(&store, old.id()).await);
    let now = after(end + MARGIN);
    assert_eq!(store.create(&new, now).await.unwrap(), CreateOutcome::Created);
    assert_eq!(store.load(new.id(), now).await.unwrap().as_ref(), Some(&new));

    let fresh = MemoryStore::new();
    fresh.create(&new, now).await.unwrap();
    assert_eq!(
        (store.stored_sessions(), store.stored_bytes()),
        (fresh.stored_sessions(), fresh.stored_bytes()),
        "nothing is left of the old record, its index entry included"
    );
    purge(&store, 9, after(60 * MINUTE)).await;
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test]
async fn the_ends_of_time_are_purged_exactly() {
    let store = MemoryStore::new();
    let forever = Record::from_parts(RecordParts {
        expires_at: Timestamp::MAX,
        deadline: Timestamp::MAX,
        ..parts()
    });
    let never = Record::from_parts(RecordParts {
        expires_at: Timestamp::MIN,
        deadline: Timestamp::MIN,
        ..parts()
    });
    store.create(&forever, NOW).await.unwrap();
    store.create(&never, NOW).await.unwrap();
    assert_eq!(purge(&store, 9, Timestamp::MIN).await.removed, 1);
    let last = Timestamp::from_millis(Timestamp::MAX.as_millis() - 1);
    assert_eq!(purge(&store, 9, last).await.removed, 0);
    assert_eq!(purge(&store, 9, Timestamp::MAX).await.removed, 1);
}
