//! A store between `Sessions` and the store under test, which counts, refuses and holds calls.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, SessionId, SessionStore, StoreError,
    StoreErrorKind, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};
use tokio::sync::oneshot;

use crate::secrets::Secrets;
use crate::verdict::{Checked, Stop};

/// An operation of [`SessionStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Load,
    Update,
    Touch,
    Delete,
}

impl Op {
    pub(crate) const WRITES: [Self; 4] = [Self::Create, Self::Update, Self::Touch, Self::Delete];
}

pub(crate) struct Spy {
    inner: Arc<dyn SessionStore>,
    secrets: Arc<Secrets>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Op>,
    refused: Option<(Op, StoreErrorKind)>,
    gate: Option<(Op, Gate)>,
}

struct Gate {
    arrived: oneshot::Sender<()>,
    opened: oneshot::Receiver<()>,
}

/// A call that waits just before it reaches the store.
pub(crate) struct Held {
    arrived: oneshot::Receiver<()>,
    open: oneshot::Sender<()>,
}

impl Held {
    /// Runs `caller` until its call is held, and answers with what is left of it.
    pub(crate) async fn by<F: Future + Unpin>(&mut self, caller: F) -> Checked<F> {
        match select(caller, &mut self.arrived).await {
            Either::Right((Ok(()), caller)) => Ok(caller),
            _ => Err(Stop::failed("the call of the store that was waited for was not made")),
        }
    }

    /// Lets the call go on.
    pub(crate) fn release(self) {
        let _ = self.open.send(());
    }
}

impl Spy {
    pub(crate) fn new(inner: Arc<dyn SessionStore>, secrets: Arc<Secrets>) -> Self {
        Self { inner, secrets, state: Mutex::default() }
    }

    /// How often the operation was called.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.lock().calls.iter().filter(|call| **call == op).count()
    }

    pub(crate) fn all_calls(&self) -> usize {
        self.lock().calls.len()
    }

    /// Answers the next call of the operation with an error, and keeps it from the store.
    pub(crate) fn refuse(&self, op: Op, kind: StoreErrorKind) {
        self.lock().refused = Some((op, kind));
    }

    /// Holds the next call of the operation.
    pub(crate) fn hold(&self, op: Op) -> Held {
        let (arrived_sender, arrived) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        self.lock().gate = Some((op, Gate { arrived: arrived_sender, opened }));
        Held { arrived, open }
    }

    async fn step(&self, op: Op) -> Result<(), StoreError> {
        let (refused, gate) = {
            let mut state = self.lock();
            state.calls.push(op);
            (state.refused.take_if(|next| next.0 == op), state.gate.take_if(|next| next.0 == op))
        };
        if let Some((_, Gate { arrived, opened })) = gate {
            let _ = arrived.send(());
            let _ = opened.await;
        }
        match refused {
            Some((_, kind)) => Err(StoreError::new(kind, "refused by the suite")),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store under test shows.
impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Spy {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        self.secrets.handed(record);
        self.step(Op::Create).await?;
        self.inner.create(record, now).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.step(Op::Load).await?;
        self.inner.load(id, now).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        self.secrets.handed(change.record());
        self.step(Op::Update).await?;
        self.inner.update(change, now).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        self.step(Op::Touch).await?;
        self.inner.touch(id, expires_at, now).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.step(Op::Delete).await?;
        self.inner.delete(id, now).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        self.inner.subject_index()
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn purger(&self) -> Option<&dyn Purge> {
        self.inner.purger()
    }
}
