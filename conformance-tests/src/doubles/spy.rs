use std::sync::{Arc, Mutex, PoisonError};

use session_core::{SessionStore, StoreError};

use super::Op;
use super::forward::{Early, forward};

/// A store that keeps a log of what it is asked for.
#[derive(Debug)]
pub struct SpyStore {
    inner: Arc<dyn SessionStore>,
    calls: Mutex<Vec<Op>>,
}

impl SpyStore {
    /// A spy on `inner`, with an empty log.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// The calls since this was last asked, in the order in which they began. Empties the log.
    #[must_use = "the log is empty afterwards"]
    pub fn take_calls(&self) -> Vec<Op> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[allow(clippy::unused_async, reason = "the doubles share one shape")]
    async fn before(&self, op: Op) -> Result<(), Early> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(op);
        Ok(())
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the doubles share one shape")]
    fn after(&self, _: Op) -> Result<(), StoreError> {
        Ok(())
    }
}

forward!(SpyStore);
