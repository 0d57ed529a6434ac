use std::sync::Arc;

use session_core::{SessionStore, StoreError};
use tokio::sync::watch::Sender;

use super::Op;
use super::forward::{Early, forward};

/// A store whose calls wait while it is held, until it is released: for tests that need a call to be under way.
///
/// A call that is dropped while it waits never reaches the wrapped store.
///
/// ```
/// use std::sync::Arc;
///
/// use conformance_tests::doubles::HeldStore;
/// use session_core::{OsRandom, SessionToken, Sessions};
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(HeldStore::new(Arc::new(MemoryStore::new())));
/// let sessions = Sessions::builder(Arc::clone(&store)).build()?;
/// store.hold();
/// let opened = tokio::spawn(async move {
///     let cookie = SessionToken::random(&OsRandom).unwrap().encode();
///     sessions.open(Some(cookie.as_bytes())).await.map(|session| session.opened())
/// });
/// store.is_called().await;
/// assert!(!opened.is_finished());
/// store.release();
/// assert!(opened.await?.is_ok());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HeldStore {
    inner: Arc<dyn SessionStore>,
    state: Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    /// Counts how often waiting calls were let go.
    round: u64,
    /// The calls of this round that wait.
    waiting: usize,
}

impl HeldStore {
    /// A store that does what `inner` does, while it is not held.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, state: Sender::default() }
    }

    /// From now on calls wait.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.is_held = true);
    }

    /// Lets every call go on that waits; later ones wait as before.
    pub fn let_go(&self) {
        self.state.send_modify(State::begin_round);
    }

    /// Lets every call go on that waits, and all later ones.
    pub fn release(&self) {
        self.state.send_modify(|state| {
            state.is_held = false;
            state.begin_round();
        });
    }

    /// Waits until a call waits.
    pub async fn is_called(&self) {
        self.are_called(1).await;
    }

    /// Waits until so many calls wait.
    pub async fn are_called(&self, count: usize) {
        // It fails only when the sender is gone, which is `self`.
        let _ = self.state.subscribe().wait_for(|state| state.waiting >= count).await;
    }

    async fn before(&self, _: Op) -> Result<(), Early> {
        if let Some(waiting) = Waiting::begin(&self.state) {
            let mut state = self.state.subscribe();
            let _ = state.wait_for(|state| state.round != waiting.round).await;
        }
        Ok(())
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the doubles share one shape")]
    fn after(&self, _: Op) -> Result<(), StoreError> {
        Ok(())
    }
}

impl State {
    fn begin_round(&mut self) {
        self.round += 1;
        self.waiting = 0;
    }
}

/// Counts a call for as long as it waits.
struct Waiting<'a> {
    state: &'a Sender<State>,
    round: u64,
}

impl<'a> Waiting<'a> {
    /// Answers none if calls do not wait now.
    fn begin(state: &'a Sender<State>) -> Option<Self> {
        let mut round = None;
        state.send_modify(|state| {
            if state.is_held {
                state.waiting += 1;
                round = Some(state.round);
            }
        });
        round.map(|round| Self { state, round })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            if state.round == self.round {
                state.waiting -= 1;
            }
        });
    }
}

forward!(HeldStore);
