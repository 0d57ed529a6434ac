//! How much fits.

use session_core::{
    Bytes, CredentialTag, MAX_PAYLOAD_LEN, PreviousSecret, Realm, Record, SecretHash, SessionStore,
    StoreErrorKind, Subject, Timestamp, UpdateOutcome,
};

use crate::proxy::ANY;
use crate::support::{builder, kind, now, record_with, revision, store_with};

/// A record with everything as long as it can be.
fn largest(payload: usize) -> Record {
    let realm = Realm::new(&"r".repeat(63)).unwrap();
    record_with(|parts| {
        parts.subject = Some(Subject::new(&realm, &"n".repeat(191)).unwrap());
        parts.credential_tag = Some(CredentialTag::new(&[7; 32]).unwrap());
        parts.previous = Some(PreviousSecret {
            hash: SecretHash::from_bytes([7; 32]),
            grace_until: Timestamp::MAX,
        });
        parts.deadline = Timestamp::MAX;
        parts.payload = Bytes::from(vec![b'x'; payload]);
    })
}

#[tokio::test]
async fn a_payload_at_the_limit_is_stored_whatever_else_the_record_holds() {
    let long = |letter: &str| letter.repeat(255);
    let builder = builder().id_attribute(long("i")).ttl_attribute(long("t")).text_ids();
    let (store, proxy, _) = store_with(builder).await;
    let session = largest(MAX_PAYLOAD_LEN);
    store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session.clone()));
    let change = session.change(revision()).payload(vec![b'y'; MAX_PAYLOAD_LEN]);
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(change.record()));
    assert!(proxy.count(ANY) > 0);
}

#[tokio::test]
async fn more_is_too_large_before_anything_is_sent() {
    let (store, proxy, _) = store_with(builder()).await;
    let session = largest(10);
    store.create(&session, now()).await.unwrap();
    proxy.reset();
    for length in [MAX_PAYLOAD_LEN + 1, 399 * 1024, 401 * 1024, 1 << 24] {
        let created = store.create(&largest(length), now()).await;
        assert_eq!(kind(created), StoreErrorKind::TooLarge, "{length}");
        let change = session.change(revision()).payload(vec![0; length]);
        assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::TooLarge, "{length}");
    }
    assert_eq!(proxy.count(ANY), 0);
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));
}

#[tokio::test]
async fn an_empty_payload_is_a_payload() {
    let (store, _, raw) = store_with(builder()).await;
    let session = record_with(|parts| parts.payload = Bytes::new());
    store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session.clone()));
    let full = session.change(revision()).payload("x");
    store.update(&full, now()).await.unwrap();
    let empty = full.record().change(revision()).payload("");
    assert_eq!(store.update(&empty, now()).await.unwrap(), UpdateOutcome::Updated);
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(empty.record()));
    // As a service may keep it that takes empty values.
    raw.set(session.id(), "b", None).await;
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Corrupt);
}
