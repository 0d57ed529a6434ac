//! Removing many rows beside traffic, whatever plan the server makes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{SessionStore, UpdateOutcome};
use session_postgres::PostgresStore;

use crate::support::{Raw, login, minutes, now, revision, shared_url, store};

/// Rows whose sessions ended an hour ago.
async fn fill(raw: &Raw, count: u32) {
    raw.run(&format!(
        "INSERT INTO {{table}} (created_at, expires_at, deadline, purge_after, revision, format, id, secret_hash, payload) \
         SELECT now() - interval '3 hours', now() - interval '1 hour', now() + interval '9 hours', \
            date_trunc('second', now() - interval '1 hour'), number, 1, \
            decode(md5(number::text), 'hex'), sha256(number::text::bytea), 'payload' \
         FROM generate_series(1, {count}) AS number"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_rows_go_beside_traffic() {
    let (store, raw) = store().await;
    fill(&raw, 50_000).await;
    let stop = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = (0..4)
        .map(|_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move { use_sessions(&store, &stop).await })
        })
        .collect();

    let purger = store.purger().unwrap();
    let limit = NonZeroU32::new(5_000).unwrap();
    let (mut removed, mut calls) = (0, 0);
    loop {
        let done = purger.purge(limit, now()).await.unwrap();
        assert!(done.removed <= 5_000, "{done:?}");
        removed += done.removed;
        calls += 1;
        if !done.more {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut kept = 0;
    for user in users {
        kept += user.await.unwrap();
    }
    assert_eq!(removed, 50_000);
    assert!((11..20).contains(&calls), "{calls}");
    assert_eq!(raw.rows().await, kept);
}

/// Uses one session after the other until it is told to stop. Answers how many are left.
async fn use_sessions(store: &PostgresStore, stop: &AtomicBool) -> i64 {
    let mut kept = 0;
    while !stop.load(Ordering::Relaxed) {
        let session = login();
        let _ = store.create(&session, now()).await.unwrap();
        let begun = Instant::now();
        assert!(store.load(session.id(), now()).await.unwrap().is_some());
        assert!(begun.elapsed() < Duration::from_secs(3), "longer than its deadline");
        let change = session.change(revision()).payload("changed");
        assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
        kept += 1;
    }
    kept
}

#[tokio::test]
async fn a_purge_is_bounded_under_every_plan() {
    let (ordinary, raw) = store().await;
    for settings in [
        "enable_hashjoin=off enable_mergejoin=off enable_material=off",
        "enable_indexscan=off enable_bitmapscan=off enable_indexonlyscan=off",
        "enable_seqscan=off enable_sort=off",
        "enable_nestloop=off enable_tidscan=off",
    ] {
        fill(&raw, 3_000).await;
        // A user of whom the planner is told so.
        let user = format!("planner_{}", settings.len());
        let user = format!("{user}_{}", ordinary.table());
        raw.run(&format!("CREATE ROLE \"{user}\" SUPERUSER LOGIN")).await;
        for setting in settings.split(' ') {
            raw.run(&format!("ALTER ROLE \"{user}\" SET {}", setting.replace('=', " = "))).await;
        }
        let url = shared_url().replace("//postgres@", &format!("//{user}@"));
        let store = PostgresStore::builder().table(ordinary.table()).connect(&url).await.unwrap();
        let purger = store.purger().unwrap();
        let some = purger.purge(NonZeroU32::new(700).unwrap(), now()).await.unwrap();
        assert_eq!((some.removed, some.more), (700, true), "{settings}");
        assert_eq!(raw.rows().await, 2_300, "{settings}");
        let rest = purger.purge(NonZeroU32::new(100_000).unwrap(), now()).await.unwrap();
        assert_eq!((rest.removed, rest.more), (2_300, false), "{settings}");
    }
}

#[tokio::test]
async fn rows_that_somebody_holds_are_passed_over() {
    let (store, raw) = store().await;
    fill(&raw, 10).await;
    let holder = Raw::open(shared_url(), store.table()).await;
    holder.run("BEGIN; SELECT 1 FROM {table} WHERE revision <= 4 FOR UPDATE").await;
    let purger = store.purger().unwrap();
    let limit = NonZeroU32::new(100).unwrap();
    assert_eq!(purger.purge(limit, now()).await.unwrap().removed, 6);
    holder.run("ROLLBACK").await;
    assert_eq!(purger.purge(limit, now()).await.unwrap().removed, 4);
}

#[tokio::test]
async fn a_session_that_was_prolonged_is_looked_at_again_at_its_new_end() {
    let (store, raw) = store().await;
    let session = login();
    let _ = store.create(&session, now()).await.unwrap();
    let later = now().plus(minutes(90));
    let _ = store.touch(session.id(), later, now()).await.unwrap();
    let purger = store.purger().unwrap();
    let limit = NonZeroU32::new(100).unwrap();
    let due = session.expires_at().plus(minutes(1));
    assert_eq!(purger.purge(limit, due).await.unwrap().removed, 0);
    let moved = "SELECT count(*) FROM {table} WHERE purge_after > now() + interval '80 minutes'";
    assert_eq!(raw.number(moved).await, 1);
    assert_eq!(purger.purge(limit, later.plus(minutes(1))).await.unwrap().removed, 1);
}
