//! The walk over everything.

use std::collections::HashSet;

use session_core::{Count, Inspect, PageRequest, SessionStore};

use super::*;

#[tokio::test]
async fn a_scan_sees_every_live_session_once_in_bounded_pages() {
    let store = MemoryStore::new();
    let mut expected = HashSet::new();
    for _ in 0..500 {
        let record = anonymous();
        store.create(&record, NOW).await.unwrap();
        expected.insert(*record.id());
        let over = Record::from_parts(RecordParts { expires_at: NOW, ..parts() });
        store.create(&over, NOW).await.unwrap();
    }
    for limit in [1, 7, 64, 1_000] {
        let mut seen = HashSet::new();
        let mut page = PageRequest::first(limit);
        loop {
            let answer = store.scan(&page, NOW).await.unwrap();
            assert!(answer.items.len() <= page.limit());
            for summary in answer.items {
                assert!(seen.insert(summary.id), "seen twice");
            }
            let Some(cursor) = answer.next else { break };
            page = PageRequest::first(limit).after(cursor);
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn the_count_is_exact_whatever_was_touched_or_removed() {
    let store = MemoryStore::new();
    let records: Vec<_> = (0..100).map(|_| anonymous()).collect();
    for record in &records {
        store.create(record, NOW).await.unwrap();
    }
    for record in &records[..30] {
        store.touch(record.id(), after(15 * MINUTE), NOW).await.unwrap();
    }
    for record in &records[90..] {
        store.delete(record.id(), NOW).await.unwrap();
    }
    assert_eq!(store.count(NOW).await.unwrap(), Count::Exact(90));
    assert_eq!(store.count(after(10 * MINUTE - 1)).await.unwrap(), Count::Exact(90));
    assert_eq!(store.count(after(10 * MINUTE)).await.unwrap(), Count::Exact(30));
    assert_eq!(store.count(after(15 * MINUTE)).await.unwrap(), Count::Exact(0));
}
