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
    is_held: Sender<bool>,
    waiting: Sender<usize>,
}

impl HeldStore {
    /// A store that does what `inner` does, while it is not held.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, is_held: Sender::new(false), waiting: Sender::new(0) }
    }

    /// From now on calls wait.
    pub fn hold(&self) {
        self.is_held.send_replace(true);
    }

    /// Lets every call go on that waits, and all later ones.
    pub fn release(&self) {
        self.is_held.send_replace(false);
    }

    /// Waits until a call waits.
    pub async fn is_called(&self) {
        // It fails only when the sender is gone, which is `self`.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    async fn before(&self, _: Op) -> Result<(), Early> {
        let mut is_held = self.is_held.subscribe();
        if *is_held.borrow_and_update() {
            let _waiting = Waiting::new(&self.waiting);
            let _ = is_held.wait_for(|is_held| !is_held).await;
        }
        Ok(())
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the doubles share one shape")]
    fn after(&self, _: Op) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Counts a call for as long as it waits.
struct Waiting<'a>(&'a Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

forward!(HeldStore);
