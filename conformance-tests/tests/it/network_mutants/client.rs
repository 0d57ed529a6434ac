//! A store behind a network, which does the right thing when that fails, unless it is told not to.

use std::any::Any;
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_core::{
    Change, Count, CreateOutcome, Inspect, Page, PageRequest, Purge, Purged, Record, SessionId,
    SessionStore, SessionSummary, StoreError, StoreErrorKind, Subject, SubjectIndex, Timestamp,
    TouchOutcome, UpdateOutcome, async_trait,
};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::server::{self, Desk};
use super::{Defect, LIMIT};
use crate::store::TestStore;

pub(crate) struct NetStore {
    /// The store as the server has it.
    pub(super) behind: Arc<TestStore>,
    pub(super) desk: Arc<Desk>,
    /// Host, port and password.
    pub(super) url: String,
    pub(super) address: String,
    pub(super) idle: Mutex<Option<TcpStream>>,
    /// Connections that there may be.
    pub(super) places: Semaphore,
    pub(super) broken: AtomicBool,
    pub(super) defect: Option<Defect>,
}

/// Why there is no reply.
enum Failure {
    /// There was no connection.
    Unsent,
    /// It may have arrived, or not.
    Lost,
    /// The same, and the reply may still come.
    Late,
}

impl NetStore {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Has the work done by the server.
    async fn ask<T: Any + Send>(
        &self,
        payload: &[u8],
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        if self.has(Defect::NeverReconnects) && self.broken.load(Ordering::Relaxed) {
            return Err(Failure::Unsent);
        }
        let number = self.desk.lay(work);
        let mut end = Instant::now() + LIMIT;
        let place = self.place().await?;
        if self.has(Defect::WaitsForEver) {
            end = Instant::now() + LIMIT;
        }
        if self.has(Defect::AsksBeforeEachCall) {
            let number = self.desk.lay(async {});
            self.exchange(number, &[]).await?;
        }
        let exchange = self.exchange(number, payload);
        let answered = match self.has(Defect::HangsForEver) {
            true => exchange.await,
            false => timeout_at(end, exchange).await.unwrap_or(Err(Failure::Late)),
        };
        if matches!(answered, Err(Failure::Late)) && self.has(Defect::LateCallKeepsItsPlace) {
            place.forget();
        }
        if answered.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        self.desk.take(answered?).ok_or(Failure::Lost)
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let place = self.places.acquire();
        let place = match self.has(Defect::WaitsForEver) {
            true => place.await.ok(),
            false => timeout(LIMIT, place).await.ok().and_then(Result::ok),
        };
        place.ok_or(Failure::Unsent)
    }

    /// Sends the number and answers with the one that comes back.
    async fn exchange(&self, number: u64, payload: &[u8]) -> Result<u64, Failure> {
        if self.has(Defect::KeepsConnectionOfDroppedCall) {
            let mut kept = self.idle.lock().await;
            if kept.is_none() {
                *kept = Some(self.connect().await.map_err(|_| Failure::Unsent)?);
            }
            let asked = server::ask(kept.as_mut().unwrap(), number, payload).await;
            return asked.map_err(|_| {
                *kept = None;
                Failure::Lost
            });
        }
        // A call that is dropped takes its connection along.
        let idle = self.idle.lock().await.take();
        let mut stream = match idle {
            Some(stream) => stream,
            None => self.connect().await.map_err(|_| Failure::Unsent)?,
        };
        if self.has(Defect::LateCallLeavesItsConnection) {
            let answered = timeout(LIMIT / 2, server::ask(&mut stream, number, payload)).await;
            *self.idle.lock().await = Some(stream);
            return answered.ok().and_then(Result::ok).ok_or(Failure::Lost);
        }
        let answered = server::ask(&mut stream, number, payload).await;
        let answered = answered.map_err(|_| Failure::Lost)?;
        if answered != number {
            return Err(Failure::Lost);
        }
        *self.idle.lock().await = Some(stream);
        Ok(answered)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(&self.address).await
    }

    fn error(&self, kind: StoreErrorKind, payload: &[u8]) -> StoreError {
        if self.has(Defect::ErrorShowsPayload) {
            let shown = String::from_utf8_lossy(payload).into_owned();
            return StoreError::new(kind, "no reply").with_source(io::Error::other(shown));
        }
        if self.has(Defect::ErrorShowsPassword) {
            return StoreError::new(kind, format!("no reply from {}", self.url));
        }
        StoreError::new(kind, "no reply")
    }

    /// Of a call that may be made as often as one likes.
    async fn read<T: Any + Send, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        for _ in 0..2 {
            if let Ok(answer) = self.ask(&[], work()).await {
                return answer;
            }
        }
        Err(self.error(StoreErrorKind::Unavailable, b""))
    }

    /// Of a call that must be made once.
    async fn write<T: Any + Send>(
        &self,
        payload: &[u8],
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.ask(payload, work).await {
            Ok(answer) => answer,
            Err(Failure::Lost | Failure::Late) if !self.has(Defect::LossIsUnavailable) => {
                Err(self.error(StoreErrorKind::OutcomeUnknown, payload))
            }
            Err(_) => Err(self.error(StoreErrorKind::Unavailable, payload)),
        }
    }

    /// Of a write that may be sent again, and whether it was.
    async fn write_twice<T: Any + Send, F>(
        &self,
        payload: &[u8],
        work: impl Fn() -> F,
    ) -> Result<(T, bool), StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        match self.write(payload, work()).await {
            Err(error) if error.is_outcome_unknown() => match self.ask(payload, work()).await {
                Ok(answer) => Ok((answer?, true)),
                Err(_) => Err(error),
            },
            other => other.map(|answer| (answer, false)),
        }
    }

    async fn load_behind(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let id = *id;
        self.read(|| {
            let store = Arc::clone(&self.behind);
            async move { store.load(&id, now).await }
        })
        .await
    }

    /// Writes the entry of the index, where that is apart, before the record.
    async fn enter(&self, id: &SessionId) -> Result<(), StoreError> {
        if !self.has(Defect::DeleteAllTidiesTheUnborn) {
            return Ok(());
        }
        let (desk, id) = (Arc::clone(&self.desk), *id);
        let entered = async move { Ok(desk.entries.lock().unwrap().insert(id)) };
        self.write(&[], entered).await.map(drop)
    }

    /// Removes the entries that have no record.
    async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        if !self.has(Defect::DeleteAllTidiesTheUnborn) {
            return Ok(());
        }
        let entries = self.desk.entries.lock().unwrap().clone();
        for id in entries {
            if self.behind.load(&id, now).await?.is_none() {
                self.desk.entries.lock().unwrap().remove(&id);
            }
        }
        Ok(())
    }

    /// Writes whatever is there.
    async fn put(&self, record: &Record, now: Timestamp) -> Result<(), StoreError> {
        let (store, put) = (Arc::clone(&self.behind), record.clone());
        self.write(record.payload(), async move {
            store.delete(put.id(), now).await?;
            store.create(&put, now).await.map(drop)
        })
        .await
    }
}

#[async_trait]
impl SessionStore for NetStore {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        if self.has(Defect::CreateChecksThenWrites) {
            if self.load_behind(record.id(), now).await?.is_some() {
                return Ok(CreateOutcome::Exists);
            }
            return self.put(record, now).await.map(|()| CreateOutcome::Created);
        }
        if let Some(subject) = record.subject() {
            self.enter(record.id()).await?;
            if self.has(Defect::EntryTakesThree) {
                self.load_behind(record.id(), now).await?;
                self.list(subject, &PageRequest::first(100), now).await?;
            }
        }
        let create = || {
            let (store, record) = (Arc::clone(&self.behind), record.clone());
            async move { store.create(&record, now).await }
        };
        if self.has(Defect::CreateIsSentAgain) {
            return Ok(self.write_twice(record.payload(), create).await?.0);
        }
        if self.has(Defect::CreateIsSentAgainInSilence) {
            let (outcome, again) = self.write_twice(record.payload(), create).await?;
            return Ok(if again { CreateOutcome::Created } else { outcome });
        }
        self.write(record.payload(), create()).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        match self.load_behind(id, now).await {
            Err(_) if self.has(Defect::LossIsNone) => Ok(None),
            other => other,
        }
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        let payload = change.record().payload();
        if self.has(Defect::UpdateChecksThenWrites) {
            return match self.load_behind(change.id(), now).await? {
                None => Ok(UpdateOutcome::Missing),
                Some(seen) if seen.revision() != change.expected() => Ok(UpdateOutcome::Conflict),
                Some(_) => self.put(change.record(), now).await.map(|()| UpdateOutcome::Updated),
            };
        }
        if change.writes_index_entry() {
            self.enter(change.id()).await?;
        }
        let answer = self.write_twice(payload, || {
            let (store, change) = (Arc::clone(&self.behind), change.clone());
            async move { store.update(&change, now).await }
        });
        match answer.await {
            Ok((UpdateOutcome::Updated, _)) => Ok(UpdateOutcome::Updated),
            Ok((_, true)) if !self.has(Defect::ResentUpdateForgetsItsFirstSend) => {
                Err(self.error(StoreErrorKind::OutcomeUnknown, payload))
            }
            Ok((outcome, _)) => Ok(outcome),
            Err(_) if self.has(Defect::LossIsUpdated) => Ok(UpdateOutcome::Updated),
            Err(_) if self.has(Defect::LossIsConflict) => Ok(UpdateOutcome::Conflict),
            Err(error) => Err(error),
        }
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        if self.has(Defect::TouchIsNotSent) {
            return self.behind.touch(id, expires_at, now).await;
        }
        let id = *id;
        let touch = || {
            let store = Arc::clone(&self.behind);
            async move { store.touch(&id, expires_at, now).await }
        };
        let answer = match self.has(Defect::ResentTouchForgetsItsFirstSend) {
            true => self.write_twice(&[], touch).await.map(|(outcome, _)| outcome),
            false => self.write(&[], touch()).await,
        };
        match answer {
            Err(_) if self.has(Defect::LossIsMissing) => Ok(TouchOutcome::Missing),
            other => other,
        }
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let id = *id;
        let answer = self.write_twice(&[], || {
            let store = Arc::clone(&self.behind);
            async move { store.delete(&id, now).await }
        });
        match answer.await {
            Err(_) if self.has(Defect::LossIsFalse) => Ok(false),
            other => other.map(|(deleted, _)| deleted),
        }
    }

    fn margin(&self) -> Duration {
        self.behind.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn purger(&self) -> Option<&dyn Purge> {
        Some(self)
    }
}

#[async_trait]
impl SubjectIndex for NetStore {
    async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let listed = self.read(|| {
            let (store, subject, page) = (Arc::clone(&self.behind), subject.clone(), page.clone());
            async move { store.list(&subject, &page, now).await }
        });
        let mut page = listed.await?;
        if self.has(Defect::DeleteAllTidiesTheUnborn) {
            let entries = self.desk.entries.lock().unwrap();
            page.items.retain(|summary| entries.contains(&summary.id));
        }
        Ok(page)
    }

    async fn delete_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        if self.has(Defect::DeleteAllSparesWhatChanges) {
            let mut deleted = 0;
            for summary in self.list(subject, &PageRequest::first(100), now).await?.items {
                let Some(seen) = self.load_behind(&summary.id, now).await? else { continue };
                let store = Arc::clone(&self.behind);
                let unchanged = async move {
                    match store.load(&summary.id, now).await? {
                        Some(found) if found == seen => store.delete(&summary.id, now).await,
                        _ => Ok(false),
                    }
                };
                deleted += u64::from(self.write(&[], unchanged).await?);
            }
            return Ok(deleted);
        }
        let (store, subject, except) = (Arc::clone(&self.behind), subject.clone(), except.copied());
        self.tidy(now).await?;
        let work = async move { store.delete_all(&subject, except.as_ref(), now).await };
        self.write(&[], work).await.map_err(|error| match self.has(Defect::PartialIsNotSaid) {
            true => error,
            false => error.partial(0),
        })
    }

    async fn delete_one(
        &self,
        subject: &Subject,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (store, subject, id) = (Arc::clone(&self.behind), subject.clone(), *id);
        self.write(&[], async move { store.delete_one(&subject, &id, now).await }).await
    }
}

#[async_trait]
impl Inspect for NetStore {
    async fn scan(
        &self,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Page<SessionSummary>, StoreError> {
        self.read(|| {
            let (store, page) = (Arc::clone(&self.behind), page.clone());
            async move { store.scan(&page, now).await }
        })
        .await
    }

    async fn count(&self, now: Timestamp) -> Result<Count, StoreError> {
        self.read(|| {
            let store = Arc::clone(&self.behind);
            async move { store.count(now).await }
        })
        .await
    }
}

#[async_trait]
impl Purge for NetStore {
    async fn purge(&self, limit: NonZeroU32, cutoff: Timestamp) -> Result<Purged, StoreError> {
        let store = Arc::clone(&self.behind);
        self.write(&[], async move { store.purge(limit, cutoff).await }).await
    }
}

impl fmt::Debug for NetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetStore").field("address", &self.address).finish_non_exhaustive()
    }
}
