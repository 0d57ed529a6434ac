//! A store that loses replies breaks many rules, but not the one on histories: a write without a reply
//! happened at some time, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use conformance_tests::{Fixture, Profile, Space, Suite, Verdict};
use session_core::{
    Change, CreateOutcome, Inspect, Purge, Record, SessionId, SessionStore, StoreError,
    StoreErrorKind, SubjectIndex, Timestamp, TouchOutcome, UpdateOutcome, async_trait,
};

use crate::backend::Backend;
use crate::defects::Defect;
use crate::store::TestStore;

/// Loses one in four replies to a write: half of them before it was applied, half after.
#[derive(Debug)]
struct Lossy {
    inner: TestStore,
    calls: Arc<AtomicU32>,
}

impl Lossy {
    async fn lose<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let lost = || Err(StoreError::new(StoreErrorKind::OutcomeUnknown, "a reply was lost"));
        match self.calls.fetch_add(1, Ordering::Relaxed) % 8 {
            3 => lost(),
            7 => {
                call.await?;
                lost()
            }
            _ => call.await,
        }
    }
}

#[async_trait]
impl SessionStore for Lossy {
    async fn create(&self, record: &Record, now: Timestamp) -> Result<CreateOutcome, StoreError> {
        self.lose(self.inner.create(record, now)).await
    }

    async fn load(&self, id: &SessionId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.inner.load(id, now).await
    }

    async fn update(&self, change: &Change, now: Timestamp) -> Result<UpdateOutcome, StoreError> {
        self.lose(self.inner.update(change, now)).await
    }

    async fn touch(
        &self,
        id: &SessionId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<TouchOutcome, StoreError> {
        self.lose(self.inner.touch(id, expires_at, now)).await
    }

    async fn delete(&self, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
        self.lose(self.inner.delete(id, now)).await
    }

    fn margin(&self) -> Duration {
        self.inner.margin()
    }

    fn subject_index(&self) -> Option<&dyn SubjectIndex> {
        None
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }

    fn purger(&self) -> Option<&dyn Purge> {
        None
    }
}

struct LossyBackend(Backend, Arc<AtomicU32>);

impl Fixture for LossyBackend {
    type Store = Lossy;
    const PROFILE: Profile = Profile::new("lossy");

    async fn start() -> conformance_tests::Result<Self> {
        Err("not started in these tests".into())
    }

    async fn open(&self, space: &Space) -> conformance_tests::Result<Lossy> {
        Ok(Lossy { inner: self.0.open(space).await?, calls: Arc::clone(&self.1) })
    }
}

async fn histories_on(defect: Option<Defect>) -> Verdict {
    let backend = LossyBackend(Backend::new(defect), Arc::default());
    let results = Suite::<LossyBackend>::new().run(backend, |rule| rule.id() == "L01").await;
    results[0].verdict.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_leave_histories_that_can_be_explained() {
    assert_eq!(histories_on(None).await, Verdict::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_excuse_nothing_else() {
    for defect in [Defect::UpdateIsBlind, Defect::TouchMovesBack, Defect::UpdateCreates] {
        let Verdict::Failed(report) = histories_on(Some(defect)).await else {
            panic!("{defect:?} was not found");
        };
        assert!(report.contains("no order explains this history"), "{report}");
        assert!(report.contains("-> unknown"), "{report}");
        assert!(report.lines().any(|line| line.trim_start().starts_with("x client")), "{report}");
    }
}
