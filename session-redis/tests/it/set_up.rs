//! `check()`.

use std::time::Duration;

use conformance_tests::servers::RedisOptions;
use session_core::StoreErrorKind;
use session_redis::{CheckReport, RedisStore, Severity};

use crate::support::{kind, minutes, now, own_server};

fn errors(report: &CheckReport) -> Vec<&str> {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.text.as_str()).collect()
}

#[tokio::test]
async fn a_server_that_is_set_up_for_sessions_passes() {
    let options = RedisOptions::new().config("appendonly", "yes");
    let server = own_server(options).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok());
    assert_eq!(report.findings, []);
    assert_eq!(report.version.as_deref(), Some(server.version()));
    assert_eq!(report.role.as_deref(), Some("master"));
    assert_eq!(report.eviction_policy.as_deref(), Some("noeviction"));
    assert_eq!((report.append_only, report.append_ok), (Some(true), Some(true)));
    assert_eq!(report.append_fsync.as_deref(), Some("everysec"));
    assert_eq!(report.snapshots.as_deref(), Some(""));
    assert!(report.clock_skew.unwrap() < Duration::from_secs(10));
}

#[tokio::test]
async fn f01_a_server_that_forgets_logouts_in_a_crash_is_reported() {
    for (append_only, said) in [("no", "appendonly is off"), ("yes", "")] {
        let server = own_server(RedisOptions::new().config("appendonly", append_only)).await;
        let store = RedisStore::connect(&server.url()).await.unwrap();
        let report = store.check(now()).await.unwrap();
        let found = report.findings.iter().any(|finding| finding.text.contains("appendonly"));
        assert_eq!(found, !said.is_empty(), "{report:?}");
        assert!(report.findings.iter().all(|finding| finding.text.contains(said)));
    }
}

#[tokio::test]
async fn f13_eviction_is_refused_unless_it_is_allowed() {
    let server = own_server(RedisOptions::new().config("maxmemory-policy", "allkeys-lru")).await;
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert!(!report.is_ok());
    assert!(errors(&report)[0].contains("allkeys-lru"));
    let store = RedisStore::builder().allow_eviction().connect(&server.url()).await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok());
    assert!(report.findings.iter().any(|finding| finding.text.contains("allkeys-lru")));
    assert!(report.findings.iter().any(|finding| finding.text.contains("appendonly")));
}

#[tokio::test]
async fn clocks_that_are_far_apart_and_missing_replicas_are_found() {
    let server = own_server(RedisOptions::new()).await;
    let store = RedisStore::builder()
        .replicas(1, Duration::from_millis(50))
        .connect(&server.url())
        .await
        .unwrap();
    for time in [now().plus(minutes(2)), now().minus(minutes(2))] {
        let report = store.check(time).await.unwrap();
        assert_eq!(errors(&report).len(), 2, "{report:?}");
        assert!(errors(&report).iter().any(|text| text.contains("clocks")));
        assert!(errors(&report).iter().any(|text| text.contains("replicas")));
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error() {
    let store = RedisStore::builder().connect_lazily("redis://127.0.0.1:1").unwrap();
    assert_eq!(kind(store.check(now()).await), StoreErrorKind::Unavailable);
}
