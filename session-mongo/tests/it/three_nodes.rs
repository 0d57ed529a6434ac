//! A replica set of three that loses its primary while it is used: what was acknowledged stays.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use conformance_tests::load::{Load, Progress, Running};
use conformance_tests::servers::MongoSet;
use session_core::{PageRequest, SessionStore, StoreErrorKind};
use session_mongo::MongoStore;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::support::{alice, kind, login, now, on_own_thread, unique_name, within};

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
        let builder = MongoStore::builder().collection(&name).connections(4).linearizable_reads();
        let store = builder.connect(&set.url()).await.unwrap();
        store.ensure_indexes().await.unwrap();
        handles.push(Arc::new(store));
    }
    let load = Load::new(u64::from(std::process::id()));
    load.longest_call(LONGEST_CALL).longest_outage(ELECTION).start(handles)
}

async fn succeeds_again(load: &Running, set: &Arc<MongoSet>) {
    if let Err(failure) = load.succeeds_within(ELECTION).await {
        fail(&failure, set).await;
    }
}

/// Ends the load, and says what was seen. Fails when a history has no order.
async fn ended(load: Running, set: &Arc<MongoSet>) -> Progress {
    match load.end().await {
        Ok(seen) => {
            assert!(seen.histories > 0, "{seen:?}");
            seen
        }
        Err(failure) => fail(&failure, set).await,
    }
}

async fn fail(failure: &impl Display, set: &Arc<MongoSet>) -> ! {
    let members = on_own_thread(set, MongoSet::describe).await;
    panic!("{failure}\n{members}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_step_downs_and_kills_of_the_primary_under_load() {
    let (set, _turn) = set_of_three().await;
    let load = load(&set).await;
    for _ in 0..2 {
        succeeds_again(&load, &set).await;
        sleep(Duration::from_millis(300)).await;
        on_own_thread(&set, |set| set.step_down().unwrap()).await;
        succeeds_again(&load, &set).await;

        sleep(Duration::from_millis(300)).await;
        let dead = on_own_thread(&set, |set| {
            let primary = set.primary().unwrap();
            primary.kill().unwrap();
            primary.port()
        });
        let dead = dead.await;
        succeeds_again(&load, &set).await;
        on_own_thread(&set, move |set| {
            set.members().iter().find(|it| it.port() == dead).unwrap().restart().unwrap();
        })
        .await;
    }
    let seen = ended(load, &set).await;
    assert!(seen.refused + seen.unknown > 0, "no call met an outage: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_stops_is_replaced_and_acknowledges_nothing_when_it_goes_on() {
    let (set, _turn) = set_of_three().await;
    let load = load(&set).await;
    succeeds_again(&load, &set).await;
    let stopped = on_own_thread(&set, |set| {
        let primary = set.primary().unwrap();
        primary.pause().unwrap();
        primary.port()
    });
    let stopped = stopped.await;
    succeeds_again(&load, &set).await;
    sleep(Duration::from_secs(1)).await;
    on_own_thread(&set, move |set| {
        set.members().iter().find(|it| it.port() == stopped).unwrap().resume().unwrap();
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    succeeds_again(&load, &set).await;
    ended(load, &set).await;
}

/// As it is for a moment after a failover: the primary has more than it knows a majority to have. Of that it must
/// overlook nothing when everybody is to be logged out.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_majority_is_not_known_to_have_is_not_overlooked_by_a_logout_everywhere() {
    let (set, _turn) = set_of_three().await;
    let url = set.url();
    let store = MongoStore::builder().collection(unique_name()).connect(&url).await.unwrap();
    store.ensure_indexes().await.unwrap();
    let builder = MongoStore::builder().collection(store.collection());
    let surer = builder.linearizable_reads().connect(&url).await.unwrap();
    let session = login();
    on_own_thread(&set, |set| set.pause_replication().unwrap()).await;
    let error = kind(store.create(&session, now()).await);
    assert_eq!(error, StoreErrorKind::NotDurable);

    let (index, user, page) = (store.subject_index().unwrap(), alice(), PageRequest::first(10));
    assert_eq!(index.list(&user, &page, now()).await.unwrap().items, [], "the moment before");
    let refusals = [
        kind(index.delete_all(&user, None, now()).await),
        kind(surer.subject_index().unwrap().list(&user, &page, now()).await),
        kind(surer.inspect().unwrap().count(now()).await),
    ];
    let expected = [StoreErrorKind::Timeout, StoreErrorKind::Unavailable];
    assert!(refusals.iter().all(|refusal| expected.contains(refusal)), "{refusals:?}");

    on_own_thread(&set, |set| set.resume_replication().unwrap()).await;
    assert_eq!(within(ELECTION, || index.delete_all(&user, None, now())).await, 1);
    assert_eq!(surer.load(session.id(), now()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_acknowledged_and_nobody_is_logged_out() {
    let (set, _turn) = set_of_three().await;
    let store = MongoStore::builder().collection(unique_name()).connect(&set.url()).await.unwrap();
    store.ensure_indexes().await.unwrap();
    let surer = MongoStore::builder().collection(store.collection()).linearizable_reads();
    let surer = surer.connect(&set.url()).await.unwrap();
    // A busy machine may need longer than a call may take.
    let patient = MongoStore::builder().collection(store.collection()).deadline(ELECTION);
    let patient = patient.connect(&set.url()).await.unwrap();
    let (kept, ended) = (login(), login());
    for session in [&kept, &ended] {
        let _ = patient.create(session, now()).await.unwrap();
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
