//! A place for one shared connection: opened once, by one task, however many calls wait for it.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::{StoreError, StoreErrorKind};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::{Connection, Connector};

/// The shortest pause after an attempt that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest: with jitter at most half as long again. A server that is back is used within that time.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One connection that is replaced when it is retired or closed.
#[derive(Debug)]
pub(crate) struct Slot {
    connector: Arc<Connector>,
    state: Mutex<State>,
}

type Attempt = Option<Result<Arc<Connection>, Arc<StoreError>>>;

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// The attempt that is under way.
    attempt: Option<watch::Receiver<Attempt>>,
    /// Attempts that failed since the last success, and until when none is made.
    failures: u32,
    pause: Option<(Instant, Arc<StoreError>)>,
}

impl Slot {
    pub(crate) fn new(connector: Arc<Connector>) -> Arc<Self> {
        Arc::new(Self { connector, state: Mutex::default() })
    }

    /// The connection; opened if there is none that is usable. On any error nothing was sent.
    ///
    /// Right after an attempt that failed, calls fail at once with the same error.
    pub(crate) async fn get(
        self: &Arc<Self>,
        deadline: Instant,
    ) -> Result<Arc<Connection>, StoreError> {
        let mut attempt = match self.connection_or_attempt()? {
            Ok(connection) => return Ok(connection),
            Err(attempt) => attempt,
        };
        let finished = tokio::time::timeout_at(deadline, attempt.wait_for(Option::is_some)).await;
        match finished {
            Err(_) => Err(StoreError::new(StoreErrorKind::Timeout, "wait for a connection")),
            Ok(Err(_)) => Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the attempt to connect was cut off",
            )),
            Ok(Ok(result)) => match result.as_ref() {
                Some(Ok(connection)) => Ok(Arc::clone(connection)),
                Some(Err(error)) => Err(repeated(error)),
                None => Err(StoreError::new(StoreErrorKind::Unavailable, "connect")),
            },
        }
    }

    fn connection_or_attempt(
        self: &Arc<Self>,
    ) -> Result<Result<Arc<Connection>, watch::Receiver<Attempt>>, StoreError> {
        let mut state = self.lock();
        if let Some(connection) = &state.connection {
            if connection.is_usable() {
                return Ok(Ok(Arc::clone(connection)));
            }
            state.connection = None;
        }
        if let Some(attempt) = &state.attempt {
            // The task may have ended with its runtime, without a result.
            let abandoned = attempt.has_changed().is_err() && attempt.borrow().is_none();
            if !abandoned {
                return Ok(Err(attempt.clone()));
            }
            state.attempt = None;
        }
        if let Some((until, error)) = &state.pause
            && Instant::now() < *until
        {
            return Err(repeated(error));
        }
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| StoreError::new(StoreErrorKind::Config, "there is no tokio runtime"))?;
        let (sender, attempt) = watch::channel(None);
        state.attempt = Some(attempt.clone());
        // A task of its own, so that a caller that is dropped does not end the attempt for the others.
        let slot = Arc::clone(self);
        runtime.spawn(async move {
            let result = slot.connector.open().await.map(Arc::new).map_err(Arc::new);
            slot.finish(&result);
            let _ = sender.send(Some(result));
        });
        Ok(Err(attempt))
    }

    fn finish(&self, result: &Result<Arc<Connection>, Arc<StoreError>>) {
        let mut state = self.lock();
        state.attempt = None;
        match result {
            Ok(connection) => {
                tracing::debug!("redis connection opened");
                state.connection = Some(Arc::clone(connection));
                state.failures = 0;
                state.pause = None;
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "redis connection failed");
                let pause = pause_after(state.failures);
                state.failures = state.failures.saturating_add(1);
                state.pause = Some((Instant::now() + pause, Arc::clone(error)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubles with each failure up to the longest, then varies between half and one and a half of it, so that
/// many processes do not come back at once.
fn pause_after(failures: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    let jitter = RandomState::new().build_hasher().finish() % 1_000;
    pause / 2 + pause.saturating_mul(u32::try_from(jitter).unwrap_or_default()) / 1_000
}

/// One failure, told to several callers.
fn repeated(error: &Arc<StoreError>) -> StoreError {
    StoreError::new(error.kind(), "connect").with_source(SharedError(Arc::clone(error)))
}

struct SharedError(Arc<StoreError>);

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for failures in 0..40 {
            let pause = pause_after(failures);
            assert!(pause >= FIRST_PAUSE / 2, "{failures}");
            assert!(pause <= LONGEST_PAUSE * 3 / 2, "{failures}");
        }
        assert!(pause_after(20) >= LONGEST_PAUSE / 2);
    }
}
