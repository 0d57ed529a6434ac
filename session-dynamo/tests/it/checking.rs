//! What `check` names.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};
use serde_json::json;
use session_core::{StoreErrorKind, Timestamp};
use session_dynamo::{CheckReport, Severity};

use crate::proxy::{ANY, Act};
use crate::raw;
use crate::support::{address, builder, kind, now, shared_url, store, store_behind_proxy};

/// The one thing that is wrong.
fn only_finding(report: &CheckReport) -> &str {
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].severity, Severity::Error);
    assert!(!report.is_ok());
    &report.findings[0].text
}

#[tokio::test]
async fn tables_as_they_should_be_have_no_findings() {
    let (store, _) = store().await;
    let report = store.check(now()).await.unwrap();
    assert_eq!(report.findings, []);
    for (table, name) in
        [(&report.sessions, store.table()), (&report.subjects, store.subjects_table())]
    {
        assert_eq!(table.name, name);
        assert_eq!(table.status.as_deref(), Some("ACTIVE"));
        assert_eq!((table.expires, table.ttl_attribute.as_deref()), (Some(true), Some("ttl")));
        assert_eq!(table.replicated, Some(false));
    }
    assert_eq!(report.clock_skew, None, "DynamoDB Local says no date");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let (store, raw) = store().await;
    raw.client.delete_table().table_name(store.subjects_table()).send().await.unwrap();
    let report = store.check(now()).await.unwrap();
    let expected =
        format!("there is no table {}; `create_tables()` makes it", store.subjects_table());
    assert_eq!(only_finding(&report), expected);
    assert_eq!(report.subjects.status, None);
    let connected = builder().table(store.table()).connect(shared_url()).await.unwrap_err();
    assert_eq!(connected.kind(), StoreErrorKind::Config);
    assert!(connected.to_string().contains("there is no table"), "{connected}");
}

async fn make(name: &str, keys: &[(&str, ScalarAttributeType, KeyType)]) {
    let client = raw::client(address(shared_url()));
    let mut create =
        client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind, role) in keys {
        let attribute = AttributeDefinition::builder().attribute_name(*key);
        let attribute = attribute.attribute_type(kind.clone()).build().unwrap();
        let element = KeySchemaElement::builder().attribute_name(*key).key_type(role.clone());
        create = create.attribute_definitions(attribute).key_schema(element.build().unwrap());
    }
    create.send().await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_kind_is_named() {
    use {KeyType as Role, ScalarAttributeType as Type};
    for (keys, found) in [
        (vec![("id", Type::S, Role::Hash)], "id (S)"),
        (vec![("id", Type::N, Role::Hash)], "id (N)"),
        (vec![("pk", Type::B, Role::Hash)], "pk (B)"),
        (vec![("id", Type::B, Role::Hash), ("sk", Type::N, Role::Range)], "id (B) and sk (N)"),
    ] {
        let (proper, raw) = store().await;
        raw.client.delete_table().table_name(proper.table()).send().await.unwrap();
        make(proper.table(), &keys).await;
        let report = proper.check(now()).await.unwrap();
        let name = proper.table();
        // Its expiry is off as well.
        let expected = format!("the key of the table {name} is {found}, not id (B)");
        assert_eq!(report.findings[0].text, expected);
        let connected = builder().table(name).connect(shared_url()).await;
        assert_eq!(kind(connected), StoreErrorKind::Config, "{found}");
    }
}

#[tokio::test]
async fn an_expiry_that_is_off_or_by_another_attribute_is_named() {
    let (store, raw) = store().await;
    let expiry = async |on: bool, attribute: &str| {
        let ttl = TimeToLiveSpecification::builder().enabled(on).attribute_name(attribute);
        let update = raw.client.update_time_to_live().table_name(store.table());
        update.time_to_live_specification(ttl.build().unwrap()).send().await.unwrap();
        store.check(now()).await.unwrap()
    };
    let name = store.table();
    let report = expiry(false, "ttl").await;
    assert_eq!(
        only_finding(&report),
        format!("the table {name} has no expiry: what is over is never removed")
    );
    assert_eq!(
        (report.sessions.expires, report.sessions.ttl_attribute.clone()),
        (Some(false), None)
    );
    let report = expiry(true, "expires").await;
    assert_eq!(only_finding(&report), format!("the table {name} expires by expires, not by ttl"));
    assert_eq!(report.sessions.ttl_attribute.as_deref(), Some("expires"));
}

#[tokio::test]
async fn clocks_that_are_apart_are_named() {
    let (store, proxy, _) = store_behind_proxy().await;
    // 2020-01-01T00:00:00Z.
    proxy.say_date("Wed, 01 Jan 2020 00:00:00 GMT");
    let then = Timestamp::from_millis(1_577_836_800_000);
    let minute = Duration::from_mins(1);
    for (here, skewed) in [
        (then, false),
        (then.minus(minute / 2), false),
        (then.plus(2 * minute), true),
        (then.minus(2 * minute), true),
        (then.minus(120 * minute), true),
    ] {
        let report = store.check(here).await.unwrap();
        assert_eq!(report.is_ok(), !skewed, "{report:?}");
        if skewed {
            assert!(only_finding(&report).starts_with("the clocks are "), "{report:?}");
        }
        assert!(report.clock_skew.is_some());
    }
    proxy.say_date("half past ten");
    assert_eq!(store.check(then).await.unwrap().clock_skew, None);
}

#[tokio::test]
async fn global_tables_and_tables_that_are_going_are_named() {
    let (store, proxy, _) = store_behind_proxy().await;
    let described = |more: serde_json::Value| {
        let mut table = json!({
            "TableName": store.table(),
            "TableStatus": "ACTIVE",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "B" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        });
        for (name, value) in more.as_object().unwrap() {
            table[name] = value.clone();
        }
        Act::Answer(json!({ "Table": table }))
    };
    let name = store.table();
    for (more, text) in [
        (json!({ "Replicas": [{ "RegionName": "us-east-1" }] }), "has replicas in other regions"),
        (json!({ "TableStatus": "DELETING" }), "is DELETING"),
        (json!({ "TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS" }), "is INACCESSIBLE"),
    ] {
        proxy.next(&format!("DescribeTable {name}"), described(more));
        let report = store.check(now()).await.unwrap();
        let found = only_finding(&report);
        assert!(found.starts_with(&format!("the table {name} {text}")), "{found}");
        proxy.reset();
    }
}

#[tokio::test]
async fn what_may_not_be_asked_is_unknown_and_no_failure() {
    let (store, proxy, raw) = store_behind_proxy().await;
    proxy.always("DescribeTable", Act::Refuse(400, "AccessDeniedException"));
    proxy.always("DescribeTimeToLive", Act::Refuse(400, "AccessDeniedException"));
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.sessions.status.as_ref(), report.sessions.expires), (None, None));
    // What reading shows is seen all the same.
    raw.client.delete_table().table_name(store.table()).send().await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert!(only_finding(&report).contains("there is no table"), "{report:?}");
    make(store.table(), &[("id", ScalarAttributeType::S, KeyType::Hash)]).await;
    let report = store.check(now()).await.unwrap();
    let expected = format!("the key of the table {} is not id (B)", store.table());
    assert_eq!(only_finding(&report), expected);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_an_error_and_no_report() {
    let (store, proxy, _) = store_behind_proxy().await;
    for (act, expected) in [
        (Act::Refuse(500, "InternalServerError"), StoreErrorKind::Unavailable),
        (Act::Refuse(400, "ThrottlingException"), StoreErrorKind::Overloaded),
        (Act::Refuse(400, "AccessDeniedException"), StoreErrorKind::Denied),
    ] {
        proxy.always(ANY, act);
        assert_eq!(kind(store.check(now()).await), expected);
        let connected = builder().table(store.table()).connect(&proxy.url()).await;
        assert_eq!(kind(connected), expected);
    }
}
