//! The least that a user needs: the line of the README.

use std::collections::HashMap;
use std::sync::Arc;

use session_core::{
    Count, CreateOutcome, Inspect, PageRequest, SessionStore, SubjectIndex, TouchOutcome,
    UpdateOutcome,
};
use session_redis::{RedisStore, Severity};

use conformance_tests::servers::{RedisOptions, RedisServer};

use crate::proxy::Proxy;
use crate::support::{Raw, alice, login, minutes, now, own_server, record, revision};

/// The words of the `ACL SETUSER` line in the README.
fn documented() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let line = readme.lines().find(|line| line.starts_with("ACL SETUSER sessions ")).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_operation_works_with_the_privileges_that_the_readme_names() {
    let server = own_server(RedisOptions::new()).await;
    let words = documented();
    server.command(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let mut raw = Raw::open(&server.url(), "").await;
    for old in [false, true] {
        every_operation_on_a_fresh_server(&server, old).await;
    }
    let denied = denied(&mut raw).await;
    assert!(denied.iter().all(|name| name == "info" || name == "config|get"), "{denied:?}");
}

#[tokio::test]
async fn none_of_the_privileges_can_be_left_out() {
    let server = Arc::new(own_server(RedisOptions::new()).await);
    let words = documented();
    let mut raw = Raw::open(&server.url(), "").await;
    for word in words.iter().filter(|word| word.starts_with('+')) {
        server.command(&words.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        server.command(&["ACL", "SETUSER", "sessions", &word.replace('+', "-")]).unwrap();
        server.command(&["FLUSHALL"]).unwrap();
        for old in [false, true] {
            let server = Arc::clone(&server);
            // Something in it fails.
            let _ =
                tokio::spawn(async move { every_operation_on_a_fresh_server(&server, old).await })
                    .await;
        }
        let denied = denied(&mut raw).await;
        assert!(denied.iter().any(|name| name == &word[1..]), "{word} is not needed");
    }
}

/// What the server has refused to anybody since the last call.
async fn denied(raw: &mut Raw) -> Vec<String> {
    let log: Vec<HashMap<String, redis::Value>> = raw.run(redis::cmd("ACL").arg("LOG")).await;
    let () = raw.run(redis::cmd("ACL").arg("LOG").arg("RESET")).await;
    log.into_iter().map(|entry| redis::from_redis_value(entry["object"].clone()).unwrap()).collect()
}

async fn every_operation_on_a_fresh_server(server: &RedisServer, old: bool) {
    let proxy = Proxy::to(&server.url()).await;
    if old {
        proxy.pretend_old_server();
    }
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    let url = proxy.url().replace("redis://", "redis://sessions:a-long-password@");
    every_operation(&RedisStore::connect(&url).await.unwrap()).await;
}

async fn every_operation(store: &RedisStore) {
    let session = record();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(store.create(&login(), now()).await.unwrap(), CreateOutcome::Created);
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    let change = session.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let touched = store.touch(session.id(), now().plus(minutes(60)), now()).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    let first = store.list(&alice(), &PageRequest::first(1), now()).await.unwrap();
    let rest = PageRequest::first(10).after(first.next.unwrap());
    let rest = store.list(&alice(), &rest, now()).await.unwrap();
    assert_eq!(first.items.len() + rest.items.len(), 2);
    let scanned = store.scan(&PageRequest::first(1_000), now()).await.unwrap();
    assert_eq!(scanned.items.len(), 2);
    assert_eq!(store.count(now()).await.unwrap(), Count::Exact(2));
    assert!(store.delete_one(&alice(), session.id(), now()).await.unwrap());
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
    let old = crate::support::record_with(|parts| {
        parts.subject = Some(alice());
        parts.created_at = now().minus(minutes(60));
    });
    store.create(&old, now()).await.unwrap();
    assert!(store.delete(old.id(), now()).await.unwrap());

    let report = store.check(now()).await.unwrap();
    assert_eq!(
        (report.version.as_deref(), report.eviction_policy.as_deref()),
        (None, None),
        "unknown"
    );
    assert!(report.clock_skew.is_some());
    assert!(
        report.findings.iter().all(|finding| finding.severity != Severity::Error),
        "{report:?}"
    );
}
