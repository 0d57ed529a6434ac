//! The least privileges, as the README grants them.

use conformance_tests::servers::{MongoOptions, MongoServer};
use mongodb::bson::{Bson, Document, doc};
use session_core::{
    Count, CreateOutcome, PageRequest, SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome,
};
use session_mongo::MongoStore;

use crate::support::{Raw, alice, kind, login, minutes, now, own_server, record, revision};

pub(crate) const DATABASE: &str = "app";

/// The command of the README.
pub(crate) fn role() -> Document {
    let readme = include_str!("../../README.md");
    let role = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(role).unwrap()
}

/// A server with a user who has these roles, and that user's URL.
pub(crate) async fn server_with_user(roles: Vec<Bson>) -> (MongoServer, String) {
    let server = own_server(MongoOptions::new().password("secret")).await;
    let administrator = Raw::open(&server.url(), "none").await;
    administrator.run(DATABASE, role()).await;
    let user = doc! { "createUser": "shop", "pwd": "word", "roles": roles };
    administrator.run(DATABASE, user).await;
    let port = server.port();
    let url = format!("mongodb://shop:word@127.0.0.1:{port}/{DATABASE}?directConnection=true");
    (server, url)
}

#[tokio::test]
async fn what_the_readme_grants_is_enough_for_everything() {
    let (_server, url) = server_with_user(vec!["sessions".into()]).await;
    let store = MongoStore::connect(&url).await.unwrap();
    store.ensure_indexes().await.unwrap();

    let session = login();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    let change = session.change(revision()).payload("changed");
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let touched = store.touch(session.id(), now().plus(minutes(50)), now()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    let found = store.load(session.id(), now()).await.unwrap();
    assert_eq!(found.map(|found| found.revision()), Some(change.record().revision()));
    let first = PageRequest::first(10);
    let index = store.subject_index().unwrap();
    assert_eq!(index.list(&alice(), &first, now()).await.unwrap().items.len(), 1);
    assert_eq!(index.delete_all(&alice(), None, now()).await.unwrap(), 1);
    let other = record();
    assert_eq!(store.create(&other, now()).await.unwrap(), CreateOutcome::Created);
    let inspect = store.inspect().unwrap();
    assert_eq!(inspect.scan(&first, now()).await.unwrap().items.len(), 1);
    assert_eq!(inspect.count(now()).await.unwrap(), Count::Exact(1));
    assert!(store.delete(other.id(), now()).await.unwrap());
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
}

#[tokio::test]
async fn without_them_every_call_is_denied() {
    let (_server, url) = server_with_user(Vec::new()).await;
    assert_eq!(kind(MongoStore::connect(&url).await), StoreErrorKind::Denied);
    let store = MongoStore::builder().connect_lazily(&url).await.unwrap();
    let session = login();
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Denied);
    assert_eq!(kind(store.create(&session, now()).await), StoreErrorKind::Denied);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::Denied);
    assert_eq!(kind(store.ensure_indexes().await), StoreErrorKind::Denied);
}
