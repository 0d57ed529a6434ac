//! Every event of the documented table is emitted when it says, with the public id and without a secret.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance_tests::doubles::{Fault, Op};
use session_core::{CommitOutcome, StoreErrorKind};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::setup::{Setup, token};

/// Keeps every event of target `session` as a line `name id kind`.
#[derive(Debug, Clone, Default)]
struct Captured(Arc<Mutex<Vec<String>>>);

impl Captured {
    fn names(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "event" {
            self.0.insert_str(0, &format!("{value:?}").replace('"', ""));
        } else {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Captured {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "session"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

async fn events_of(step: impl Future<Output = ()>) -> Captured {
    let captured = Captured::default();
    step.with_subscriber(captured.clone()).await;
    captured
}

async fn assert_events(expected: &[&str], step: impl Future<Output = ()>) {
    let captured = events_of(step).await;
    assert_eq!(captured.names(), expected);
}

#[tokio::test]
async fn the_life_of_a_session_is_reported() {
    let setup = Setup::new();
    let sessions = &setup.sessions;
    let alice = sessions.subject("alice").unwrap();
    let mut cookie = None;
    assert_events(&["session.created"], async { cookie = Some(setup.stored().await) }).await;
    let mut session = setup.open(&cookie.unwrap()).await;
    assert_events(&["session.logged_in"], async {
        sessions.login(&mut session, alice.clone()).await.unwrap();
    })
    .await;
    assert_events(&["session.elevated"], async {
        let outcome = sessions.elevate(&mut session, 2).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Saved);
    })
    .await;
    assert_events(&["session.rotated"], async {
        session.rotate();
        let outcome = sessions.commit(&mut session).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Saved);
    })
    .await;
    assert_events(&["session.subject_destroyed"], async {
        assert_eq!(sessions.destroy_all(&alice, None).await.unwrap(), 1);
    })
    .await;
    let cookie = setup.logged_in().await;
    let mut session = setup.open(&cookie).await;
    assert_events(&["session.destroyed"], async {
        assert!(sessions.destroy(&mut session).await.unwrap());
    })
    .await;
    let id = setup.open(&setup.logged_in().await).await.id().unwrap();
    assert_events(&["session.destroyed"], async {
        assert!(sessions.destroy_one(&alice, &id).await.unwrap());
    })
    .await;
    assert_events(&[], async { assert!(!sessions.destroy_by_id(&id).await.unwrap()) }).await;
    let id = setup.open(&setup.stored().await).await.id().unwrap();
    assert_events(&["session.destroyed"], async {
        assert!(sessions.destroy_by_id(&id).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn tokens_that_open_nothing_are_reported() {
    let setup = Setup::new();
    let old = setup.stored().await;
    assert_events(&["session.token_malformed"], async {
        setup.sessions.open(Some(b"nothing")).await.unwrap();
    })
    .await;
    let unknown = session_core::SessionToken::random(&session_core::OsRandom).unwrap().encode();
    assert_events(&["session.token_unknown"], async { drop(setup.open(&unknown).await) }).await;
    let mut forged = old.as_str().to_owned();
    forged.replace_range(40..44, if &forged[40..44] == "AAAA" { "BBBB" } else { "AAAA" });
    assert_events(&["session.secret_wrong"], async {
        setup.sessions.open(Some(forged.as_bytes())).await.unwrap();
    })
    .await;
    let mut session = setup.open(&old).await;
    session.rotate();
    let outcome = setup.sessions.commit(&mut session).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_events(&[], async { drop(setup.open(&old).await) }).await;
    setup.clock.advance(Duration::from_secs(31));
    assert_events(&["session.secret_superseded"], async { drop(setup.open(&old).await) }).await;
}

#[tokio::test]
async fn requests_that_meet_others_are_reported() {
    let setup = Setup::new();
    let sessions = &setup.sessions;
    let cookie = setup.stored().await;
    let mut one = setup.open(&cookie).await;
    let mut two = setup.open(&cookie).await;
    let mut refused = setup.open(&cookie).await;
    let mut late = setup.open(&cookie).await;
    let mut reader = setup.open(&cookie).await;
    one.data_mut().insert("n", &2).unwrap();
    two.data_mut().insert("m", &2).unwrap();
    late.data_mut().insert("n", &3).unwrap();
    refused.data_mut().require_unchanged(["n"]);
    refused.data_mut().insert("m", &3).unwrap();
    let outcome = sessions.commit(&mut one).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Saved);
    assert_events(&["session.merged"], async {
        assert_eq!(sessions.commit(&mut two).await.unwrap(), CommitOutcome::Saved);
    })
    .await;
    assert_events(&["session.conflict"], async {
        assert!(sessions.commit(&mut refused).await.is_err());
    })
    .await;
    let alice = sessions.subject("alice").unwrap();
    sessions.login(&mut one, alice).await.unwrap();
    assert_events(&["session.request_superseded"], async {
        assert_eq!(sessions.commit(&mut late).await.unwrap(), CommitOutcome::Superseded);
    })
    .await;
    let mut again = setup.open(&token(&one)).await;
    assert!(sessions.destroy(&mut one).await.unwrap());
    again.data_mut().insert("n", &9).unwrap();
    assert_events(&["session.ended_meanwhile"], async {
        assert_eq!(sessions.commit(&mut again).await.unwrap(), CommitOutcome::Missing);
    })
    .await;
    setup.clock.advance(Duration::from_secs(1200));
    assert_events(&["session.ended_meanwhile"], async {
        assert_eq!(sessions.commit(&mut reader).await.unwrap(), CommitOutcome::Missing);
    })
    .await;
}

#[tokio::test]
async fn store_trouble_is_reported_with_its_kind() {
    let setup = Setup::new();
    let cookie = setup.stored().await;
    let down = Fault::Before(StoreErrorKind::Unavailable);
    setup.script.then(Op::Load, down);
    let captured = events_of(async {
        setup.sessions.open(Some(cookie.as_bytes())).await.unwrap_err();
    })
    .await;
    assert_eq!(captured.names(), ["session.store_failed"]);
    assert!(captured.text().contains("error.kind=Unavailable"));
    assert!(captured.text().contains("session.id="));

    setup.script.then(Op::Load, Fault::Before(StoreErrorKind::Corrupt));
    assert_events(&["session.corrupt"], async { drop(setup.open(&cookie).await) }).await;

    let mut session = setup.open(&cookie).await;
    session.data_mut().insert("n", &2).unwrap();
    setup.script.then(Op::Update, Fault::After(StoreErrorKind::OutcomeUnknown));
    assert_events(&["session.settled"], async {
        assert_eq!(setup.sessions.commit(&mut session).await.unwrap(), CommitOutcome::Saved);
    })
    .await;

    setup.clock.advance(Duration::from_secs(1200));
    let mut session = setup.open(&cookie).await;
    setup.script.then(Op::Touch, down);
    assert_events(&["session.touch_failed"], async {
        assert_eq!(setup.sessions.commit(&mut session).await.unwrap(), CommitOutcome::Unchanged);
    })
    .await;
}

#[tokio::test]
async fn the_limit_of_sessions_is_reported() {
    let one = NonZeroU32::MIN;
    let setup = Setup::with(|builder| builder.max_sessions_per_subject(one));
    setup.logged_in().await;
    setup.clock.advance(Duration::from_secs(1));
    assert_events(&["session.created", "session.logged_in", "session.limit_enforced"], async {
        drop(setup.logged_in().await);
    })
    .await;
    setup.script.then(Op::List, Fault::Before(StoreErrorKind::Unavailable));
    assert_events(&["session.created", "session.logged_in", "session.limit_failed"], async {
        drop(setup.logged_in().await);
    })
    .await;
}

#[tokio::test]
async fn no_event_shows_a_token_a_user_or_a_value() {
    let setup = Setup::new();
    let mut secrets = vec!["alice".to_owned(), "canary-value".to_owned()];
    let captured = events_of(async {
        let cookie = setup.logged_in().await;
        let mut session = setup.open(&cookie).await;
        session.data_mut().insert("n", "canary-value").unwrap();
        session.rotate();
        let outcome = setup.sessions.commit(&mut session).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Saved);
        setup.clock.advance(Duration::from_secs(60));
        drop(setup.open(&cookie).await);
        secrets.extend([&cookie, &token(&session)].map(|token| token.as_str()[22..].to_owned()));
    })
    .await;
    let text = captured.text();
    assert!(text.contains("session.secret_superseded"), "the capture works");
    for secret in secrets {
        assert!(!text.contains(&secret), "an event shows a secret");
    }
}
