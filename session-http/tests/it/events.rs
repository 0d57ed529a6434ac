//! The events of this crate, and that nothing secret is in them or in any `Debug`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use session_http::ClientNotice;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::setup::{Head, Setup, presenting};

/// Keeps every event as a line.
#[derive(Debug, Clone, Default)]
struct Captured(Arc<Mutex<Vec<String>>>);

impl Captured {
    fn with(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap().iter().find(|line| line.contains(name)).cloned()
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Captured {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{}:", event.metadata().target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn each_event_is_emitted_and_shows_no_secret() {
    let captured = Captured::default();
    let tokens = scenes().with_subscriber(captured.clone()).await;
    for name in [
        "session.token_twice",
        "session.forgery_refused",
        "session.client_changed",
        "session.interrupted",
    ] {
        let line = captured.with(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(line.starts_with("session:"), "{line}");
    }
    let changed = captured.with("session.client_changed").unwrap();
    assert!(
        changed.contains(r"evil\\r\\nagent") && changed.contains("203.0.113.0/24"),
        "{changed}"
    );
    assert!(changed.contains("session.id="));
    let text = captured.text();
    for token in tokens {
        assert!(!text.contains(&token) && !text.contains(&token[22..]));
    }
    assert!(!text.contains("canary-user"));
}

/// Whatever emits something. Answers with the tokens that were issued.
async fn scenes() -> Vec<String> {
    let notice = ClientNotice::user_agent().peer_address();
    let setup = Setup::of(|site| site.client_notice(notice));
    let token = setup.log_in("canary-user").await;
    let twice = presenting(&token).with("cookie", format!("__Host-session={token}"));
    setup
        .request(&twice, async |session| {
            assert_eq!(session.user().await.unwrap(), None);
            200
        })
        .await;
    let mut changed = presenting(&token).with("user-agent", "evil\r\nagent");
    changed.peer = Some("203.0.113.7".parse().unwrap());
    setup
        .request(&changed, async |session| {
            assert!(session.check_csrf("wrong").await.is_err());
            let shown =
                format!("{session:?} {:?} {:?}", setup.sites, session.info().await.unwrap());
            assert!(!shown.contains("canary-user") && !shown.contains(&token[22..]));
            403
        })
        .await;
    let slow = conformance_tests::doubles::SlowStore::new(
        Arc::new(session_memory::MemoryStore::new()),
        std::time::Duration::from_millis(50),
    );
    let sites = session_core::Sessions::builder(Arc::new(slow)).build().unwrap().into();
    let exchange = session_http::Exchange::begin(&sites, &Head::post());
    let handle = exchange.handle();
    let login = tokio::time::timeout(std::time::Duration::from_millis(1), handle.login("alice"));
    assert!(login.await.is_err());
    let _ = exchange.finish(200).await;
    vec![token]
}
