//! Writes down what clients do to one session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::{
    Change, Record, Revision, SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp,
};

use super::model::{Answer, Call, Write};
use super::{Operation, check, render};
use crate::fresh::differences;
use crate::verdict::{Checked, Stop};

/// The content that a loaded record has when nobody wrote it like this.
const PHANTOM: u32 = u32::MAX;

/// Whether a call may have been sent more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Once,
    /// Where connections break. The answer of a delete is then advisory.
    Again,
}

/// The history of one session, written down by all its clients.
#[derive(Debug)]
pub(crate) struct Recorder {
    sent: Sent,
    events: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    operations: Vec<Operation>,
    written: HashMap<Revision, (u32, Record)>,
}

impl Recorder {
    pub(crate) fn new(sent: Sent) -> Arc<Self> {
        Arc::new(Self { sent, events: AtomicU64::new(0), inner: Mutex::default() })
    }

    /// What has been written down.
    pub(crate) fn history(&self) -> Vec<Operation> {
        self.lock().operations.clone()
    }

    /// Fails when no order explains what was written down. Times are shown relative to `base`.
    pub(crate) fn expect_an_order(&self, base: Timestamp) -> Checked {
        let history = self.history();
        check(&history).map_err(|stuck| {
            let timeline = render(&history, &stuck, base.as_millis());
            Stop::failed(format!("no order explains this history\n{timeline}"))
        })
    }

    pub(crate) async fn create(
        &self,
        client: usize,
        store: &dyn SessionStore,
        record: &Record,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        let call = Call::Create { write: self.written(record), now: now.as_millis() };
        self.note(client, call, async { store.create(record, now).await.map(Answer::Create) }).await
    }

    /// Answers with the record, if there was one.
    pub(crate) async fn load(
        &self,
        client: usize,
        store: &dyn SessionStore,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let mut found = None;
        let call = Call::Load { now: now.as_millis() };
        self.note(client, call, async {
            found = store.load(id, now).await?;
            Ok(Answer::Load(found.as_ref().map(|record| self.seen(record))))
        })
        .await?;
        Ok(found)
    }

    pub(crate) async fn update(
        &self,
        client: usize,
        store: &dyn SessionStore,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        let expected = self.lock().written.get(&change.expected()).map_or(PHANTOM, |(n, _)| *n);
        let write = self.written(change.record());
        let call = Call::Update { expected, write, now: now.as_millis() };
        self.note(client, call, async { store.update(change, now).await.map(Answer::Update) }).await
    }

    pub(crate) async fn touch(
        &self,
        client: usize,
        store: &dyn SessionStore,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        let call = Call::Touch { expires_at: expires_at.as_millis(), now: now.as_millis() };
        self.note(client, call, async { store.touch(id, expires_at, now).await.map(Answer::Touch) })
            .await
    }

    pub(crate) async fn delete(
        &self,
        client: usize,
        store: &dyn SessionStore,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        let call = Call::Delete { now: now.as_millis() };
        let answer = |deleted| match (deleted, self.sent) {
            (false, Sent::Again) => Answer::Gone,
            _ => Answer::Delete(deleted),
        };
        self.note(client, call, async { store.delete(id, now).await.map(answer) }).await
    }

    /// Makes the call and writes it down. `None` when its outcome is unknown; an error that says that the
    /// call had no effect is handed on.
    async fn note(
        &self,
        client: usize,
        call: Call,
        made: impl Future<Output = Result<Answer, StoreError>>,
    ) -> Result<Option<Answer>, StoreError> {
        let invoked = self.events.fetch_add(1, Ordering::SeqCst);
        let (answer, returned) = match made.await {
            Ok(answer) => (Some(answer), self.events.fetch_add(1, Ordering::SeqCst)),
            Err(error) if is_open(&error) => (None, u64::MAX),
            Err(error) => return Err(error),
        };
        self.lock().operations.push(Operation { client, call, answer, invoked, returned });
        Ok(answer)
    }

    /// Gives what is about to be written its number.
    fn written(&self, record: &Record) -> Write {
        let mut inner = self.lock();
        let next = u32::try_from(inner.written.len()).unwrap_or(PHANTOM);
        let (content, _) =
            inner.written.entry(record.revision()).or_insert_with(|| (next, record.clone()));
        write(*content, record)
    }

    /// Recognises what was read. Content that differs in anything but the times is a phantom.
    fn seen(&self, record: &Record) -> Write {
        let inner = self.lock();
        let known = inner.written.get(&record.revision()).filter(|(_, written)| {
            let mut parts = written.clone().into_parts();
            parts.expires_at = record.expires_at();
            parts.deadline = record.deadline();
            differences(record, &Record::from_parts(parts)).is_empty()
        });
        write(known.map_or(PHANTOM, |(content, _)| *content), record)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(content: u32, record: &Record) -> Write {
    Write {
        content,
        expires_at: record.expires_at().as_millis(),
        deadline: record.deadline().as_millis(),
    }
}
/// Whether a call that failed with this may have had an effect, or may still have one. What is not durable may be
/// seen or undone.
pub(crate) fn is_open(error: &StoreError) -> bool {
    error.is_outcome_unknown() || error.kind() == StoreErrorKind::NotDurable
}
