//! Ways to a store, and what is refused on the way.

use std::time::Duration;

use session_core::{SessionStore, StoreErrorKind};
use session_dynamo::DynamoStore;

use crate::raw;
use crate::support::{
    address, builder, everything_about, kind, minutes, now, record, shared_url, store,
};

#[tokio::test]
async fn a_url_and_a_client_lead_to_the_same_store() {
    let (first, _) = store().await;
    let url = format!("{}&table={}", shared_url(), first.table());
    let by_url = DynamoStore::connect(&url).await.unwrap();
    let client = raw::client(address(shared_url()));
    let by_client = builder().table(first.table()).from_client(&client).unwrap();
    let session = record();
    first.create(&session, now()).await.unwrap();
    for other in [&by_url, &by_client] {
        assert_eq!(other.load(session.id(), now()).await.unwrap(), Some(session.clone()));
        assert_eq!(
            (other.table(), other.subjects_table()),
            (first.table(), first.subjects_table())
        );
    }
    assert!(by_client.delete(session.id(), now()).await.unwrap());
    assert_eq!(by_url.load(session.id(), now()).await.unwrap(), None);
}

#[tokio::test]
async fn connecting_looks_for_the_tables_and_connecting_lazily_does_not() {
    let missing = builder().connect(shared_url()).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::Config);
    let lazy = builder().connect_lazily(shared_url()).unwrap();
    assert_eq!(kind(lazy.load(record().id(), now()).await), StoreErrorKind::Config);
    let lazy = builder().connect_lazily("dynamodb://127.0.0.1:1?region=x").unwrap();
    assert_eq!(kind(lazy.load(record().id(), now()).await), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn bad_urls_are_refused_without_repeating_them() {
    for url in [
        "dynamodb://key:canary@127.0.0.1:8000?region=eu-west-1",
        "https://canary.example",
        "dynamodb://127.0.0.1:8000?region=eu-west-1&verify=canary",
        "dynamodb://127.0.0.1:8000?region=eu-west-1&table=can/ary",
        "canary",
    ] {
        let error = DynamoStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Config, "{url}");
        assert!(!everything_about(&error).contains("canary"), "{url}");
    }
}

#[tokio::test]
async fn names_that_are_not_known_are_unavailable_in_time() {
    let client = raw::client("no.such.host.invalid:1");
    let store = builder().deadline(Duration::from_secs(3)).from_client(&client).unwrap();
    let start = std::time::Instant::now();
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Unavailable);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_address_elsewhere_is_spoken_to_in_plain_text_only_if_that_is_allowed() {
    let url = "dynamodb://203.0.113.1:8000?region=eu-west-1";
    let allowed = builder().allow_plain_text().connect_lazily(url);
    // Where these tests run there may be no credentials, which are looked for afterwards.
    assert!(allowed.map_or_else(|error| error.to_string().contains("credentials"), |_| true));
    #[cfg(not(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc")))]
    {
        let refused = builder().connect_lazily(url).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Config);
        assert!(refused.to_string().contains("tls-rustls-ring"), "{refused}");
    }
}

#[tokio::test]
async fn stores_with_other_tables_do_not_meet() {
    let (one, _) = store().await;
    let two = builder().table(format!("{}x", one.table())).connect_lazily(shared_url()).unwrap();
    two.create_tables().await.unwrap();
    let session = record();
    one.create(&session, now()).await.unwrap();
    assert_eq!(two.load(session.id(), now()).await.unwrap(), None);
    two.touch(session.id(), now().plus(minutes(99)), now()).await.unwrap();
    assert!(!two.delete(session.id(), now()).await.unwrap());
    assert_eq!(one.load(session.id(), now()).await.unwrap(), Some(session));
}
