//! `ensure_indexes()` and `check()`.

use std::time::Duration;

use conformance_tests::servers::MongoOptions;
use mongodb::bson::{Bson, Document, doc};
use session_core::{SessionStore, StoreErrorKind};
use session_mongo::{CheckReport, Deployment, MongoStore, Severity};
use tokio::task::JoinSet;

use crate::support::{
    Raw, alice, kind, login, minutes, now, own_server, record, shared_url, store, store_on,
    unique_name,
};

fn errors(report: &CheckReport) -> Vec<&str> {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.text.as_str()).collect()
}

async fn bare() -> (MongoStore, Raw) {
    let builder = MongoStore::builder().collection(unique_name());
    let store = builder.connect(shared_url()).await.unwrap();
    let raw = Raw::open(shared_url(), store.collection()).await;
    (store, raw)
}

async fn create_index(raw: &Raw, index: Document) {
    let name = raw.documents.name().to_owned();
    raw.run("session-tests", doc! { "createIndexes": name, "indexes": [index] }).await;
}

#[tokio::test]
async fn a_server_that_is_set_up_for_sessions_passes() {
    let (store, _) = store().await;
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.deployment, Some(Deployment::ReplicaSet));
    assert_eq!(report.is_primary, Some(true));
    assert_eq!((report.removal_index, report.subject_index), (Some(true), Some(true)));
    assert_eq!(report.removal_enabled, Some(true));
    assert_eq!(report.shard_key, None);
    assert!(report.clock_skew.unwrap() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_may_create_the_indexes_at_once_and_again() {
    let name = unique_name();
    for _ in 0..2 {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let builder = MongoStore::builder().collection(name.clone()).connections(1);
            let store = builder.connect(shared_url()).await.unwrap();
            tasks.spawn(async move { store.ensure_indexes().await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
    let raw = Raw::open(shared_url(), &name).await;
    assert_eq!(raw.documents.list_index_names().await.unwrap().len(), 3);
}

#[tokio::test]
async fn missing_indexes_are_errors_that_say_what_to_do() {
    let (store, raw) = bare().await;
    for there_is_a_collection in [false, true] {
        if there_is_a_collection {
            store.create(&record(), now()).await.unwrap();
        }
        let report = store.check(now()).await.unwrap();
        assert_eq!((report.removal_index, report.subject_index), (Some(false), Some(false)));
        assert_eq!(errors(&report).len(), 2);
        assert!(errors(&report).iter().all(|text| text.contains("ensure_indexes")), "{report:?}");
    }
    store.ensure_indexes().await.unwrap();
    assert!(store.check(now()).await.unwrap().is_ok());
    raw.documents.drop_index("session_subject").await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert_eq!((report.removal_index, report.subject_index), (Some(true), Some(false)));
}

#[tokio::test]
async fn indexes_that_are_in_the_way_are_named_and_left_alone() {
    for in_the_way in [
        doc! { "name": "session_removal", "key": { "e": 1 } },
        doc! { "name": "x_1", "key": { "x": 1 } },
        doc! { "name": "session_removal", "key": { "x": 1 }, "expireAfterSeconds": 3_600 },
        doc! { "name": "session_subject", "key": { "s": 1, "_id": 1 }, "unique": true },
        doc! { "name": "mine", "key": { "s": 1, "_id": 1 }, "partialFilterExpression": { "r": 1 } },
    ] {
        let (store, raw) = bare().await;
        create_index(&raw, in_the_way.clone()).await;
        let ensured = store.ensure_indexes().await;
        // The server may have both of two indexes that differ in what they leave out.
        if ensured.is_ok() {
            assert!(in_the_way.contains_key("partialFilterExpression"), "{in_the_way}");
            assert!(store.check(now()).await.unwrap().is_ok(), "{in_the_way}");
            continue;
        }
        assert_eq!(kind(ensured), StoreErrorKind::Config, "{in_the_way}");
        assert!(!store.check(now()).await.unwrap().is_ok(), "{in_the_way}");
        let names = raw.documents.list_index_names().await.unwrap();
        assert!(names.iter().any(|name| name == in_the_way.get_str("name").unwrap()));
    }
}

#[tokio::test]
async fn indexes_of_other_names_serve_as_well() {
    let (store, raw) = bare().await;
    create_index(&raw, doc! { "name": "a", "key": { "x": 1.0 }, "expireAfterSeconds": 0.0 }).await;
    create_index(&raw, doc! { "name": "b", "key": { "s": 1_i64, "_id": 1 } }).await;
    assert!(store.check(now()).await.unwrap().is_ok());
}

#[tokio::test]
async fn f16_clocks_that_are_far_apart_are_found() {
    let (store, _) = store().await;
    for time in [now().plus(minutes(2)), now().minus(minutes(2))] {
        let report = store.check(time).await.unwrap();
        assert!(errors(&report).iter().any(|text| text.contains("clocks")), "{report:?}");
    }
}

#[tokio::test]
async fn removal_that_is_switched_off_is_found_and_so_is_what_is_never_removed() {
    let server =
        own_server(MongoOptions::new().setting("setParameter", "ttlMonitorEnabled=false")).await;
    let store = store_on(&server.url()).await;
    let report = store.check(now()).await.unwrap();
    assert_eq!(report.removal_enabled, Some(false));
    assert!(errors(&report).iter().any(|text| text.contains("ttlMonitorEnabled")), "{report:?}");

    let (store, raw) = crate::support::store().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    for never in [Bson::String("rubbish".to_owned()), Bson::Int64(1), Bson::Null] {
        raw.set(session.id(), doc! { "x": never }).await;
        let report = store.check(now()).await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.text.contains("never removed")),
            "{report:?}"
        );
    }
}

#[tokio::test]
async fn what_is_over_is_removed_by_the_server_and_not_before_the_margin() {
    let (store, raw) = store().await;
    let over = crate::support::record_with(|parts| {
        parts.created_at = now().minus(minutes(90));
        parts.expires_at = now().minus(minutes(25));
        parts.subject = Some(alice());
    });
    let just_over = crate::support::record_with(|parts| {
        parts.created_at = now().minus(minutes(90));
        parts.expires_at = now().minus(minutes(4));
    });
    let live = login();
    for session in [&over, &just_over, &live] {
        store.create(session, now()).await.unwrap();
    }
    // The server looks each second.
    let start = std::time::Instant::now();
    while raw.get(over.id()).await.is_some() {
        assert!(start.elapsed() < Duration::from_secs(20), "it is not removed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(raw.get(just_over.id()).await.is_some(), "the margin is five minutes");
    assert!(raw.get(live.id()).await.is_some());
    let hidden = store.load(just_over.id(), now()).await.unwrap();
    assert_eq!(hidden, None);
}

#[tokio::test]
async fn a_touch_moves_the_removal_with_the_deadline() {
    let (store, raw) = store().await;
    let session = record();
    store.create(&session, now()).await.unwrap();
    let removal =
        async || raw.get(session.id()).await.unwrap().get_datetime("x").unwrap().timestamp_millis();
    let before = removal().await;
    let later = session.expires_at().plus(minutes(120));
    store.touch(session.id(), later, now()).await.unwrap();
    let after = removal().await;
    let end = i64::try_from(later.as_millis()).unwrap();
    assert!(after > before && after >= end + 300_000 && after < end + 300_000 + 900_000);
    // Never backwards.
    store.touch(session.id(), session.expires_at(), now()).await.unwrap();
    assert_eq!(removal().await, after);
}
