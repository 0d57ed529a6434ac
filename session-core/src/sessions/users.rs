use super::commit::{Purpose, Step};
use super::{Indexed, Sessions};
use crate::error::{StoreError, StoreErrorKind};
use crate::events::Event;
use crate::id::SessionId;
use crate::page::{Page, PageRequest};
use crate::realm::Subject;
use crate::record::SessionSummary;
use crate::session::{CommitOutcome, Session, SessionError, State};
use crate::store::{SessionStore, SubjectIndex};

impl<S: SessionStore + ?Sized> Sessions<S, Indexed> {
    /// The live sessions of a user, a page at a time: "your devices".
    ///
    /// # Errors
    ///
    /// [`SessionError::WrongSubject`] for a subject of another realm, and whatever the store answers.
    pub async fn list(
        &self,
        subject: &Subject,
        page: &PageRequest,
    ) -> Result<Page<SessionSummary>, SessionError> {
        Ok(self.index_of(subject)?.list(subject, page, self.now()).await?)
    }

    /// Destroys the session `id`, if it is one of this user's. `true` if it was live until now.
    ///
    /// # Errors
    ///
    /// As [`list`](Sessions::list). The session may then still be live.
    pub async fn destroy_one(
        &self,
        subject: &Subject,
        id: &SessionId,
    ) -> Result<bool, SessionError> {
        let destroyed = self
            .index_of(subject)?
            .delete_one(subject, id, self.now())
            .await
            .inspect_err(|error| Event::StoreFailed.emit_error(Some(id), error))?;
        if destroyed {
            Event::Destroyed.emit(Some(id));
        }
        Ok(destroyed)
    }

    /// Destroys every session of a user but `except`, and says how many were live.
    ///
    /// Every session whose login had returned before this call began is dead after it. The excepted session,
    /// which must be this user's, gets a new secret without grace first, so that a stolen token dies with the
    /// others. After a change of password: change it first, then call this.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotCurrent`] when the excepted session was superseded or ended: nothing was
    /// destroyed. Otherwise as [`list`](Sessions::list); [`StoreError::deleted`] says how many were
    /// destroyed before the trouble, and repeating the call is safe.
    pub async fn destroy_all(
        &self,
        subject: &Subject,
        except: Option<&mut Session>,
    ) -> Result<u64, SessionError> {
        let index = self.index_of(subject)?;
        let kept = match except {
            Some(session) => Some(self.renew(session, subject).await?),
            None => None,
        };
        let destroyed = index
            .delete_all(subject, kept.as_ref(), self.now())
            .await
            .inspect_err(|error| Event::StoreFailed.emit_error(kept.as_ref(), error))?;
        Event::SubjectDestroyed.emit(kept.as_ref());
        Ok(destroyed)
    }

    /// Gives the session a new secret without grace.
    async fn renew(
        &self,
        session: &mut Session,
        subject: &Subject,
    ) -> Result<SessionId, SessionError> {
        let State::Live(live) = &session.state else { return Err(SessionError::NotCurrent) };
        if live.record.subject() != Some(subject) {
            return Err(SessionError::WrongSubject);
        }
        if live.in_grace {
            return Err(SessionError::NotCurrent);
        }
        let id = *live.record.id();
        let token = self.next_token(live)?;
        match self.write_session(session, Purpose::Secure(token, Step::Secret)).await? {
            CommitOutcome::Saved => Ok(id),
            _ => Err(SessionError::NotCurrent),
        }
    }

    fn index_of(&self, subject: &Subject) -> Result<&dyn SubjectIndex, SessionError> {
        if subject.realm() != self.config.realm.as_str() {
            return Err(SessionError::WrongSubject);
        }
        self.store.subject_index().ok_or_else(|| {
            StoreError::new(StoreErrorKind::Config, "the store has no index by subject").into()
        })
    }
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Deletes the oldest sessions beyond the limit. A failure does not undo the login: the next one
    /// enforces the limit again.
    pub(super) async fn enforce_limit(&self, subject: &Subject, own: Option<SessionId>) {
        let (Some(limit), Some(index)) = (self.config.per_subject, self.store.subject_index())
        else {
            return;
        };
        if let Err(error) = self.trim(index, subject, own, limit.get()).await {
            Event::LimitFailed.emit_error(own.as_ref(), &error);
        }
    }

    async fn trim(
        &self,
        index: &dyn SubjectIndex,
        subject: &Subject,
        own: Option<SessionId>,
        limit: u32,
    ) -> Result<(), StoreError> {
        let mut sessions = Vec::new();
        let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
        loop {
            let found = index.list(subject, &page, self.now()).await?;
            sessions.extend(found.items);
            match found.next {
                Some(next) => page = PageRequest::first(PageRequest::MAX_LIMIT).after(next),
                None => break,
            }
        }
        // Newest login first; this request's own session before all others.
        sessions.sort_by_key(|session| {
            let at = session.authentication.map_or(session.created_at, |login| login.at);
            std::cmp::Reverse((Some(session.id) == own, at, session.id))
        });
        sessions.dedup_by_key(|session| session.id);
        for session in sessions.into_iter().skip(usize::try_from(limit).unwrap_or(usize::MAX)) {
            if index.delete_one(subject, &session.id, self.now()).await? {
                Event::LimitEnforced.emit(Some(&session.id));
            }
        }
        Ok(())
    }
}
