//! A store that says aloud what it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Change, CreateOutcome, Inspect, Page, PageRequest, Purge, Record, SessionId, SessionStore,
    SessionSummary, StoreError, Subject, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome,
};

/// Forwards every call and prints it. Ids are public, so they may be shown; they appear as `#1`, `#2`, … for
/// the reader's sake.
#[derive(Debug)]
pub(crate) struct Narrator {
    inner: Arc<dyn SessionStore>,
    names: Mutex<HashMap<SessionId, usize>>,
}

impl Narrator {
    pub(crate) fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, names: Mutex::default() }
    }

    /// The short name of a session.
    pub(crate) fn name(&self, id: &SessionId) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let next = names.len() + 1;
        format!("#{}", names.entry(*id).or_insert(next))
    }

    /// Every session that was seen.
    pub(crate) fn seen(&self) -> Vec<SessionId> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn say(&self, call: &str, id: &SessionId, answer: &str) {
        println!("     store   {call} {} -> {answer}", self.name(id));
    }

    fn index(&self) -> Result<&dyn SubjectIndex, StoreError> {
        self.inner.subject_index().ok_or_else(|| {
            StoreError::new(session_core::StoreErrorKind::Config, "the store has no index")
        })
    }
}

fn answer<T>(result: &Result<T, StoreError>, text: impl Fn(&T) -> String) -> String {
    match result {
        Ok(value) => text(value),
        Err(error) => format!("error: {error}"),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Narrator {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        let result = self.inner.create(record, now).await;
        self.say("create", record.id(), &answer(&result, |outcome| format!("{outcome:?}")));
        result
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let result = self.inner.load(id, now).await;
        let found = |record: &Option<Record>| {
            record.as_ref().map_or("None".into(), |record| {
                format!("a record with {} bytes of data", record.payload().len())
            })
        };
        self.say("load", id, &answer(&result, found));
        result
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let result = self.inner.update(change, now).await;
        self.say("update", change.id(), &answer(&result, |outcome| format!("{outcome:?}")));
        result
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        let result = self.inner.touch(id, expires_at, now).await;
        self.say("touch", id, &answer(&result, |outcome| format!("{outcome:?}")));
        result
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let result = self.inner.delete(id, now).await;
        self.say("delete", id, &answer(&result, bool::to_string));
        result
    }

    fn margin(&self) -> Duration {
        self.inner.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        self.inner.subject_index().map(|_| self as &dyn SubjectIndex)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }

    fn purger(&self) -> Option<&dyn Purge> {
        self.inner.purger()
    }
}

#[async_trait]
impl SubjectIndex for Narrator {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let result = self.index()?.list(subject, page, now).await;
        let found = answer(&result, |page| format!("{} sessions", page.items.len()));
        println!("     store   list {} -> {found}", subject.name());
        result
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let result = self.index()?.delete_all(subject, except, now).await;
        let except = except.map_or(String::new(), |id| format!(" but {}", self.name(id)));
        let deleted = answer(&result, u64::to_string);
        println!("     store   delete_all {}{except} -> {deleted}", subject.name());
        result
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let result = self.index()?.delete_one(subject, id, now).await;
        self.say("delete_one", id, &answer(&result, bool::to_string));
        result
    }
}
