//! The removal of what is over, in the background.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use session_core::{Clock, StoreError, StoreErrorKind};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

use crate::engine::BATCH;
use crate::store::{MemoryStore, Shared, give_way};

impl MemoryStore {
    /// Starts a task that removes what is over, once every `period`, until the last handle of this
    /// store is dropped. A minute is a good period.
    ///
    /// It takes the time from `clock`, subtracts the margin itself, and works in small batches. The
    /// task does not keep the store alive. The returned handle may be dropped; to stop earlier, abort it.
    ///
    /// # Errors
    ///
    /// [`Config`](StoreErrorKind::Config) outside a tokio runtime, and for a period of zero.
    pub fn spawn_purge(
        &self,
        period: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<JoinHandle<()>, StoreError> {
        if period.is_zero() {
            return Err(StoreError::new(StoreErrorKind::Config, "the purge period is zero"));
        }
        let runtime = Handle::try_current().map_err(|error| {
            StoreError::new(StoreErrorKind::Config, "the purge task needs a tokio runtime")
                .with_source(error)
        })?;
        let task = runtime.spawn(purge_periodically(Arc::downgrade(&self.shared), period, clock));
        self.shared.purgers.add(task.abort_handle());
        Ok(task)
    }
}

async fn purge_periodically(store: Weak<Shared>, period: Duration, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(period).await;
        let now = clock.now();
        // The store is held for a batch at a time, so that dropping it stops a long purge too.
        while let Some(shared) = store.upgrade() {
            let cutoff = now.minus(shared.engine.margin());
            let batch = shared.engine.purge_batch(BATCH, cutoff);
            drop(shared);
            if batch.examined < BATCH {
                break;
            }
            give_way().await;
        }
        if store.strong_count() == 0 {
            return;
        }
    }
}

/// The tasks of a store, stopped when the store is dropped.
#[derive(Default)]
pub(crate) struct Purgers(Mutex<Vec<AbortHandle>>);

impl Purgers {
    fn add(&self, task: AbortHandle) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

impl Drop for Purgers {
    fn drop(&mut self) {
        for task in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl fmt::Debug for Purgers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purgers(..)")
    }
}
