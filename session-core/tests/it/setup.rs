//! What most tests start from.

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    CommitOutcome, Lifetimes, ManualClock, RandomSource, RandomUnavailable, Session, Sessions,
    SessionsBuilder, TokenChange, TokenText,
};

use conformance_tests::doubles::{ScriptedStore, SpyStore};
use session_memory::MemoryStore;

pub(crate) struct Setup {
    /// Sees every call.
    pub(crate) spy: Arc<SpyStore>,
    /// Fails as a test wants it, below the spy.
    pub(crate) script: Arc<ScriptedStore>,
    pub(crate) clock: ManualClock,
    pub(crate) sessions: Sessions<SpyStore>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(
        configure: impl FnOnce(SessionsBuilder<SpyStore>) -> SessionsBuilder<SpyStore>,
    ) -> Self {
        let script = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
        let spy = Arc::new(SpyStore::new(Arc::clone(&script) as _));
        let clock = ManualClock::starting_now();
        let hour = Duration::from_secs(3600);
        let builder = Sessions::builder(Arc::clone(&spy))
            .lifetimes(Lifetimes::new(hour, 24 * hour).unwrap())
            .anonymous_lifetimes(Lifetimes::new(hour, 24 * hour).unwrap())
            .clock(clock.clone());
        let sessions = configure(builder).build().unwrap();
        Self { spy, script, clock, sessions }
    }

    /// A stored anonymous session with `n = 1`.
    pub(crate) async fn stored(&self) -> TokenText {
        let mut session = self.sessions.open(None).await.unwrap();
        session.data_mut().insert("n", &1).unwrap();
        assert_eq!(self.sessions.commit(&mut session).await.unwrap(), CommitOutcome::Saved);
        self.forget_calls();
        token(&session)
    }

    /// A stored session of `alice`.
    pub(crate) async fn logged_in(&self) -> TokenText {
        let mut session = self.sessions.open(None).await.unwrap();
        let alice = self.sessions.subject("alice").unwrap();
        self.sessions.login(&mut session, alice).await.unwrap();
        self.forget_calls();
        token(&session)
    }

    /// What was called before does not matter.
    pub(crate) fn forget_calls(&self) {
        drop(self.spy.take_calls());
    }

    pub(crate) async fn open(&self, token: &TokenText) -> Session {
        self.sessions.open(Some(token.as_bytes())).await.unwrap()
    }

    /// The value of `n` that a new request sees.
    pub(crate) async fn stored_n(&self, token: &TokenText) -> Option<u64> {
        self.open(token).await.data().get("n").unwrap()
    }
}

/// The token that the client was given.
pub(crate) fn token(session: &Session) -> TokenText {
    match session.token_change() {
        TokenChange::Set(token) => token.encode(),
        other => panic!("no token was given, but {other:?}"),
    }
}

/// A random source that always fails.
#[derive(Debug)]
pub(crate) struct NoRandom;

impl RandomSource for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
        Err(RandomUnavailable)
    }
}
