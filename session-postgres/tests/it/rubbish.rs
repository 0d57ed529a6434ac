//! Rows that somebody damaged: an error that says so, nobody is let in, and they can be deleted.

use session_core::{PageRequest, SessionStore, StoreErrorKind};

use crate::support::{alice, kind, login, now, store};

/// What is wrong with a row, and the change that makes it so.
const DAMAGES: &[(&str, &str)] = &[
    ("a hash that is too short", "secret_hash = 'short'"),
    ("a hash that is empty", "secret_hash = ''"),
    ("an idle deadline before 1970", "expires_at = '1969-12-31 23:00+00'"),
    ("an idle deadline that never comes", "expires_at = 'infinity'"),
    ("an absolute deadline that was always over", "deadline = '-infinity'"),
    ("a beginning after the year 9999", "created_at = '12000-01-01 00:00+00'"),
    ("a subject without a name", "subject = '\\x01'"),
    ("a subject that is not UTF-8", "subject = '\\x00ff'"),
    ("a subject of no length", "subject = ''"),
    ("a realm that is longer than all", "subject = '\\xff61'"),
    ("a secret before without its hash", "grace_until = now()"),
    (
        "a hash before that is too long",
        "grace_until = now(), previous_hash = sha256('x') || '\\x00'",
    ),
    ("a level without a time", "authentication_level = 1, authenticated_at = NULL"),
    ("a level that does not exist", "authentication_level = -1, authenticated_at = now()"),
    ("a tag that is too long", "credential_tag = decode(repeat('00', 33), 'hex')"),
    ("a payload that is too long", "payload = decode(repeat('00', 262145), 'hex')"),
];

#[tokio::test]
async fn a_damaged_row_is_corrupt_and_can_be_deleted() {
    let (store, raw) = store().await;
    for (what, change) in DAMAGES {
        let session = login();
        let _ = store.create(&session, now()).await.unwrap();
        raw.run(&format!("UPDATE {{table}} SET {change}")).await;
        let kind = store.load(session.id(), now()).await.expect_err(what).kind();
        assert_eq!(kind, StoreErrorKind::Corrupt, "{what}");
        let _ = store.delete(session.id(), now()).await.unwrap();
        assert_eq!(raw.rows().await, 0, "{what}");
    }
}

#[tokio::test]
async fn a_row_of_a_later_format_is_told_and_kept() {
    let (store, raw) = store().await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    raw.run("UPDATE {table} SET format = 2").await;
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::UnsupportedFormat);
    assert_eq!(raw.rows().await, 1);
}

#[tokio::test]
async fn logging_a_user_out_everywhere_also_deletes_what_cannot_be_read() {
    let (store, raw) = store().await;
    for change in ["secret_hash = 'x'", "expires_at = 'infinity'", "format = 2"] {
        let session = login();
        let _ = store.create(&session, now()).await.unwrap();
        raw.run(&format!("UPDATE {{table}} SET {change}")).await;
        let index = store.subject_index().unwrap();
        let _ = index.delete_all(&alice(), None, now()).await.unwrap();
        assert_eq!(raw.rows().await, 0, "{change}");
        let left = index.list(&alice(), &PageRequest::first(10), now()).await.unwrap();
        assert!(left.items.is_empty());
    }
}

#[tokio::test]
async fn a_table_that_loses_a_column_is_no_session_that_ended() {
    let (store, raw) = store().await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    raw.run("ALTER TABLE {table} RENAME COLUMN payload TO load").await;
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Config);
    raw.run("ALTER TABLE {table} RENAME COLUMN load TO payload").await;
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));
}
