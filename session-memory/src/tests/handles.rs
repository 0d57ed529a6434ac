//! Handles, and what they show.

use std::sync::Arc;

use session_core::SessionStore;

use super::*;

#[tokio::test]
async fn clones_share_one_store() {
    let store = MemoryStore::new();
    let other = store.clone();
    let record = anonymous();
    store.create(&record, NOW).await.unwrap();
    assert!(other.delete(record.id(), NOW).await.unwrap());
    assert_eq!(store.load(record.id(), NOW).await.unwrap(), None);
}

#[tokio::test]
async fn two_stores_share_nothing() {
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let record = anonymous();
    one.create(&record, NOW).await.unwrap();
    assert_eq!(other.load(record.id(), NOW).await.unwrap(), None);
}

#[tokio::test]
async fn the_store_is_usable_as_an_object() {
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::default());
    assert!(store.subject_index().is_some());
    assert!(store.inspect().is_some());
    assert!(store.purger().is_some());
}

#[tokio::test]
async fn debug_shows_numbers_only() {
    let store = MemoryStore::new();
    let record = complete(&user("canary-name"));
    store.create(&record, NOW).await.unwrap();
    let shown = format!("{store:?} {:?}", MemoryStore::builder());
    assert!(shown.contains("sessions: 1"));
    assert!(!shown.contains("canary"));
    assert!(!shown.contains(&record.id().to_string()));
}
