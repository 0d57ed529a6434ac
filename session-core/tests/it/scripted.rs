//! A store that fails when it is told to.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use session_core::{
    Change, CreateOutcome, Inspect, Page, PageRequest, Purge, Record, SessionId, SessionStore,
    SessionSummary, StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp, TouchOutcome,
    UpdateOutcome, async_trait,
};
use session_memory::MemoryStore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Load,
    Update,
    Touch,
    Delete,
    List,
}

/// What happens to the next call of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It fails before it has any effect.
    Before(StoreErrorKind),
    /// It is applied, and fails.
    After(StoreErrorKind),
    /// A create answers `Exists`.
    Exists,
}

#[derive(Debug)]
pub(crate) struct ScriptedStore {
    pub(crate) inner: MemoryStore,
    pub(crate) indexed: bool,
    script: Mutex<VecDeque<(Op, Fault)>>,
    calls: Mutex<Vec<Op>>,
}

impl ScriptedStore {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            indexed: true,
            script: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// The next call of `op` that is not scripted yet shall meet `fault`.
    pub(crate) fn then(&self, op: Op, fault: Fault) {
        self.script.lock().unwrap().push_back((op, fault));
    }

    /// The calls since the last time this was asked.
    pub(crate) fn calls(&self) -> Vec<Op> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Whether every fault of the script has happened.
    pub(crate) fn is_through(&self) -> bool {
        self.script.lock().unwrap().is_empty()
    }

    fn fault(&self, op: Op) -> Option<Fault> {
        self.calls.lock().unwrap().push(op);
        let mut script = self.script.lock().unwrap();
        let position = script.iter().position(|(of, _)| *of == op)?;
        script.remove(position).map(|(_, fault)| fault)
    }
}

async fn meet<T>(
    fault: Option<Fault>,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match fault {
        Some(Fault::Before(kind)) => Err(StoreError::new(kind, "scripted, before")),
        Some(Fault::After(kind)) => {
            call.await?;
            Err(StoreError::new(kind, "scripted, after"))
        }
        Some(Fault::Exists) | None => call.await,
    }
}

#[async_trait]
impl SessionStore for ScriptedStore {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        match self.fault(Op::Create) {
            Some(Fault::Exists) => Ok(CreateOutcome::Exists),
            fault => meet(fault, self.inner.create(record, now)).await,
        }
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        meet(self.fault(Op::Load), self.inner.load(id, now)).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        meet(self.fault(Op::Update), self.inner.update(change, now)).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        meet(self.fault(Op::Touch), self.inner.touch(id, expires_at, now)).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        meet(self.fault(Op::Delete), self.inner.delete(id, now)).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        self.indexed.then_some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn purger(&self) -> Option<&dyn Purge> {
        self.inner.purger()
    }
}

#[async_trait]
impl SubjectIndex for ScriptedStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        meet(self.fault(Op::List), self.inner.list(subject, page, now)).await
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.inner.delete_all(subject, except, now).await
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.inner.delete_one(subject, id, now).await
    }
}
