//! Documents that somebody damaged: an error that says so, nobody is let in, and they can be deleted.

use mongodb::bson::{Bson, Document, doc};
use session_core::{PageRequest, SessionStore as _, StoreErrorKind};

use crate::support::{alice, by_id, kind, login, now, store};

/// What is wrong with a document, and the change that makes it so.
fn damages() -> Vec<(&'static str, Document)> {
    let set = |field: &str, value: Bson| doc! { "$set": { field: value } };
    let unset = |field: &str| doc! { "$unset": { field: "" } };
    vec![
        ("no header", unset("h")),
        ("a header that is text", set("h", "text".into())),
        ("no payload", unset("p")),
        ("a payload that is a number", set("p", 1.into())),
        ("no idle deadline", unset("e")),
        ("an idle deadline that is text", set("e", "soon".into())),
        ("no absolute deadline", unset("d")),
        ("no revision", unset("r")),
        ("a revision that is text", set("r", "r".into())),
        ("a user that is text", set("s", "alice".into())),
    ]
}

#[tokio::test]
async fn a_damaged_document_is_corrupt_and_can_be_deleted() {
    let (store, raw) = store().await;
    for (what, change) in damages() {
        let record = login();
        let _ = store.create(&record, now()).await.unwrap();
        raw.documents.update_one(by_id(record.id()), change).await.unwrap();
        let error = store.load(record.id(), now()).await.expect_err(what);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{what}");
        let _ = store.delete(record.id(), now()).await.unwrap();
        assert_eq!(raw.get(record.id()).await, None, "{what}");
    }
}

#[tokio::test]
async fn logging_a_user_out_everywhere_also_deletes_what_cannot_be_read() {
    let (store, raw) = store().await;
    let record = login();
    let _ = store.create(&record, now()).await.unwrap();
    raw.set(record.id(), doc! { "e": "soon" }).await;
    let index = store.subject_index().unwrap();
    let _ = index.delete_all(&alice(), None, now()).await.unwrap();
    assert_eq!(raw.get(record.id()).await, None);
    let left = index.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
    assert!(left.items.is_empty());
}

#[tokio::test]
async fn a_document_of_somebody_elses_is_no_session() {
    let (store, raw) = store().await;
    let record = login();
    let mut foreign = by_id(record.id());
    foreign.insert("name", "not a session");
    raw.put(&foreign).await;
    assert_eq!(kind(store.load(record.id(), now()).await), StoreErrorKind::Corrupt);
}
