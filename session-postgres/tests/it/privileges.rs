//! The least privileges, as the README grants them.

use std::num::NonZeroU32;

use session_core::{
    Count, PageRequest, Record, SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome,
};
use session_postgres::PostgresStore;

use crate::support::{Raw, alice, kind, login, minutes, now, record, revision, shared_url, store};

/// A user who may do nothing but log in, and a store of hers on the table.
async fn store_of_nobody(table: &str) -> PostgresStore {
    let user = format!("user_{table}");
    let raw = Raw::open(shared_url(), table).await;
    raw.run(&format!("CREATE ROLE \"{user}\" LOGIN")).await;
    let url = shared_url().replace("//postgres@", &format!("//{user}@"));
    PostgresStore::builder().table(table).connect(&url).await.unwrap()
}

#[tokio::test]
async fn what_the_readme_grants_is_enough_for_everything_but_migrate() {
    let (owner, raw) = store().await;
    let store = store_of_nobody(owner.table()).await;
    let readme = include_str!("../../README.md");
    let grants = readme.lines().filter(|line| line.starts_with("GRANT"));
    let grants = grants.collect::<Vec<_>>().join("\n");
    assert_eq!(grants.matches("GRANT").count(), 2);
    let user = format!("\"user_{}\"", owner.table());
    let grants =
        grants.replace("public.sessions", "{table}").replace("TO sessions", &format!("TO {user}"));
    raw.run(&grants).await;

    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    let change = session.change(revision()).payload("changed");
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let touched = store.touch(session.id(), now().plus(minutes(50)), now()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    let found: Option<Record> = store.load(session.id(), now()).await.unwrap();
    assert_eq!(found.map(|found| found.revision()), Some(change.record().revision()));
    let first = PageRequest::first(10);
    let index = store.subject_index().unwrap();
    assert_eq!(index.list(&alice(), &first, now()).await.unwrap().items.len(), 1);
    assert_eq!(index.delete_all(&alice(), None, now()).await.unwrap(), 1);
    let other = record();
    let _ = store.create(&other, now()).await.unwrap();
    let inspect = store.inspect().unwrap();
    assert_eq!(inspect.scan(&first, now()).await.unwrap().items.len(), 1);
    assert_eq!(inspect.count(now()).await.unwrap(), Count::Exact(1));
    assert!(store.delete(other.id(), now()).await.unwrap());
    let limit = NonZeroU32::new(10).unwrap();
    store.purger().unwrap().purge(limit, now()).await.unwrap();
    let findings = store.check(now()).await.unwrap().findings;
    assert!(!findings.iter().any(|it| it.text.contains("granted")), "{findings:?}");
    // The table is there, so there is nothing to do.
    store.migrate().await.unwrap();
    let elsewhere = format!("{}x", owner.table());
    let url = shared_url().replace("//postgres@", &format!("//user_{}@", owner.table()));
    let new = PostgresStore::builder().table(elsewhere).connect(&url).await.unwrap();
    assert_eq!(kind(new.migrate().await), StoreErrorKind::Denied);
}

#[tokio::test]
async fn a_missing_privilege_is_told_and_named() {
    let (owner, raw) = store().await;
    let store = store_of_nobody(owner.table()).await;
    assert_eq!(kind(store.load(login().id(), now()).await), StoreErrorKind::Denied);
    raw.run(&format!("GRANT SELECT, INSERT, UPDATE ON {{table}} TO \"user_{}\"", owner.table()))
        .await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::Denied);
    let findings = store.check(now()).await.unwrap().findings;
    assert!(findings.iter().any(|it| it.text.contains("DELETE is not granted")), "{findings:?}");
}
