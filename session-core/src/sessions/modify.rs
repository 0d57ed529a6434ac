use std::sync::Arc;
use std::time::Instant;

use super::commit::MERGES;
use super::{ConflictPolicy, Sessions};
use crate::data::{DataError, SessionData};
use crate::events::Event;
use crate::id::{Revision, SessionId};
use crate::payload;
use crate::record::MAX_PAYLOAD_LEN;
use crate::session::{CommitOutcome, SessionError};
use crate::store::{SessionStore, UpdateOutcome};

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Changes the data of the session `id` from outside its own requests: by a job, a webhook, an
    /// administrator. **Privileged**: no token is asked for.
    ///
    /// The closure runs again, on the newer data, when another request commits first; it must do nothing but
    /// change the data. Deadlines, secret and user stay; the session's life is not extended. A session whose
    /// subject changed meanwhile answers [`Superseded`](CommitOutcome::Superseded), one of another realm
    /// [`Missing`](CommitOutcome::Missing).
    ///
    /// # Errors
    ///
    /// As [`commit`](Sessions::commit), and what the closure answers.
    pub async fn modify<F>(
        &self,
        id: &SessionId,
        mut change: F,
    ) -> Result<CommitOutcome, SessionError>
    where
        F: FnMut(&mut SessionData) -> Result<(), DataError>,
    {
        let started = Instant::now();
        let mut subject = None;
        for _ in 0..=MERGES {
            let now = self.now();
            let Some(record) = self.load(id, now).await? else {
                return Ok(CommitOutcome::Missing);
            };
            if !self.is_of_this_realm(&record) {
                return Ok(CommitOutcome::Missing);
            }
            if *subject.get_or_insert_with(|| record.subject().cloned())
                != record.subject().cloned()
            {
                Event::RequestSuperseded.emit(Some(id));
                return Ok(CommitOutcome::Superseded);
            }
            let random = Arc::clone(&self.config.random);
            let mut data = SessionData::loaded(Arc::new(Self::content(&record)?), random);
            change(&mut data)?;
            if !data.is_changed() {
                return Ok(CommitOutcome::Unchanged);
            }
            let anonymous = record.subject().is_none();
            let limit = if anonymous { self.config.anonymous_payload } else { MAX_PAYLOAD_LEN };
            let payload = payload::encode(data.current(), self.config.codec, limit)?;
            let revision = Revision::random(&*self.config.random)?;
            match self.update(&record.change(revision).payload(payload), now).await? {
                UpdateOutcome::Updated => return Ok(CommitOutcome::Saved),
                UpdateOutcome::Missing => return Ok(CommitOutcome::Missing),
                UpdateOutcome::Conflict if self.config.conflict == ConflictPolicy::Reject => break,
                UpdateOutcome::Conflict => {}
            }
            if started.elapsed() >= self.config.commit_within {
                break;
            }
        }
        Event::Conflict.emit(Some(id));
        Err(SessionError::Conflict)
    }
}
