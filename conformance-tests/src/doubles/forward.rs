//! The forwarding that all doubles have in common.

use session_core::{CreateOutcome, StoreError};

/// Why a call does not reach the store.
pub(super) enum Early {
    Fails(StoreError),
    /// Only for a create.
    IsTaken,
}

impl Early {
    /// The answer of an operation that has no outcome for a taken id.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Fails(error) => error,
            Self::IsTaken => StoreError::new(
                session_core::StoreErrorKind::Config,
                "only a create can find its id taken",
            ),
        }
    }

    pub(super) fn of_create(self) -> Result<CreateOutcome, StoreError> {
        match self {
            Self::Fails(error) => Err(error),
            Self::IsTaken => Ok(CreateOutcome::Exists),
        }
    }
}

/// Implements the traits for a double that has the field `inner: Arc<dyn SessionStore>` and the methods
/// `before(Op) -> Result<(), Early>` (async) and `after(Op) -> Result<(), StoreError>`.
macro_rules! forward {
    ($double:ty) => {
        #[session_core::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl session_core::SessionStore for $double {
            async fn create(
                &self,
                record: &session_core::Record,
                now: session_core::Timestamp,
            ) -> Result<session_core::CreateOutcome, session_core::StoreError> {
                if let Err(early) = self.before(Op::Create).await {
                    return early.of_create();
                }
                let outcome = self.inner.create(record, now).await?;
                self.after(Op::Create).map(|()| outcome)
            }

            async fn load(
                &self,
                id: &session_core::SessionId,
                now: session_core::Timestamp,
            ) -> Result<Option<session_core::Record>, session_core::StoreError> {
                self.before(Op::Load).await.map_err(Early::into_error)?;
                let record = self.inner.load(id, now).await?;
                self.after(Op::Load).map(|()| record)
            }

            async fn update(
                &self,
                change: &session_core::Change,
                now: session_core::Timestamp,
            ) -> Result<session_core::UpdateOutcome, session_core::StoreError> {
                self.before(Op::Update).await.map_err(Early::into_error)?;
                let outcome = self.inner.update(change, now).await?;
                self.after(Op::Update).map(|()| outcome)
            }

            async fn touch(
                &self,
                id: &session_core::SessionId,
                expires_at: session_core::Timestamp,
                now: session_core::Timestamp,
            ) -> Result<session_core::TouchOutcome, session_core::StoreError> {
                self.before(Op::Touch).await.map_err(Early::into_error)?;
                let outcome = self.inner.touch(id, expires_at, now).await?;
                self.after(Op::Touch).map(|()| outcome)
            }

            async fn delete(
                &self,
                id: &session_core::SessionId,
                now: session_core::Timestamp,
            ) -> Result<bool, session_core::StoreError> {
                self.before(Op::Delete).await.map_err(Early::into_error)?;
                let was_live = self.inner.delete(id, now).await?;
                self.after(Op::Delete).map(|()| was_live)
            }

            fn margin(&self) -> std::time::Duration {
                self.inner.margin()
            }

            fn subject_index(&self) -> Option<&dyn session_core::SubjectIndex> {
                self.inner.subject_index().map(|_| self as _)
            }

            fn inspect(&self) -> Option<&dyn session_core::Inspect> {
                self.inner.inspect()
            }

            fn purger(&self) -> Option<&dyn session_core::Purge> {
                self.inner.purger()
            }
        }

        #[session_core::async_trait]
        impl session_core::SubjectIndex for $double {
            async fn list(
                &self,
                subject: &session_core::Subject,
                page: &session_core::PageRequest,
                now: session_core::Timestamp,
            ) -> Result<session_core::Page<session_core::SessionSummary>, session_core::StoreError>
            {
                self.before(Op::List).await.map_err(Early::into_error)?;
                let page =
                    $crate::doubles::forward::index(&self.inner)?.list(subject, page, now).await?;
                self.after(Op::List).map(|()| page)
            }

            async fn delete_all(
                &self,
                subject: &session_core::Subject,
                except: Option<&session_core::SessionId>,
                now: session_core::Timestamp,
            ) -> Result<u64, session_core::StoreError> {
                self.before(Op::DeleteAll).await.map_err(Early::into_error)?;
                let index = $crate::doubles::forward::index(&self.inner)?;
                let deleted = index.delete_all(subject, except, now).await?;
                self.after(Op::DeleteAll).map(|()| deleted)
            }

            async fn delete_one(
                &self,
                subject: &session_core::Subject,
                id: &session_core::SessionId,
                now: session_core::Timestamp,
            ) -> Result<bool, session_core::StoreError> {
                self.before(Op::DeleteOne).await.map_err(Early::into_error)?;
                let index = $crate::doubles::forward::index(&self.inner)?;
                let was_live = index.delete_one(subject, id, now).await?;
                self.after(Op::DeleteOne).map(|()| was_live)
            }
        }
    };
}

pub(super) use forward;

/// The index of the wrapped store. A double shows an index only where there is one.
pub(super) fn index(
    store: &std::sync::Arc<dyn session_core::SessionStore>,
) -> Result<&dyn session_core::SubjectIndex, StoreError> {
    store.subject_index().ok_or_else(|| {
        StoreError::new(session_core::StoreErrorKind::Config, "the store has no index by subject")
    })
}
