//! Making the tables.

use std::time::Duration;

use aws_sdk_dynamodb::types::{BillingMode, TimeToLiveStatus};
use futures_util::future::join_all;
use session_core::{CreateOutcome, PageRequest, SessionStore, StoreErrorKind, SubjectIndex};
use session_dynamo::DynamoStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::{ANY, Act};
use crate::raw;
use crate::support::{
    address, alice, builder, kind, login, now, shared_url, store, store_behind_proxy, unique_name,
};

#[tokio::test]
async fn sixteen_at_once_make_the_tables_and_all_can_use_them() {
    let settings = builder();
    let stores: Vec<_> =
        (0..16).map(|_| settings.clone().connect_lazily(shared_url()).unwrap()).collect();
    let made = join_all(stores.iter().map(DynamoStore::create_tables)).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let sessions: Vec<_> = (0..16).map(|_| login()).collect();
    for (store, session) in stores.iter().zip(&sessions) {
        assert_eq!(store.create(session, now()).await.unwrap(), CreateOutcome::Created);
    }
    // Again, on tables that are in use.
    let made = join_all(stores.iter().map(DynamoStore::create_tables)).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let listed = stores[0].list(&alice(), &PageRequest::first(100), now()).await.unwrap();
    assert_eq!(listed.items.len(), 16);

    let client = raw::client(address(shared_url()));
    for name in [stores[0].table(), stores[0].subjects_table()] {
        let described = client.describe_table().table_name(name).send().await.unwrap();
        let billing = described.table.unwrap().billing_mode_summary.unwrap().billing_mode;
        assert_eq!(billing, Some(BillingMode::PayPerRequest));
        let ttl = client.describe_time_to_live().table_name(name).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        assert_eq!(ttl.time_to_live_status, Some(TimeToLiveStatus::Enabled));
        assert_eq!(ttl.attribute_name.as_deref(), Some("ttl"));
    }
    assert!(stores[0].check(now()).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_table_like_that_of_architect_works() {
    let settings = builder().id_attribute("_idx").ttl_attribute("_ttl").text_ids();
    let store = settings.connect_lazily(shared_url()).unwrap();
    store.create_tables().await.unwrap();
    let client = raw::client(address(shared_url()));
    let described = client.describe_table().table_name(store.table()).send().await.unwrap();
    let described = described.table.unwrap();
    let key = &described.attribute_definitions.unwrap()[0];
    assert_eq!((key.attribute_name.as_str(), key.attribute_type.as_str()), ("_idx", "S"));

    let session = login();
    store.create(&session, now()).await.unwrap();
    let item = client.scan().table_name(store.table()).send().await.unwrap().items.unwrap();
    assert_eq!(item[0]["_idx"].as_s().unwrap(), &session.id().to_string());
    assert!(item[0]["_ttl"].is_n());
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session.clone()));
    assert_eq!(store.list(&alice(), &PageRequest::first(9), now()).await.unwrap().items.len(), 1);
    let report = store.check(now()).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.sessions.ttl_attribute.as_deref(), Some("_ttl"));
    assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1);
}

#[tokio::test]
async fn reserved_words_are_names_like_others() {
    for (id, ttl) in [("token", "timestamp"), ("user", "data"), ("size", "ttl"), ("and", "set")] {
        let settings = builder().id_attribute(id).ttl_attribute(ttl);
        let store = settings.connect_lazily(shared_url()).unwrap();
        store.create_tables().await.unwrap();
        let session = login();
        store.create(&session, now()).await.unwrap();
        store.touch(session.id(), session.deadline(), now()).await.unwrap();
        store.update(&session.change(crate::support::revision()), now()).await.unwrap();
        assert_eq!(store.delete_all(&alice(), None, now()).await.unwrap(), 1, "{id} {ttl}");
    }
}

#[tokio::test]
async fn tables_that_do_not_fit_are_an_error() {
    let (binary, _) = store().await;
    let text = builder().table(binary.table()).text_ids().connect_lazily(shared_url()).unwrap();
    assert_eq!(kind(text.create_tables().await), StoreErrorKind::Config);
    let other = builder().table(binary.table()).id_attribute("key");
    let other = other.connect_lazily(shared_url()).unwrap();
    assert_eq!(kind(other.create_tables().await), StoreErrorKind::Config);
    let other = builder().table(binary.table()).ttl_attribute("expires");
    let other = other.connect_lazily(shared_url()).unwrap();
    assert_eq!(kind(other.create_tables().await), StoreErrorKind::Config, "expires by another");
}

#[tokio::test]
async fn trouble_while_tables_are_made_is_waited_out_or_told() {
    let (made, proxy, _) = store_behind_proxy().await;
    // As the service has it: slow, limited, and made by several.
    let fresh = builder().table(unique_name()).connect_lazily(&proxy.url()).unwrap();
    proxy.next("CreateTable", Act::Refuse(400, "LimitExceededException"));
    proxy.next("CreateTable", Act::CutAfter);
    proxy.next("UpdateTimeToLive", Act::PassAndRefuse(400, "ValidationException"));
    fresh.create_tables().await.unwrap();
    assert!(fresh.check(now()).await.unwrap().is_ok());

    proxy.reset();
    proxy.always("DescribeTable", Act::Refuse(400, "AccessDeniedException"));
    assert_eq!(kind(made.create_tables().await), StoreErrorKind::Denied);

    proxy.reset();
    let settings = builder().table(unique_name()).walk_deadline(Duration::from_millis(700));
    let never = settings.connect_lazily(&proxy.url()).unwrap();
    proxy.always("CreateTable", Act::Answer(serde_json::json!({})));
    assert_eq!(kind(never.create_tables().await), StoreErrorKind::Unavailable);
    assert!(proxy.count(ANY) > 2);
}

/// What the command line of AWS sends for `--cli-input-json` is the file as it is.
async fn send(action: &str, body: &str) -> String {
    let address = address(shared_url());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: DynamoDB_20120810.{action}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=local/20200101/eu-west-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn the_printed_definitions_make_tables_that_fit() {
    for settings in [
        builder(),
        builder().id_attribute("_idx").ttl_attribute("_ttl").text_ids(),
        builder().subjects_table(unique_name()),
    ] {
        for definition in settings.table_definitions().unwrap() {
            let reply = send("CreateTable", &definition.create_table).await;
            assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
            let reply = send("UpdateTimeToLive", &definition.update_time_to_live).await;
            assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        }
        let store = settings.connect(shared_url()).await.unwrap();
        let report = store.check(now()).await.unwrap();
        assert_eq!(report.findings, [], "{report:?}");
    }
}
