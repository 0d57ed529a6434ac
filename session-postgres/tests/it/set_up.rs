//! The table: created once, by as many as like, and told from another one.

use session_core::{SessionStore as _, StoreErrorKind};
use session_postgres::{PostgresStore, Severity};

use crate::support::{Raw, kind, login, now, own_server, shared_url, store, unique_name};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_processes_may_migrate_at_once_and_again() {
    let table = unique_name();
    let stores = (0..16).map(|_| {
        PostgresStore::builder().table(&table).connections(1).connect_lazily(shared_url()).unwrap()
    });
    let stores: Vec<_> = stores.collect();
    let begun: Vec<_> = stores
        .iter()
        .cloned()
        .map(|store| tokio::spawn(async move { store.migrate().await }))
        .collect();
    for migrated in begun {
        migrated.await.unwrap().unwrap();
    }
    let session = login();
    let _ = stores[0].create(&session, now()).await.unwrap();
    stores[1].migrate().await.unwrap();
    assert_eq!(stores[2].load(session.id(), now()).await.unwrap(), Some(session));
}

#[tokio::test]
async fn what_is_printed_is_what_is_done_and_can_be_run_twice() {
    let store = PostgresStore::builder().table(unique_name()).connect(shared_url()).await.unwrap();
    let raw = Raw::open(shared_url(), store.table()).await;
    raw.run(&store.migration()).await;
    raw.run(&store.migration()).await;
    let report = store.check(now()).await.unwrap();
    let about_the_table = report.findings.iter().filter(|it| it.text.contains(store.table()));
    assert_eq!(about_the_table.collect::<Vec<_>>(), Vec::<&session_postgres::Finding>::new());
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));
}

#[tokio::test]
async fn a_schema_of_its_own_is_created_and_names_may_be_as_long_as_they_can_be() {
    let schema = format!("{:S<63}", unique_name());
    for name in ["t".repeat(55), "SELECT".to_owned(), "Capitals_1".to_owned()] {
        let builder = PostgresStore::builder().schema(&schema).table(&name);
        let store = builder.connect(shared_url()).await.unwrap();
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        let session = login();
        let _ = store.create(&session, now()).await.unwrap();
        assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session), "{name}");
        let findings = store.check(now()).await.unwrap().findings;
        assert!(!findings.iter().any(|it| it.text.contains(&name)), "{findings:?}");
    }
}

#[tokio::test]
async fn another_table_of_the_name_is_told_and_left_alone() {
    let store = PostgresStore::builder().table(unique_name()).connect(shared_url()).await.unwrap();
    let raw = Raw::open(shared_url(), store.table()).await;
    raw.run(
        "CREATE TABLE {table} (id int PRIMARY KEY, name text); INSERT INTO {table} VALUES (1, 'x')",
    )
    .await;
    assert_eq!(kind(store.migrate().await), StoreErrorKind::Config);
    assert_eq!(raw.rows().await, 1);
    assert!(!store.check(now()).await.unwrap().is_ok());
    assert_eq!(kind(store.load(login().id(), now()).await), StoreErrorKind::Config);
}

#[tokio::test]
async fn without_a_table_every_call_says_what_to_do() {
    let store = PostgresStore::builder().table(unique_name()).connect(shared_url()).await.unwrap();
    let error = store.load(login().id(), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Config);
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("migrate"), "{why}");
    assert_eq!(kind(store.create(&login(), now()).await), StoreErrorKind::Config);
}

#[tokio::test]
async fn an_unlogged_table_is_made_only_when_asked_for_and_always_told() {
    let (ordinary, _) = store().await;
    let raw = Raw::open(shared_url(), ordinary.table()).await;
    let kind_of = "SELECT relpersistence::text FROM pg_class WHERE oid = '{table}'::regclass";
    assert_eq!(raw.text(kind_of).await, "p");

    let builder = PostgresStore::builder().table(unique_name()).unlogged_lost_in_a_crash();
    let unlogged = builder.connect(shared_url()).await.unwrap();
    unlogged.migrate().await.unwrap();
    let raw = Raw::open(shared_url(), unlogged.table()).await;
    assert_eq!(raw.text(kind_of).await, "u");
    let findings = unlogged.check(now()).await.unwrap().findings;
    assert!(findings.iter().any(|it| it.text.contains("unlogged")), "{findings:?}");
}

#[tokio::test]
async fn a_server_as_it_is_installed_is_fit_and_one_that_can_lose_logouts_is_not() {
    use conformance_tests::servers::PostgresOptions;
    let server = own_server(PostgresOptions::new().config("fsync", "on")).await;
    let store = PostgresStore::builder().table(unique_name()).connect(&server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert_eq!(report.findings, Vec::new());
    assert!(report.survives_crash && report.is_ok());

    let raw = Raw::open(&server.url(), store.table()).await;
    raw.run("ALTER SYSTEM SET synchronous_commit = off").await;
    raw.run("CREATE INDEX ON {table} (expires_at)").await;
    raw.run("SELECT pg_reload_conf()").await;
    let store = PostgresStore::builder().table(store.table()).connect(&server.url()).await.unwrap();
    let report = store.check(now()).await.unwrap();
    assert!(!report.is_ok() && !report.survives_crash);
    assert_eq!(report.findings[0].severity, Severity::Error);
    assert!(report.findings[0].text.contains("synchronous_commit"), "{report:?}");
    assert!(report.findings.iter().any(|it| it.text.contains("every touch")), "{report:?}");
}
