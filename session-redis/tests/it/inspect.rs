//! The walk over all keys.

use std::collections::BTreeSet;

use session_core::{
    Count, Cursor, Inspect, PageRequest, SessionStore, StoreErrorKind, SubjectIndex,
};
use session_redis::RedisStore;

use crate::support::{
    alice, kind, login, minutes, now, record, record_with, shared_url, store, unique_name,
};

#[tokio::test]
async fn a_walk_meets_every_session_in_pages_of_any_size() {
    let (store, mut raw) = store().await;
    let mut all = BTreeSet::new();
    for number in 0..300 {
        let session = if number % 2 == 0 { record() } else { login() };
        store.create(&session, now()).await.unwrap();
        all.insert(*session.id());
    }
    let over = record_with(|parts| parts.expires_at = now().minus(minutes(1)));
    store.create(&over, now()).await.unwrap();
    let broken = record();
    raw.set(broken.id(), b"broken").await;

    for limit in [3, 50, 1_000] {
        let mut seen = BTreeSet::new();
        let mut request = PageRequest::first(limit);
        loop {
            let page = store.scan(&request, now()).await.unwrap();
            assert!(page.items.len() <= usize::from(limit));
            seen.extend(page.items.iter().map(|summary| summary.id));
            match page.next {
                Some(cursor) => {
                    // As an admin page would carry it.
                    let cursor = Cursor::parse(&cursor.to_string()).unwrap();
                    request = PageRequest::first(limit).after(cursor);
                }
                None => break,
            }
        }
        assert_eq!(seen, all, "limit {limit}");
    }
    assert_eq!(store.count(now()).await.unwrap(), Count::Exact(300));
    assert_eq!(store.count(now().plus(minutes(31))).await.unwrap(), Count::Exact(0));
}

#[tokio::test]
async fn a_cursor_of_somebody_else_is_refused() {
    let (store, _) = store().await;
    for _ in 0..5 {
        store.create(&login(), now()).await.unwrap();
    }
    let listed = store.list(&alice(), &PageRequest::first(1), now()).await.unwrap().next.unwrap();
    let mut scanned = None;
    let other = RedisStore::builder().prefix(unique_name()).connect(shared_url()).await.unwrap();
    for cursor in
        [listed.clone(), Cursor::from_bytes(&[0; 30]).unwrap(), Cursor::from_bytes(b"s").unwrap()]
    {
        let request = PageRequest::first(1).after(cursor);
        assert_eq!(kind(store.scan(&request, now()).await), StoreErrorKind::InvalidCursor);
        scanned = store.scan(&PageRequest::first(1), now()).await.unwrap().next.or(scanned);
    }
    let listed = PageRequest::first(1).after(listed);
    assert_eq!(kind(other.list(&alice(), &listed, now()).await), StoreErrorKind::InvalidCursor);
    let scanned = PageRequest::first(1).after(scanned.unwrap());
    assert_eq!(kind(store.list(&alice(), &scanned, now()).await), StoreErrorKind::InvalidCursor);
    assert_eq!(kind(other.scan(&scanned, now()).await), StoreErrorKind::InvalidCursor);
}
