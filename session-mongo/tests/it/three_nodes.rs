//! A replica set of three that loses its primary while it is used: what was acknowledged stays.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::load::{Load, Progress, Running};
use conformance_tests::servers::MongoSet;
use session_core::{SessionStore, StoreErrorKind};
use session_mongo::MongoStore;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::support::{kind, login, now, on_own_thread, unique_name, within};

/// The deadline of a call, and room for a busy machine.
const LONGEST_CALL: Duration = Duration::from_secs(6);
/// An election, on a busy machine, and the driver's finding out.
const ELECTION: Duration = Duration::from_secs(60);

/// Three servers at a time are enough for a machine.
static ONE_SET: Mutex<()> = Mutex::const_new(());

async fn set_of_three() -> (Arc<MongoSet>, MutexGuard<'static, ()>) {
    let turn = ONE_SET.lock().await;
    (Arc::new(tokio::task::spawn_blocking(|| MongoSet::start(3).unwrap()).await.unwrap()), turn)
}

/// Three clients with connections of their own on each of a few sessions.
async fn load(set: &MongoSet) -> Running {
    let name = unique_name();
    let mut handles: Vec<Arc<dyn SessionStore>> = Vec::new();
    for _ in 0..3 {
        // By default a new primary may show the moment before; what is tested is that nothing is undone.
        let builder = MongoStore::builder().collection(&name).connections(4).linearizable_loads();
        let store = builder.connect(&set.url()).await.unwrap();
        store.ensure_indexes().await.unwrap();
        handles.push(Arc::new(store));
    }
    let load = Load::new(u64::from(std::process::id()));
    load.longest_call(LONGEST_CALL).longest_outage(ELECTION).start(handles)
}

async fn succeeds_again(load: &Running) {
    load.succeeds_within(ELECTION).await.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Ends the load, and says what was seen. Fails when a history has no order.
async fn ended(load: Running) -> Progress {
    let seen = load.end().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(seen.histories > 0, "{seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_step_downs_and_kills_of_the_primary_under_load() {
    let (set, _turn) = set_of_three().await;
    let load = load(&set).await;
    for _ in 0..2 {
        succeeds_again(&load).await;
        sleep(Duration::from_millis(300)).await;
        on_own_thread(&set, |set| set.step_down().unwrap()).await;
        succeeds_again(&load).await;

        sleep(Duration::from_millis(300)).await;
        let dead = on_own_thread(&set, |set| {
            let primary = set.primary().unwrap();
            primary.kill().unwrap();
            primary.port()
        });
        let dead = dead.await;
        succeeds_again(&load).await;
        on_own_thread(&set, move |set| {
            set.members().iter().find(|it| it.port() == dead).unwrap().restart().unwrap();
        })
        .await;
    }
    let seen = ended(load).await;
    assert!(seen.refused + seen.unknown > 0, "no call met an outage: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_stops_is_replaced_and_acknowledges_nothing_when_it_goes_on() {
    let (set, _turn) = set_of_three().await;
    let load = load(&set).await;
    succeeds_again(&load).await;
    let stopped = on_own_thread(&set, |set| {
        let primary = set.primary().unwrap();
        primary.pause().unwrap();
        primary.port()
    });
    let stopped = stopped.await;
    succeeds_again(&load).await;
    sleep(Duration::from_secs(1)).await;
    on_own_thread(&set, move |set| {
        set.members().iter().find(|it| it.port() == stopped).unwrap().resume().unwrap();
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    succeeds_again(&load).await;
    ended(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_acknowledged_and_nobody_is_logged_out() {
    let (set, _turn) = set_of_three().await;
    let store = MongoStore::builder().collection(unique_name()).connect(&set.url()).await.unwrap();
    store.ensure_indexes().await.unwrap();
    let surer = MongoStore::builder().collection(store.collection()).linearizable_loads();
    let surer = surer.connect(&set.url()).await.unwrap();
    let (kept, ended) = (login(), login());
    for session in [&kept, &ended] {
        let _ = store.create(session, now()).await.unwrap();
    }
    let dead = on_own_thread(&set, |set| {
        let primary = set.primary().unwrap().port();
        let others = set.members().iter().filter(|it| it.port() != primary);
        others.map(|it| (it.kill().unwrap(), it.port()).1).collect::<Vec<_>>()
    });
    let dead = dead.await;
    // Nobody confirms that the primary still is one; soon it knows that it is none.
    let expected = [StoreErrorKind::ReadOnly, StoreErrorKind::Timeout, StoreErrorKind::Unavailable];
    let error = kind(surer.load(kept.id(), now()).await);
    assert!(expected.contains(&error), "{error:?}");
    let error = kind(store.delete(ended.id(), now()).await);
    let may_be_done = [StoreErrorKind::NotDurable, StoreErrorKind::OutcomeUnknown];
    assert!(expected.contains(&error) || may_be_done.contains(&error), "{error:?}");
    let loaded = store.load(kept.id(), now()).await;
    // As long as the primary does not know yet that it is alone, it may answer; but not that there is none.
    assert!(!loaded.as_ref().is_ok_and(|found| found.as_ref() != Some(&kept)), "{loaded:?}");

    on_own_thread(&set, move |set| {
        for member in set.members().iter().filter(|it| dead.contains(&it.port())) {
            member.restart().unwrap();
        }
        let _ = set.primary().unwrap();
    })
    .await;
    assert_eq!(within(ELECTION, || store.load(kept.id(), now())).await, Some(kept));
    // Whether it was ended before or is ended now: when that is acknowledged, it is gone.
    within(ELECTION, || store.delete(ended.id(), now())).await;
    assert_eq!(within(ELECTION, || store.load(ended.id(), now())).await, None);
}
