use std::sync::Arc;
use std::time::Duration;

use session_core::{SessionStore, StoreError};

use super::Op;
use super::forward::{Early, forward};

/// A store that waits before each call, by tokio's clock: pause that one, and no test has to wait.
///
/// A call that is dropped while it waits never reaches the wrapped store.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use conformance_tests::doubles::SlowStore;
/// use session_core::{OsRandom, SessionToken, Sessions};
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let slow = SlowStore::new(Arc::new(MemoryStore::new()), Duration::from_secs(60));
/// let sessions = Sessions::builder(Arc::new(slow)).build()?;
/// let cookie = SessionToken::random(&OsRandom)?.encode();
/// let opened = sessions.open(Some(cookie.as_bytes()));
/// assert!(tokio::time::timeout(Duration::from_secs(59), opened).await.is_err());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SlowStore {
    inner: Arc<dyn SessionStore>,
    delay: Duration,
}

impl SlowStore {
    /// A store that does what `inner` does, `delay` later.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionStore>, delay: Duration) -> Self {
        Self { inner, delay }
    }

    async fn before(&self, _: Op) -> Result<(), Early> {
        tokio::time::sleep(self.delay).await;
        Ok(())
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the doubles share one shape")]
    fn after(&self, _: Op) -> Result<(), StoreError> {
        Ok(())
    }
}

forward!(SlowStore);
