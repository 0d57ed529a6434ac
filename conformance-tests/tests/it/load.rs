//! The load finds what is wrong with a store, and only that.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::doubles::{Fault, Op, ScriptedStore, SlowStore};
use conformance_tests::load::{Load, Progress};
use session_core::{SessionStore, StoreErrorKind};
use tokio::time::Instant;

use crate::defects::Defect;
use crate::store::TestStore;

/// Three handles on one store.
fn handles(defect: Option<Defect>) -> Vec<Arc<dyn SessionStore>> {
    let data = Arc::default();
    let handle = |_| Arc::new(TestStore::new(Arc::clone(&data), "load", defect)) as _;
    (0..3).map(handle).collect()
}

async fn run(handles: Vec<Arc<dyn SessionStore>>) -> Result<Progress, String> {
    let load = Load::new(7).histories(200).longest_call(Duration::from_secs(2));
    load.start(handles).end().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_defects_passes() {
    let seen = run(handles(None)).await.unwrap();
    assert_eq!((seen.histories, seen.refused, seen.unknown), (200, 0, 0));
    assert!(seen.calls >= 200 * 3 * 8, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_that_shows_under_load_is_found() {
    for (defect, said) in [
        (Defect::UpdateIsBlind, "no order explains this history"),
        (Defect::DeleteRemovesNothing, "no order explains this history"),
        (Defect::DeleteChecksThenRemoves, "no order explains this history"),
        (Defect::UpdateIsNotIndexed, "not in the list of its subject"),
        (Defect::DeleteAllRemovesNothing, "alive after a `delete_all`"),
    ] {
        let failure = run(handles(Some(defect))).await.expect_err("a broken store");
        assert!(failure.contains(said), "{defect:?}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_the_wait_for_a_success() {
    let load = Load::new(7).start(handles(Some(Defect::DeleteRemovesNothing)));
    let (begun, patience) = (Instant::now(), Duration::from_secs(60));
    let failure = loop {
        if let Err(failure) = load.succeeds_within(patience).await {
            break failure.to_string();
        }
    };
    assert!(failure.contains("no order explains this history"), "{failure}");
    assert!(begun.elapsed() < patience);
    assert_eq!(load.failure(), Some(failure));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_told() {
    let slow = SlowStore::new(handles(None).remove(0), Duration::from_secs(60));
    let failure = run(vec![Arc::new(slow)]).await.unwrap_err();
    assert!(failure.contains("did not end in 2s"), "{failure}");
}

/// A store whose first calls of each kind meet this.
fn scripted(fault: Fault) -> Arc<dyn SessionStore> {
    let store = ScriptedStore::new(handles(None).remove(0));
    for op in [Op::Create, Op::Update, Op::Delete, Op::Touch] {
        (0..20).for_each(|_| store.then(op, fault));
    }
    Arc::new(store)
}

#[tokio::test(start_paused = true)]
async fn refused_calls_are_made_again_and_lost_answers_are_unknown() {
    let seen = run(vec![scripted(Fault::Before(StoreErrorKind::Unavailable))]).await.unwrap();
    assert_eq!((seen.refused, seen.unknown), (80, 0));
    let seen = run(vec![scripted(Fault::After(StoreErrorKind::OutcomeUnknown))]).await.unwrap();
    assert_eq!(seen.refused, 0);
    assert!(seen.unknown >= 60, "{seen:?}");
    // What is not durable may be there or be undone: neither refused nor made.
    for fault in [Fault::Before, Fault::After] {
        let seen = run(vec![scripted(fault(StoreErrorKind::NotDurable))]).await.unwrap();
        assert_eq!(seen.refused, 0);
        assert!(seen.unknown >= 60, "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_may_be_as_long_as_was_said() {
    let run = async |longest| {
        let store = ScriptedStore::new(handles(None).remove(0));
        (0..10_000).for_each(|_| store.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable)));
        let load = Load::new(7).histories(8).longest_outage(longest);
        load.start(vec![Arc::new(store)]).end().await
    };
    let failure = run(Duration::from_millis(500)).await.unwrap_err().to_string();
    assert!(failure.contains("no answer in 500ms"), "{failure}");
    let seen = run(Duration::from_secs(600)).await.unwrap();
    assert_eq!((seen.histories, seen.refused), (8, 10_000));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lies_about_what_it_refused_is_found() {
    let failure = run(vec![scripted(Fault::After(StoreErrorKind::Unavailable))]).await.unwrap_err();
    assert!(failure.contains("no order explains this history"), "{failure}");
    let failure = run(vec![scripted(Fault::Before(StoreErrorKind::Corrupt))]).await.unwrap_err();
    assert!(failure.contains("corrupt"), "{failure}");
}
