//! The three functions for people without middleware.

use std::sync::Arc;

use conformance_tests::doubles::{Fault, Op, ScriptedStore};
use session_core::{Opened, Sessions, StoreErrorKind};
use session_http::{CookiePolicy, ResponseHeader, commit_session, destroy_session, get_session};
use session_memory::MemoryStore;

fn value<'a>(headers: &'a [ResponseHeader], name: &str) -> Option<&'a str> {
    let mut values = headers.iter().filter(|it| it.name() == name);
    let value = values.next().map(ResponseHeader::value);
    assert!(values.next().is_none());
    value
}

#[tokio::test]
async fn a_session_is_got_committed_and_destroyed() {
    let store = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
    let sessions = Sessions::builder(Arc::clone(&store)).build().unwrap();
    let policy = CookiePolicy::production();

    let mut session = get_session(&sessions, &policy, []).await.unwrap();
    session.data_mut().insert("a", "b").unwrap();
    let headers = commit_session(&sessions, &policy, &mut session).await.unwrap();
    assert_eq!(value(&headers, "vary"), Some("Cookie"));
    assert_eq!(value(&headers, "cache-control"), Some("private, no-store"));
    let cookie = value(&headers, "set-cookie").unwrap().split(';').next().unwrap().to_owned();

    let mut session = get_session(&sessions, &policy, [cookie.as_bytes()]).await.unwrap();
    assert_eq!(session.data().get::<String>("a").unwrap().as_deref(), Some("b"));
    let headers = commit_session(&sessions, &policy, &mut session).await.unwrap();
    assert_eq!(value(&headers, "set-cookie"), None);

    let twice = get_session(&sessions, &policy, [cookie.as_bytes(), cookie.as_bytes()]).await;
    assert_eq!(twice.unwrap().opened(), Opened::NoToken);

    store.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable));
    assert!(get_session(&sessions, &policy, [cookie.as_bytes()]).await.is_err());
    store.then(Op::Delete, Fault::Before(StoreErrorKind::Unavailable));
    assert!(destroy_session(&sessions, &policy, &mut session).await.is_err());

    let headers = destroy_session(&sessions, &policy, &mut session).await.unwrap();
    assert!(value(&headers, "set-cookie").unwrap().starts_with("__Host-session=; Max-Age=0;"));
    let session = get_session(&sessions, &policy, [cookie.as_bytes()]).await.unwrap();
    assert_eq!(session.opened(), Opened::Unknown);
}

#[tokio::test]
async fn they_work_without_an_index_by_subject() {
    let sessions = Sessions::builder(Arc::new(MemoryStore::new())).build_without_index().unwrap();
    let policy = CookiePolicy::insecure_development();
    let mut session = get_session(&sessions, &policy, []).await.unwrap();
    session.data_mut().insert("a", "b").unwrap();
    assert_eq!(commit_session(&sessions, &policy, &mut session).await.unwrap().len(), 3);
}
