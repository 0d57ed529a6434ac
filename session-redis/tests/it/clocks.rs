//! Clocks that are far apart: each handle has its own, the server another one.

use std::time::Duration;

use session_core::{
    Clock, CreateOutcome, ManualClock, Record, SessionStore, TouchOutcome, UpdateOutcome,
};
use session_redis::Severity;

use crate::support::{Raw, alice, minutes, now, record_with, revision, store};

const APART: Duration = Duration::from_secs(2 * 3_600);

/// Two application servers whose clocks are wrong, one by two hours ahead and one by two hours behind.
fn wrong_clocks() -> [ManualClock; 2] {
    [ManualClock::at(now().plus(APART)), ManualClock::at(now().minus(APART))]
}

/// A session of Alice's that began now by this clock, with half an hour of idle and ten hours of absolute life.
fn login_at(clock: &ManualClock) -> Record {
    record_with(|parts| {
        let now = clock.now();
        parts.subject = Some(alice());
        (parts.created_at, parts.expires_at) = (now, now.plus(minutes(30)));
        parts.deadline = now.plus(minutes(600));
    })
}

/// How long the server still keeps the record.
async fn kept_for(raw: &mut Raw, session: &Record) -> Duration {
    let key = raw.record_key(session.id());
    Duration::from_millis(u64::try_from(raw.pttl(&key).await).expect("the key has a time to live"))
}

/// The same, less what a test takes.
fn is_about(time: Duration, expected: Duration) -> bool {
    expected.checked_sub(time).is_some_and(|less| less < minutes(1))
}

#[tokio::test]
async fn f16_a_clock_two_hours_off_neither_prolongs_a_life_nor_ends_it() {
    let (store, mut raw) = store().await;
    let longest = minutes(30) + store.margin();
    for clock in wrong_clocks() {
        let session = login_at(&clock);
        assert_eq!(store.create(&session, clock.now()).await.unwrap(), CreateOutcome::Created);
        // By its own clock it lives as ever, and the server keeps it as long as any other.
        assert_eq!(store.load(session.id(), clock.now()).await.unwrap().as_ref(), Some(&session));
        let kept = kept_for(&mut raw, &session).await;
        assert!(is_about(kept, longest), "{kept:?}");
        clock.advance(minutes(10));
        let later = clock.now().plus(minutes(30));
        let touched = store.touch(session.id(), later, clock.now()).await.unwrap();
        assert_eq!(touched, TouchOutcome::Touched);
        let kept = kept_for(&mut raw, &session).await;
        assert!(is_about(kept, longest), "{kept:?}");
        let change = session.change(revision());
        let updated = store.update(&change, clock.now()).await.unwrap();
        assert_eq!(updated, UpdateOutcome::Updated);
        let kept = kept_for(&mut raw, &session).await;
        assert!(is_about(kept, longest), "{kept:?}");
        assert!(store.delete(session.id(), clock.now()).await.unwrap());
    }
}

#[tokio::test]
async fn f16_a_session_that_a_wrong_clock_does_not_see_is_still_there() {
    let (store, mut raw) = store().await;
    let right = ManualClock::starting_now();
    let session = login_at(&right);
    store.create(&session, right.now()).await.unwrap();
    let stored = raw.get(session.id()).await;
    let [ahead, _] = wrong_clocks();
    assert_eq!(store.load(session.id(), ahead.now()).await.unwrap(), None, "hidden from itself");
    let touched = store.touch(session.id(), ahead.now().plus(minutes(30)), ahead.now()).await;
    assert_eq!(touched.unwrap(), TouchOutcome::Missing);
    let updated = store.update(&session.change(revision()), ahead.now()).await;
    assert_eq!(updated.unwrap(), UpdateOutcome::Missing);
    assert_eq!(raw.get(session.id()).await, stored, "and not destroyed");
    assert_eq!(store.load(session.id(), right.now()).await.unwrap(), Some(session));
}

#[tokio::test]
async fn f16_check_reports_a_clock_two_hours_off() {
    let (store, _) = store().await;
    for clock in wrong_clocks() {
        let report = store.check(clock.now()).await.unwrap();
        assert!(!report.is_ok());
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
        assert!(errors.map(|finding| &finding.text).any(|text| text.contains("clocks")));
        let skew = report.clock_skew.unwrap();
        assert!(skew.abs_diff(APART) < minutes(1), "{skew:?}");
    }
}
