//! The way to another machine.

#![cfg(any(feature = "tls-rustls-ring", feature = "tls-rustls-aws-lc"))]

use std::time::Duration;

use conformance_tests::servers::PostgresOptions;
use session_core::{SessionStore as _, StoreErrorKind};
use session_postgres::PostgresStore;

use crate::support::{kind, login, now, own_server, unique_name};

#[tokio::test]
async fn a_server_is_verified_by_the_authority_that_was_named() {
    let server = own_server(PostgresOptions::new().tls().password("secret")).await;
    let authority = std::fs::read(server.tls_files().unwrap().authority()).unwrap();
    let url = format!("{}?sslmode=verify-full", server.url());
    let patience = Duration::from_secs(15);
    let builder = PostgresStore::builder().table(unique_name());
    let builder = builder.connect_timeout(patience).deadline(patience);
    let store = builder.clone().tls_roots(authority).connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));
    assert!(
        !store.check(now()).await.unwrap().findings.iter().any(|it| it.text.contains("verifies"))
    );

    // Nobody vouches for it here.
    assert_eq!(kind(builder.connect(&url).await), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn plain_text_is_never_what_comes_of_tls() {
    let server = own_server(PostgresOptions::new()).await;
    for mode in ["verify-full", "verify-ca", "require"] {
        let url = format!("{}?sslmode={mode}", server.url());
        let builder = PostgresStore::builder().table(unique_name()).unverified_server();
        assert_eq!(kind(builder.connect(&url).await), StoreErrorKind::Unavailable, "{mode}");
    }
    for mode in ["prefer", "allow"] {
        let url = format!("postgres://user@db.example/sessions?sslmode={mode}");
        assert_eq!(kind(PostgresStore::connect(&url).await), StoreErrorKind::Config, "{mode}");
    }
}
