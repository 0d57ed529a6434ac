//! The background task, on tokio's paused time and a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, ManualClock, SessionStore, StoreErrorKind};

use super::*;

const PERIOD: Duration = Duration::from_secs(60);

fn clock() -> (ManualClock, Arc<dyn Clock>) {
    let clock = ManualClock::at(NOW);
    (clock.clone(), Arc::new(clock))
}

/// Lets paused time pass, so that the task runs at least `periods` times.
async fn pass(periods: u32) {
    tokio::time::sleep(PERIOD * periods + Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn it_removes_what_is_over_after_the_margin() {
    let store = MemoryStore::new();
    for _ in 0..2_000 {
        store.create(&anonymous(), NOW).await.unwrap();
    }
    let (hand, clock) = clock();
    store.spawn_purge(PERIOD, clock).unwrap();
    hand.advance(Duration::from_millis(10 * MINUTE + MARGIN - 1));
    pass(3).await;
    assert_eq!(store.stored_sessions(), 2_000);
    hand.advance(Duration::from_millis(1));
    pass(1).await;
    assert_eq!((store.stored_sessions(), store.stored_bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_the_last_handle_is_dropped() {
    let store = MemoryStore::new();
    let (_, clock) = clock();
    let task = store.spawn_purge(PERIOD, clock).unwrap();
    let other = store.clone();
    pass(2).await;
    drop(store);
    pass(2).await;
    assert!(!task.is_finished(), "a handle is left");
    let weak = Arc::downgrade(&other.shared);
    drop(other);
    assert!(weak.upgrade().is_none(), "the task does not keep the store");
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
}

#[tokio::test(start_paused = true)]
async fn it_can_be_stopped_earlier_and_several_do_no_harm() {
    let store = MemoryStore::new();
    let (hand, clock) = clock();
    let first = store.spawn_purge(PERIOD, Arc::clone(&clock)).unwrap();
    store.spawn_purge(PERIOD, Arc::clone(&clock)).unwrap();
    store.spawn_purge(PERIOD, clock).unwrap();
    first.abort();
    store.create(&anonymous(), NOW).await.unwrap();
    hand.advance(Duration::from_millis(10 * MINUTE + MARGIN));
    pass(1).await;
    assert_eq!(store.stored_sessions(), 0);
}

#[tokio::test]
async fn a_period_of_zero_is_refused() {
    let error = MemoryStore::new().spawn_purge(Duration::ZERO, clock().1).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Config);
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let error = MemoryStore::new().spawn_purge(PERIOD, clock().1).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Config);
}
