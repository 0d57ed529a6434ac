//! What an acknowledged write survives, on a server of the test's own that keeps its tables on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use conformance_tests::servers::{DynamoOptions, DynamoServer};
use session_core::{
    CreateOutcome, SessionStore, StoreError, StoreErrorKind, TouchOutcome, UpdateOutcome,
};
use session_dynamo::DynamoStore;

use crate::support::{builder, kind, minutes, now, record, revision};

async fn server() -> (DynamoServer, DynamoStore) {
    let options = DynamoOptions::new().on_disk();
    let server = tokio::task::spawn_blocking(move || DynamoServer::start(options).unwrap());
    let server = server.await.unwrap();
    let store = builder().connect_lazily(&server.url()).unwrap();
    store.create_tables().await.unwrap();
    (server, store)
}

/// Tries again until `attempt` succeeds.
async fn soon<T, F>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn acknowledged_writes_survive_a_crash_of_the_server() {
    let (server, store) = server().await;
    let (kept, changed, deleted) = (record(), record(), record());
    for session in [&kept, &changed, &deleted] {
        assert_eq!(store.create(session, now()).await.unwrap(), CreateOutcome::Created);
    }
    let change = changed.change(revision()).payload("more");
    assert_eq!(store.update(&change, now()).await.unwrap(), UpdateOutcome::Updated);
    let later = now().plus(minutes(60));
    assert_eq!(store.touch(kept.id(), later, now()).await.unwrap(), TouchOutcome::Touched);
    assert!(store.delete(deleted.id(), now()).await.unwrap());
    server.kill().unwrap();
    assert_eq!(kind(store.load(kept.id(), now()).await), StoreErrorKind::Unavailable);
    assert_eq!(kind(store.create(&record(), now()).await), StoreErrorKind::Unavailable);

    server.restart().unwrap();
    let found = soon(|| store.load(kept.id(), now())).await.unwrap();
    assert_eq!(found.expires_at(), later);
    let found = store.load(changed.id(), now()).await.unwrap();
    assert_eq!(found.as_ref(), Some(change.record()));
    assert_eq!(store.load(deleted.id(), now()).await.unwrap(), None);
}

#[tokio::test]
async fn a_crash_during_writes_leaves_the_old_or_the_new_and_never_a_part() {
    let (server, store) = server().await;
    let sessions: Vec<_> = (0..8).map(|_| record()).collect();
    for session in &sessions {
        store.create(session, now()).await.unwrap();
    }
    // Each task replaces the content of its session until the server is gone.
    let acknowledged = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let (mut stored, mut tries) = (session, 0_u32);
                loop {
                    tries += 1;
                    let change = stored.change(revision()).payload(format!("{tries}"));
                    match store.update(&change, now()).await {
                        Ok(outcome) => assert_eq!(outcome, UpdateOutcome::Updated),
                        Err(_) => return (stored, change.record().clone()),
                    }
                    stored = change.record().clone();
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while acknowledged.load(Ordering::SeqCst) < 40 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.kill().unwrap();
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.unwrap());
    }
    server.restart().unwrap();
    for (acknowledged, attempted) in ended {
        let found = soon(|| store.load(acknowledged.id(), now())).await.unwrap();
        assert!(found == acknowledged || found == attempted, "{found:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_used_again_when_it_goes_on() {
    let (server, patient) = server().await;
    let settings = DynamoStore::builder().table(patient.table());
    let store = settings
        .attempt_timeout(Duration::from_millis(300))
        .deadline(Duration::from_millis(800))
        .connect_lazily(&server.url())
        .unwrap();
    let session = record();
    patient.create(&session, now()).await.unwrap();
    server.pause().unwrap();
    let start = Instant::now();
    assert_eq!(kind(store.load(session.id(), now()).await), StoreErrorKind::Unavailable);
    let update = store.update(&session.change(revision()), now()).await;
    assert_eq!(kind(update), StoreErrorKind::OutcomeUnknown);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    server.resume().unwrap();
    let found = soon(|| store.load(session.id(), now())).await;
    assert_eq!(found.map(|it| *it.id()), Some(*session.id()));
}
