//! The least that a store needs: the policies in the folder `iam`.

use std::collections::BTreeSet;

use serde_json::Value;
use session_core::{
    Count, CreateOutcome, Inspect, PageRequest, SessionStore, StoreErrorKind, SubjectIndex,
    TouchOutcome, UpdateOutcome,
};
use session_dynamo::DynamoStore;

use crate::proxy::Proxy;
use crate::support::{
    address, alice, builder, kind, login, minutes, now, record, record_with, revision, shared_url,
    unique_name,
};

/// Actions and the tables that they are for, with `table` in the place of `sessions`.
fn allowed(policy: &str, table: &str) -> BTreeSet<(String, String)> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::String(one) => vec![one.clone()],
            Value::Array(some) => some.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
            other => panic!("{other}"),
        }
    };
    let mut all = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for resource in texts(&statement["Resource"]) {
            let name = resource.strip_prefix("arn:aws:dynamodb:*:*:table/").unwrap();
            let name = name.replacen("sessions", table, 1);
            for action in texts(&statement["Action"]) {
                let action = action.strip_prefix("dynamodb:").unwrap().to_owned();
                all.insert((action, name.clone()));
            }
        }
    }
    all
}

fn used(proxy: &Proxy) -> BTreeSet<(String, String)> {
    let pairs = proxy.requests().into_iter().flat_map(|request| {
        let tables = request.tables();
        tables.into_iter().map(move |table| (request.action.clone(), table))
    });
    pairs.collect()
}

#[tokio::test]
async fn the_policies_hold_what_is_needed_and_nothing_else() {
    let (proxy, table) = (Proxy::to(address(shared_url())).await, unique_name());
    let setting_up = allowed(include_str!("../../iam/set-up.json"), &table);
    let running = allowed(include_str!("../../iam/run.json"), &table);

    proxy.allow_only(setting_up.iter().cloned().collect());
    let settings = builder().table(&table);
    let store = settings.clone().connect_lazily(&proxy.url()).unwrap();
    store.create_tables().await.unwrap();
    assert_eq!(used(&proxy), setting_up);
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Denied);

    proxy.reset();
    proxy.allow_only(running.iter().cloned().collect());
    let store = settings.connect(&proxy.url()).await.unwrap();
    every_operation(&store).await;
    assert_eq!(used(&proxy), running);

    // `check` does with these what it can, and tells more with those of the set-up.
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok() && report.sessions.status.is_none(), "{report:?}");
    proxy.allow_only(running.union(&setting_up).cloned().collect());
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok() && report.sessions.status.is_some(), "{report:?}");
}

async fn every_operation(store: &DynamoStore) {
    let session = record();
    assert_eq!(store.create(&session, now()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(store.create(&login(), now()).await.unwrap(), CreateOutcome::Created);
    assert!(store.load(session.id(), now()).await.unwrap().is_some());
    let change = session.change(revision()).login(alice(), now().plus(minutes(900))).unwrap();
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let conflict = store.update(&session.change(revision()), now()).await.unwrap();
    assert_eq!(conflict, UpdateOutcome::Conflict);
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
    let old = record_with(|parts| {
        parts.subject = Some(alice());
        parts.created_at = now().minus(minutes(60));
    });
    store.create(&old, now()).await.unwrap();
    assert!(store.delete(old.id(), now()).await.unwrap());
}
