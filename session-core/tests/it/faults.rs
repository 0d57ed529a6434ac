//! Store trouble is an error and never "no session"; unknown outcomes are settled; nothing is applied twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use conformance_tests::doubles::{Fault, Op};
use session_core::{
    CommitOutcome, Opened, SessionError, SessionStore, Sessions, StoreErrorKind, TokenChange,
};

use session_memory::MemoryStore;

use crate::setup::{NoRandom, Setup, token};
use crate::unindexed::Unindexed;

const UNKNOWN: StoreErrorKind = StoreErrorKind::OutcomeUnknown;
const DOWN: StoreErrorKind = StoreErrorKind::Unavailable;

fn kind(error: &SessionError) -> Option<StoreErrorKind> {
    match error {
        SessionError::Store(error) => Some(error.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_never_an_anonymous_session() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    for down in [DOWN, StoreErrorKind::Timeout, StoreErrorKind::Overloaded, UNKNOWN] {
        setup.script.then(Op::Load, Fault::Before(down));
        let error = setup.sessions.open(Some(cookie.as_bytes())).await.unwrap_err();
        assert_eq!(kind(&error), Some(down));
    }
    assert_eq!(setup.open(&cookie).await.opened(), Opened::Live);
}

#[tokio::test]
async fn a_later_format_is_an_error_and_a_corrupt_record_a_new_session_under_another_id() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    setup.script.then(Op::Load, Fault::Before(StoreErrorKind::UnsupportedFormat));
    let error = setup.sessions.open(Some(cookie.as_bytes())).await.unwrap_err();
    assert_eq!(kind(&error), Some(StoreErrorKind::UnsupportedFormat));

    let old = setup.open(&cookie).await.id();
    setup.script.then(Op::Load, Fault::Before(StoreErrorKind::Corrupt));
    let mut session = setup.open(&cookie).await;
    assert_eq!(session.opened(), Opened::Corrupt);
    session.data_mut().insert("n", &2).unwrap();
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_ne!(session.id(), old);
    assert_eq!(setup.stored_n(&cookie).await, Some(1), "the old record is kept");
}

#[tokio::test]
async fn malformed_tokens_make_no_store_call() {
    let setup = Setup::new();
    for bad in ["", " ", "../../etc/passwd", "'; DROP TABLE s;--", "*", "\r\nDEL x\r\n", "\u{2000}"]
    {
        let session = setup.sessions.open(Some(bad.as_bytes())).await.unwrap();
        assert_eq!(session.opened(), Opened::Malformed);
    }
    let huge = vec![b'a'; 1 << 20];
    assert_eq!(setup.sessions.open(Some(&huge)).await.unwrap().opened(), Opened::Malformed);
    assert!(setup.spy.take_calls().is_empty());
}

#[tokio::test]
async fn an_update_that_was_applied_is_recognised_and_not_repeated() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    let runs = Arc::new(AtomicU32::new(0));
    let mut session = setup.open(&cookie).await;
    let counted = Arc::clone(&runs);
    session
        .data_mut()
        .alter("n", move |n: Option<u64>| {
            counted.fetch_add(1, Ordering::SeqCst);
            n.unwrap_or(0) + 1
        })
        .unwrap();
    setup.script.then(Op::Update, Fault::After(UNKNOWN));
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_eq!(setup.stored_n(&cookie).await, Some(2));
    assert_eq!(runs.load(Ordering::SeqCst), 1, "no closure runs twice");
    assert!(setup.script.is_through());
}

#[tokio::test]
async fn an_update_that_was_lost_is_sent_again_with_the_same_revision() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    let mut session = setup.open(&cookie).await;
    session.data_mut().insert("n", &2).unwrap();
    setup.forget_calls();
    setup.script.then(Op::Update, Fault::Before(UNKNOWN));
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_eq!(setup.spy.take_calls(), [Op::Update, Op::Load, Op::Update]);
    assert_eq!(setup.stored_n(&cookie).await, Some(2));
}

#[tokio::test]
async fn a_login_whose_index_entry_may_be_missing_is_sent_again() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    let mut session = setup.open(&cookie).await;
    setup.forget_calls();
    setup.script.then(Op::Update, Fault::After(UNKNOWN));
    let alice = setup.sessions.subject("alice").unwrap();
    setup.sessions.login(&mut session, alice.clone()).await.unwrap();
    assert_eq!(setup.spy.take_calls(), [Op::Update, Op::Load, Op::Update]);
    assert_eq!(setup.open(&token(&session)).await.subject(), Some(&alice));
}

#[tokio::test]
async fn what_cannot_be_settled_is_an_error_and_the_handle_is_spent() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    // The look fails too.
    let mut session = setup.open(&cookie).await;
    session.data_mut().insert("n", &2).unwrap();
    setup.script.then(Op::Update, Fault::After(UNKNOWN));
    setup.script.then(Op::Load, Fault::Before(DOWN));
    let error = setup.sessions.commit(&mut session).await.unwrap_err();
    assert!(error.is_outcome_unknown());
    assert!(matches!(session.token_change(), TokenChange::Keep));
    let again = setup.sessions.commit(&mut session).await.unwrap_err();
    assert!(matches!(again, SessionError::NotCurrent), "no second application");
    assert_eq!(setup.stored_n(&cookie).await, Some(2));

    // Somebody else wrote in between, so nobody can tell.
    let mut session = setup.open(&cookie).await;
    session.data_mut().insert("n", &3).unwrap();
    let mut other = setup.open(&cookie).await;
    other.data_mut().insert("n", &4).unwrap();
    let outcome = setup.sessions.commit(&mut other).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    setup.script.then(Op::Update, Fault::Before(UNKNOWN));
    assert!(setup.sessions.commit(&mut session).await.unwrap_err().is_outcome_unknown());
    assert_eq!(setup.stored_n(&cookie).await, Some(4));
}

#[tokio::test]
async fn a_write_that_is_not_durable_is_an_error_and_never_settled() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    let mut session = setup.open(&cookie).await;
    session.data_mut().insert("n", &2).unwrap();
    setup.forget_calls();
    setup.script.then(Op::Update, Fault::After(StoreErrorKind::NotDurable));
    let error = setup.sessions.commit(&mut session).await.unwrap_err();
    assert_eq!(kind(&error), Some(StoreErrorKind::NotDurable));
    assert_eq!(setup.spy.take_calls(), [Op::Update]);
    assert!(setup.sessions.commit(&mut session).await.is_err(), "the handle is spent");
}

#[tokio::test]
async fn a_create_of_unknown_outcome_is_deleted_and_made_again_under_another_id() {
    for fault in [Fault::After(UNKNOWN), Fault::Before(UNKNOWN)] {
        let setup = Setup::new();
        let mut session = setup.sessions.open(None).await.unwrap();
        session.data_mut().insert("n", &1).unwrap();
        setup.script.then(Op::Create, fault);
        let outcome = setup.sessions.commit(&mut session).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Saved);
        assert_eq!(setup.spy.take_calls(), [Op::Create, Op::Delete, Op::Create]);
        assert_eq!(setup.stored_n(&token(&session)).await, Some(1));
        let count = setup.sessions.count().await.unwrap();
        assert_eq!(count, session_core::Count::Exact(1), "the first one is gone");
    }
    let setup = Setup::new();
    let mut session = setup.sessions.open(None).await.unwrap();
    session.data_mut().insert("n", &1).unwrap();
    setup.script.then(Op::Create, Fault::Before(UNKNOWN));
    setup.script.then(Op::Create, Fault::Before(UNKNOWN));
    assert!(setup.sessions.commit(&mut session).await.unwrap_err().is_outcome_unknown());
    assert!(matches!(session.token_change(), TokenChange::Keep), "no token was handed out");
}

#[tokio::test]
async fn a_taken_id_is_answered_with_a_fresh_one_and_not_for_ever() {
    let setup = Setup::new();
    let mut session = setup.sessions.open(None).await.unwrap();
    session.data_mut().insert("n", &1).unwrap();
    setup.script.then(Op::Create, Fault::IdTaken);
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_eq!(setup.spy.take_calls(), [Op::Create, Op::Create]);

    let mut session = setup.sessions.open(None).await.unwrap();
    session.data_mut().insert("n", &1).unwrap();
    for _ in 0..100 {
        setup.script.then(Op::Create, Fault::IdTaken);
    }
    let error = setup.sessions.commit(&mut session).await.unwrap_err();
    assert!(matches!(error, SessionError::Random(_)));
    assert_eq!(setup.spy.take_calls().len(), 4);
}

#[tokio::test]
async fn a_logout_that_fails_is_an_error_and_the_session_is_still_there() {
    let setup = Setup::new();
    let cookie = setup.logged_in().await;
    let mut session = setup.open(&cookie).await;
    setup.script.then(Op::Delete, Fault::Before(StoreErrorKind::ReadOnly));
    let error = setup.sessions.destroy(&mut session).await.unwrap_err();
    assert_eq!(kind(&error), Some(StoreErrorKind::ReadOnly));
    assert!(matches!(session.token_change(), TokenChange::Keep), "no removal cookie");
    assert!(session.subject().is_some());
    assert!(setup.sessions.destroy(&mut session).await.unwrap());
    assert!(matches!(session.token_change(), TokenChange::Remove));
}

#[tokio::test]
async fn another_user_does_not_log_in_while_the_first_session_cannot_be_ended() {
    let setup = Setup::new();
    let cookie = setup.logged_in().await;
    let mut session = setup.open(&cookie).await;
    setup.script.then(Op::Delete, Fault::Before(DOWN));
    let bob = setup.sessions.subject("bob").unwrap();
    assert!(setup.sessions.login(&mut session, bob.clone()).await.is_err());
    let page = session_core::PageRequest::first(10);
    assert!(setup.sessions.list(&bob, &page).await.unwrap().items.is_empty());
    assert_eq!(setup.open(&cookie).await.subject().unwrap().name(), "alice");
}

#[tokio::test]
async fn a_touch_that_fails_does_not_fail_the_request() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    setup.clock.advance(std::time::Duration::from_secs(1200));
    let mut session = setup.open(&cookie).await;
    setup.script.then(Op::Touch, Fault::Before(DOWN));
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Unchanged);
    assert!(setup.script.is_through());
}

#[tokio::test]
async fn a_random_source_that_fails_stores_nothing() {
    let setup = Setup::with(|builder| builder.random(NoRandom));
    let mut session = setup.sessions.open(None).await.unwrap();
    session.data_mut().insert("n", &1).unwrap();
    let error = setup.sessions.commit(&mut session).await.unwrap_err();
    assert!(matches!(error, SessionError::Random(_)));
    let alice = setup.sessions.subject("alice").unwrap();
    assert!(setup.sessions.login(&mut session, alice).await.is_err());
    assert!(matches!(session.token_change(), TokenChange::Keep));
    assert!(setup.spy.take_calls().is_empty());
}

#[tokio::test]
async fn a_store_without_index_is_a_configuration_error_and_has_a_type_of_its_own() {
    let store = Arc::new(Unindexed(MemoryStore::new()));
    let error = Sessions::builder(Arc::clone(&store)).build().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Config);
    let limit = std::num::NonZeroU32::MIN;
    let limited = Sessions::builder(Arc::clone(&store)).max_sessions_per_subject(limit);
    assert_eq!(limited.build_without_index().unwrap_err().kind(), StoreErrorKind::Config);
    let sessions = Sessions::builder(store).build_without_index().unwrap();
    let mut session = sessions.open(None).await.unwrap();
    let alice = sessions.subject("alice").unwrap();
    sessions.login(&mut session, alice).await.unwrap();
    assert!(sessions.open(Some(token(&session).as_bytes())).await.unwrap().subject().is_some());
}

#[tokio::test]
async fn sessions_work_on_a_store_behind_dyn_and_are_send() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let sessions = Sessions::builder(store).build().unwrap();
    let mut session = assert_send(sessions.open(None)).await.unwrap();
    session.data_mut().insert("n", &1).unwrap();
    let outcome = assert_send(sessions.commit(&mut session)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert!(assert_send(sessions.destroy(&mut session)).await.unwrap());
}

#[tokio::test]
async fn a_login_never_leaves_a_longer_idle_deadline_behind() {
    let strict = session_core::Lifetimes::NIST_AAL3;
    let setup = Setup::with(|builder| builder.lifetimes(strict));
    let cookie = setup.stored().await;
    let mut session = setup.open(&cookie).await;
    let alice = setup.sessions.subject("alice").unwrap();
    setup.sessions.login(&mut session, alice).await.unwrap();
    let last_millisecond = std::time::Duration::from_millis(1);
    setup.clock.advance(strict.idle().saturating_sub(last_millisecond));
    assert_eq!(setup.open(&token(&session)).await.opened(), Opened::Live);
    setup.clock.advance(last_millisecond);
    assert_eq!(setup.open(&token(&session)).await.opened(), Opened::Unknown);
}
