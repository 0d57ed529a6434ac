//! A server that dies, stops, refuses and runs out of connections while it is used. The names begin with the lines
//! of `docs/faults.md`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_tests::load::{Load, Progress, Running};
use conformance_tests::servers::{PostgresOptions, PostgresServer};
use session_core::{SessionStore, StoreErrorKind, TouchOutcome, UpdateOutcome};
use session_postgres::PostgresStore;
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use crate::support::{
    RECOVERY, Raw, kind, login, minutes, now, on_own_thread, own_server, record, revision,
    store_on, unique_name, within,
};

/// The deadline of a call, and room for a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(6);

const END_ALL_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";

fn durable() -> PostgresOptions {
    PostgresOptions::new().config("fsync", "on")
}

/// Three clients with connections of their own on each of a few sessions.
async fn load(server: &PostgresServer) -> Running {
    let name = unique_name();
    let mut handles: Vec<Arc<dyn SessionStore>> = Vec::new();
    for _ in 0..3 {
        let builder = PostgresStore::builder().table(&name).connections(4);
        let store = builder.connect(&server.url()).await.unwrap();
        store.migrate().await.unwrap();
        handles.push(Arc::new(store));
    }
    let load = Load::new(u64::from(std::process::id())).longest_call(LONGEST_CALL);
    load.start(handles)
}

async fn succeeds_soon(load: &Running) {
    load.succeeds_within(RECOVERY).await.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Ends the load, and says what was seen. Fails when a history has no order.
async fn ended(load: Running) -> Progress {
    let seen = load.end().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(seen.histories > 0, "{seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_f02_f03_f15_f22_acknowledged_writes_survive_kill_9_under_load() {
    let server = own_server(durable()).await;
    let load = load(&server).await;
    for round in 1..=3 {
        succeeds_soon(&load).await;
        sleep(Duration::from_millis(150 + 40 * round)).await;
        on_own_thread(&server, |server| server.kill().unwrap()).await;
        on_own_thread(&server, |server| server.restart().unwrap()).await;
        succeeds_soon(&load).await;
    }
    let seen = ended(load).await;
    assert!(seen.refused + seen.unknown > 0, "no call met an outage: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_an_acknowledged_logout_stays_when_the_server_is_killed_right_after() {
    let server = own_server(durable()).await;
    let (store, _) = store_on(&server.url()).await;
    for _ in 0..2 {
        let (kept, ended) = (login(), login());
        within(RECOVERY, || store.create(&ended, now())).await;
        let _ = store.create(&kept, now()).await.unwrap();
        assert!(store.delete(ended.id(), now()).await.unwrap());
        on_own_thread(&server, |server| server.kill().unwrap()).await;
        let error = store.load(ended.id(), now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "down is not logged out");
        on_own_thread(&server, |server| server.restart().unwrap()).await;
        let loaded = within(RECOVERY, || store.load(kept.id(), now())).await;
        assert_eq!(loaded, Some(kept));
        assert_eq!(store.load(ended.id(), now()).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_ten_seconds_without_an_answer_cost_each_call_its_deadline_and_mix_up_nothing() {
    let server = own_server(PostgresOptions::new()).await;
    let (store, _) = store_on(&server.url()).await;
    let owners: Vec<_> = (0..8).map(|_| login()).collect();
    for owner in &owners {
        let _ = store.create(owner, now()).await.unwrap();
    }
    on_own_thread(&server, |server| server.pause().unwrap()).await;
    let stopped = Instant::now();
    let asking = owners.iter().map(|owner| {
        let (store, owner) = (store.clone(), owner.clone());
        tokio::spawn(async move {
            let (mut failed, mut answered, mut longest) = (0, 0, Duration::ZERO);
            while stopped.elapsed() < Duration::from_secs(10) || answered < 20 {
                let begun = Instant::now();
                match store.load(owner.id(), now()).await {
                    Ok(loaded) => {
                        assert_eq!(loaded.as_ref(), Some(&owner), "another call's reply");
                        answered += 1;
                    }
                    Err(error) => {
                        let down = [StoreErrorKind::Unavailable, StoreErrorKind::Timeout];
                        assert!(down.contains(&error.kind()), "{error:?}");
                        failed += 1;
                    }
                }
                longest = longest.max(begun.elapsed());
                sleep(Duration::from_millis(20)).await;
            }
            (failed, longest)
        })
    });
    let asking: Vec<_> = asking.collect();
    sleep(Duration::from_secs(10)).await;
    on_own_thread(&server, |server| server.resume().unwrap()).await;
    within(RECOVERY, || store.load(owners[0].id(), now())).await.unwrap();
    for asked in asking {
        let (failed, longest) = asked.await.unwrap();
        assert!(failed > 0, "no call met the outage");
        assert!(longest < LONGEST_CALL, "{longest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_connections_that_the_server_ends_leave_an_order() {
    let server = own_server(PostgresOptions::new()).await;
    let load = load(&server).await;
    let raw = Raw::open(&server.url(), "none").await;
    for _ in 0..40 {
        raw.run(END_ALL_OTHERS).await;
        sleep(Duration::from_millis(25)).await;
    }
    succeeds_soon(&load).await;
    ended(load).await;
}

#[tokio::test]
async fn f11_a_server_that_takes_no_writes_is_read_only_until_it_does() {
    let server = own_server(PostgresOptions::new()).await;
    let (store, raw) = store_on(&server.url()).await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    set_read_only(&raw, "on").await;
    // Connections that are there may not know it yet.
    let change = session.change(revision()).payload("changed");
    let refused = async || {
        let begun = Instant::now();
        while begun.elapsed() < RECOVERY {
            match store.touch(session.id(), session.expires_at().plus(minutes(1)), now()).await {
                Ok(touched) => assert_eq!(touched, TouchOutcome::Touched),
                Err(error) => return error.kind(),
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("it takes writes");
    };
    assert_eq!(refused().await, StoreErrorKind::ReadOnly);
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(kind(store.create(&login(), now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::ReadOnly);
    assert!(store.load(session.id(), now()).await.unwrap().is_some(), "reads go on");
    assert!(store.check(now()).await.unwrap().read_only);
    set_read_only(&raw, "off").await;
    let updated = within(RECOVERY, || store.update(&change, now())).await;
    assert_eq!(updated, UpdateOutcome::Updated);
}

async fn set_read_only(raw: &Raw, value: &str) {
    // This connection may be read-only by now itself; the setting of the system is not a write.
    raw.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await;
    raw.run("SELECT pg_reload_conf()").await;
}

#[tokio::test]
async fn f14_a_server_with_too_many_connections_is_overloaded_and_those_that_are_there_work_on() {
    let options = PostgresOptions::new()
        .config("max_connections", "6")
        .config("superuser_reserved_connections", "0");
    let server = own_server(options).await;
    let builder = PostgresStore::builder().table(unique_name()).connections(2);
    let store = builder.connect(&server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    let mut others = Vec::new();
    while let Ok(connection) = PgConnection::connect(&server.url()).await {
        others.push(connection);
    }
    assert_eq!(store.load(session.id(), now()).await.unwrap().as_ref(), Some(&session));
    let late = PostgresStore::builder().table(store.table()).connect_lazily(&server.url()).unwrap();
    assert_eq!(kind(late.load(session.id(), now()).await), StoreErrorKind::Overloaded);
    for other in others {
        other.close().await.unwrap();
    }
    assert_eq!(within(RECOVERY, || late.load(session.id(), now())).await, Some(session));
}

#[tokio::test]
async fn f20_a_table_that_is_dropped_is_told_and_used_again_when_it_is_back() {
    let server = own_server(PostgresOptions::new()).await;
    let (store, raw) = store_on(&server.url()).await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    raw.run("ALTER TABLE {table} RENAME TO hidden").await;
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Config);
    assert_eq!(kind(store.delete(session.id(), now()).await), StoreErrorKind::Config);
    raw.run(&format!("ALTER TABLE public.hidden RENAME TO \"{}\"", store.table())).await;
    assert_eq!(store.load(session.id(), now()).await.unwrap(), Some(session));
}

#[tokio::test]
async fn f21_a_password_that_is_changed_is_denied_and_never_shown() {
    let server = own_server(PostgresOptions::new().password("canary-one")).await;
    let (store, raw) = store_on(&server.url()).await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    raw.run("ALTER ROLE postgres PASSWORD 'canary-two'").await;
    raw.run(END_ALL_OTHERS).await;
    let error = store.load(session.id(), now()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Denied);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("28P01"), "{source}");
    assert!(!format!("{store:?} {error:?} {error} {source}").contains("canary"));
    raw.run("ALTER ROLE postgres PASSWORD 'canary-one'").await;
    assert_eq!(within(RECOVERY, || store.load(session.id(), now())).await, Some(session));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn f12_a_full_disk_refuses_writes_and_still_ends_sessions_and_serves_reads() {
    let options = PostgresOptions::new().disk(96 << 20).config("autovacuum", "off");
    let started = tokio::task::spawn_blocking(|| PostgresServer::start(options)).await.unwrap();
    let server = Arc::new(started.unwrap_or_else(|error| panic!("{error}")));
    let (store, _) = store_on(&server.url()).await;
    let (kept, ended) = (login(), login());
    for session in [&kept, &ended] {
        let _ = store.create(session, now()).await.unwrap();
    }

    on_own_thread(&server, |server| server.fill_disk().unwrap()).await;
    // The last page of the table still takes a few rows.
    let full = Instant::now();
    let refused = loop {
        match store.create(&record(), now()).await {
            Ok(_) => assert!(full.elapsed() < Duration::from_secs(20), "the disk is not full"),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), StoreErrorKind::ReadOnly, "{refused:?}");
    // There is no room for another version of the record.
    let change = kept.change(revision()).payload(vec![7; 100_000]);
    assert_eq!(kind(store.update(&change, now()).await), StoreErrorKind::ReadOnly);
    assert_eq!(store.load(kept.id(), now()).await.unwrap().as_ref(), Some(&kept));
    // A logout takes no room.
    assert!(store.delete(ended.id(), now()).await.unwrap());
    assert_eq!(store.load(ended.id(), now()).await.unwrap(), None);

    on_own_thread(&server, |server| server.empty_disk().unwrap()).await;
    let updated = within(RECOVERY, || store.update(&change, now())).await;
    assert_eq!(updated, UpdateOutcome::Updated);
    assert_eq!(store.load(ended.id(), now()).await.unwrap(), None);
}
