//! A server that is killed or stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_tests::servers::{MongoOptions, MongoServer};
use session_core::{SessionStore as _, StoreErrorKind};

use crate::support::{RECOVERY, kind, now, on_own_thread, own_server, record, store_on, within};

/// The deadline of a call, and room for a slow machine.
const IN_TIME: Duration = Duration::from_secs(5);

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let server = Arc::new(own_server(MongoOptions::new()).await);
    let store = store_on(&server.url()).await;
    let (kept, ended) = (record(), record());
    for each in [&kept, &ended] {
        let _ = store.create(each, now()).await.unwrap();
    }
    assert!(store.delete(ended.id(), now()).await.unwrap());

    on_own_thread(&server, |server: &MongoServer| server.kill().unwrap()).await;
    let begun = Instant::now();
    let trouble = kind(store.load(kept.id(), now()).await);
    assert!(
        matches!(trouble, StoreErrorKind::Unavailable | StoreErrorKind::Timeout),
        "{trouble:?}"
    );
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());

    on_own_thread(&server, |server: &MongoServer| server.restart().unwrap()).await;
    let found = within(RECOVERY, || store.load(kept.id(), now())).await;
    assert_eq!(found.map(|record| record.revision()), Some(kept.revision()));
    assert_eq!(store.load(ended.id(), now()).await.unwrap(), None, "logged out stays logged out");
}

#[tokio::test]
async fn a_server_that_is_stopped_is_waited_for_no_longer_than_the_deadline() {
    let server = Arc::new(own_server(MongoOptions::new()).await);
    let store = store_on(&server.url()).await;
    let session = record();
    let _ = store.create(&session, now()).await.unwrap();

    on_own_thread(&server, |server: &MongoServer| server.pause().unwrap()).await;
    let begun = Instant::now();
    let (read, written) =
        tokio::join!(store.load(session.id(), now()), store.delete(session.id(), now()));
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    assert!(matches!(kind(read), StoreErrorKind::Unavailable | StoreErrorKind::Timeout));
    // Whether the server has it is not known: never "there was no such session".
    assert!(matches!(kind(written), StoreErrorKind::OutcomeUnknown | StoreErrorKind::Timeout));

    on_own_thread(&server, |server: &MongoServer| server.resume().unwrap()).await;
    within(RECOVERY, || store.create(&session, now())).await;
}
