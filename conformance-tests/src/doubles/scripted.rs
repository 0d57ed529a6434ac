use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::{SessionStore, StoreError, StoreErrorKind};

use super::Op;
use super::forward::{Early, forward};

/// A store that fails when it is told to, in the way it is told to, and never by chance.
///
/// ```
/// use std::sync::Arc;
///
/// use conformance_tests::doubles::{Fault, Op, ScriptedStore};
/// use session_core::{Opened, OsRandom, SessionToken, Sessions, StoreErrorKind};
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(ScriptedStore::new(Arc::new(MemoryStore::new())));
/// let sessions = Sessions::builder(Arc::clone(&store)).build()?;
/// store.then(Op::Load, Fault::Before(StoreErrorKind::Unavailable));
///
/// let cookie = SessionToken::random(&OsRandom)?.encode();
/// assert!(sessions.open(Some(cookie.as_bytes())).await.is_err(), "down is not anonymous");
/// assert_eq!(sessions.open(Some(cookie.as_bytes())).await?.opened(), Opened::Unknown);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ScriptedStore {
    inner: Arc<dyn SessionStore>,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    faults: VecDeque<(Op, Fault)>,
    /// Operations under way that fail when they have been applied.
    afterwards: Vec<(Op, StoreErrorKind)>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails before it has any effect.
    Before(StoreErrorKind),
    /// It is applied, and fails nevertheless.
    After(StoreErrorKind),
    /// A create finds its id taken.
    IdTaken,
}

impl ScriptedStore {
    /// A store that does what `inner` does, until it is told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, script: Mutex::default() }
    }

    /// The next call of `op` for which nothing is scripted yet meets `fault`; all others go through.
    pub fn then(&self, op: Op, fault: Fault) {
        self.script().faults.push_back((op, fault));
    }

    /// Whether everything that was scripted has happened.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.script().faults.is_empty()
    }

    #[allow(clippy::unused_async, reason = "the doubles share one shape")]
    async fn before(&self, op: Op) -> Result<(), Early> {
        let mut script = self.script();
        let Some(position) = script.faults.iter().position(|(of, _)| *of == op) else {
            return Ok(());
        };
        match script.faults.remove(position) {
            Some((_, Fault::Before(kind))) => {
                Err(Early::Fails(StoreError::new(kind, "scripted to fail before it is applied")))
            }
            Some((_, Fault::IdTaken)) => Err(Early::IsTaken),
            Some((_, Fault::After(kind))) => {
                script.afterwards.push((op, kind));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn after(&self, op: Op) -> Result<(), StoreError> {
        let mut script = self.script();
        match script.afterwards.iter().position(|(of, _)| *of == op) {
            Some(position) => {
                let (_, kind) = script.afterwards.remove(position);
                Err(StoreError::new(kind, "scripted to fail after it was applied"))
            }
            None => Ok(()),
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

forward!(ScriptedStore);
