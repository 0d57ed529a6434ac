use std::sync::Arc;
use std::time::Instant;

use super::{ConflictPolicy, Sessions};
use crate::data::{MergeRefused, SessionData};
use crate::error::StoreError;
use crate::events::Event;
use crate::id::{Revision, SessionId};
use crate::payload::{self, Content};
use crate::realm::Subject;
use crate::record::{Authentication, Change, CredentialTag, MAX_PAYLOAD_LEN, Record};
use crate::session::{CommitOutcome, Live, Session, SessionError, State};
use crate::sessions::open::Standing;
use crate::store::{SessionStore, TouchOutcome, UpdateOutcome};
use crate::timestamp::Timestamp;
use crate::token::{SecretHash, SessionSecret, SessionToken};

/// How often changes are applied again on top of another request's, in a commit and in `modify`.
pub(super) const MERGES: u32 = 8;

/// What a write does beside storing the data.
pub(super) enum Purpose {
    /// Nothing.
    Save,
    /// A new secret, the old one valid for the grace.
    Rotate(SessionToken),
    /// A new secret at once, and whatever else the step of security says.
    Secure(SessionToken, Step),
}

/// A step that changes what the session may do. It ends every older secret at once.
pub(super) enum Step {
    /// Only the secret.
    Secret,
    /// The authentication, to this level.
    Elevate(u8),
    /// A login.
    LogIn { subject: Subject, level: u8, credential_tag: Option<CredentialTag>, kept: Kept },
}

/// Which data a login carries over.
pub(super) enum Kept {
    Everything,
    Keys(Vec<String>),
}

enum Written {
    Stored(Box<Stored>),
    Refused(CommitOutcome),
}

struct Stored {
    record: Record,
    content: Arc<Content>,
    /// Whether the request's own secret was rotated by another request meanwhile.
    in_grace: bool,
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Stores what this request changed.
    ///
    /// Nothing is written, and nothing created, for a session that was not changed; a touch extends the idle
    /// deadline when it is due, and its failure does not fail the request. When another request committed
    /// first, the changes are merged. Ask [`Session::token_change`] afterwards what to tell the client.
    ///
    /// Atomic: data and rotation are one write. After an error what was stored is as it was, unless the store
    /// says `OutcomeUnknown` or `NotDurable`; then the handle is spent, and the session has to be opened
    /// again, so that no change is applied twice. After any other error the commit may be tried again.
    ///
    /// # Errors
    ///
    /// [`SessionError::Limit`], [`SessionError::Data`] and [`SessionError::Conflict`] for what cannot be
    /// stored, [`SessionError::Store`] and [`SessionError::Random`] for trouble.
    pub async fn commit(&self, session: &mut Session) -> Result<CommitOutcome, SessionError> {
        match &session.state {
            State::Gone(outcome) => Ok(*outcome),
            State::Unsettled => Err(SessionError::NotCurrent),
            State::New if session.data.is_changed() && !session.data.is_empty() => {
                let content = Arc::clone(session.data.current());
                let (record, token) = self.create(&content, None).await?;
                session.data.committed(content);
                session.issued(record, token);
                Ok(CommitOutcome::Saved)
            }
            State::New => Ok(CommitOutcome::Unchanged),
            State::Live(live) => {
                let rotates = session.rotation_requested && !live.in_grace;
                if rotates {
                    let token = self.next_token(live)?;
                    self.write_session(session, Purpose::Rotate(token)).await
                } else if session.data.is_changed() {
                    self.write_session(session, Purpose::Save).await
                } else {
                    self.touch_if_due(session).await
                }
            }
        }
    }

    /// Writes a live session and brings the handle up to date.
    pub(super) async fn write_session(
        &self,
        session: &mut Session,
        purpose: Purpose,
    ) -> Result<CommitOutcome, SessionError> {
        let State::Live(live) = &session.state else {
            return Err(SessionError::NotCurrent);
        };
        let event = match &purpose {
            Purpose::Save => None,
            Purpose::Rotate(_) | Purpose::Secure(_, Step::Secret) => Some(Event::Rotated),
            Purpose::Secure(_, Step::Elevate(_)) => Some(Event::Elevated),
            Purpose::Secure(_, Step::LogIn { .. }) => Some(Event::LoggedIn),
        };
        let Stored { record, content, in_grace } =
            match self.write(live, &session.data, &purpose).await {
                Ok(Written::Stored(stored)) => *stored,
                Ok(Written::Refused(outcome)) => {
                    session.gone(outcome);
                    return Ok(outcome);
                }
                Err(error) => {
                    if error.may_be_applied() {
                        session.state = State::Unsettled;
                    }
                    return Err(error);
                }
            };
        session.data.committed(content);
        match purpose {
            Purpose::Rotate(token) | Purpose::Secure(token, _) if !in_grace => {
                if let Some(event) = event {
                    event.emit(Some(record.id()));
                }
                session.issued(record, token);
            }
            _ => session.refreshed(record, in_grace),
        }
        Ok(CommitOutcome::Saved)
    }

    /// Sends the change, and after a conflict again on top of what the other request stored.
    async fn write(
        &self,
        live: &Live,
        data: &SessionData,
        purpose: &Purpose,
    ) -> Result<Written, SessionError> {
        let started = Instant::now();
        let id = *live.record.id();
        let mut record = live.record.clone();
        let mut content = Arc::clone(data.current());
        let mut in_grace = live.in_grace;
        for merges in 0..=MERGES {
            let now = self.now();
            if let Purpose::Secure(_, Step::LogIn { kept: Kept::Keys(keys), .. }) = purpose {
                content = Arc::new(content.only(keys));
            }
            let change = self.change(&record, &content, purpose, in_grace, now)?;
            match self.update(&change, now).await? {
                UpdateOutcome::Updated => {
                    if merges > 0 {
                        Event::Merged.emit(Some(&id));
                    }
                    let record = change.record().clone();
                    return Ok(Written::Stored(Box::new(Stored { record, content, in_grace })));
                }
                UpdateOutcome::Missing => return Ok(refused(&id, CommitOutcome::Missing)),
                UpdateOutcome::Conflict => {}
            }
            if started.elapsed() >= self.config.commit_within {
                break;
            }
            let Some(fresh) = self.load(&id, now).await? else {
                return Ok(refused(&id, CommitOutcome::Missing));
            };
            // Whether this request may still write is looked at before any data.
            match self.standing(&live.token, &fresh, now) {
                Standing::Current => {}
                Standing::InGrace if !matches!(purpose, Purpose::Secure(..)) => in_grace = true,
                _ => return Ok(refused(&id, CommitOutcome::Superseded)),
            }
            if fresh.subject() != live.record.subject() {
                return Ok(refused(&id, CommitOutcome::Superseded));
            }
            match self.config.conflict {
                ConflictPolicy::Reject => break,
                ConflictPolicy::Merge => {
                    let merged = data.merge_onto(Self::content(&fresh)?);
                    content = Arc::new(merged.map_err(|error| merge_error(error, &id))?);
                }
                ConflictPolicy::Overwrite if data.has_required_keys() => {
                    data.check_required_keys(&Self::content(&fresh)?)
                        .map_err(|error| merge_error(error, &id))?;
                }
                ConflictPolicy::Overwrite => {}
            }
            record = fresh;
        }
        Event::Conflict.emit(Some(&id));
        Err(SessionError::Conflict)
    }

    /// The change of `record` for `purpose`.
    fn change(
        &self,
        record: &Record,
        content: &Content,
        purpose: &Purpose,
        in_grace: bool,
        now: Timestamp,
    ) -> Result<Change, SessionError> {
        let config = &self.config;
        let mut change = record.change(Revision::random(&*config.random)?);
        match purpose {
            Purpose::Rotate(token) if !in_grace => {
                let hash = SecretHash::of(token, &config.realm);
                change = change.rotate(hash, now.plus(config.rotation_grace));
            }
            Purpose::Secure(token, step) => {
                change = change.rotate(SecretHash::of(token, &config.realm), now);
                match step {
                    Step::Secret => {}
                    Step::Elevate(level) => {
                        change = change.authentication(Authentication { at: now, level: *level });
                    }
                    Step::LogIn { subject, level, credential_tag, .. } => {
                        change = change
                            .login(subject.clone(), config.authenticated.deadline(now))
                            .map_err(|_| SessionError::WrongSubject)?
                            .authentication(Authentication { at: now, level: *level })
                            .credential_tag(credential_tag.clone());
                    }
                }
            }
            Purpose::Save | Purpose::Rotate(_) => {}
        }
        let subject = change.record().subject();
        let limit = if subject.is_some() { MAX_PAYLOAD_LEN } else { config.anonymous_payload };
        let payload = payload::encode(content, config.codec, limit)?;
        let deadline = change.record().deadline();
        let expires_at = config.lifetimes(subject).expires_at(now, deadline);
        Ok(change.payload(payload).expires_at(expires_at))
    }

    /// `SessionStore::update`, with an unknown outcome settled by one look where that is possible.
    pub(super) async fn update(
        &self,
        change: &Change,
        now: Timestamp,
    ) -> Result<UpdateOutcome, StoreError> {
        let id = change.id();
        let unknown = match self.store.update(change, now).await {
            Err(error) if error.is_outcome_unknown() => error,
            Err(error) => {
                Event::StoreFailed.emit_error(Some(id), &error);
                return Err(error);
            }
            Ok(outcome) => return Ok(outcome),
        };
        let found = self.store.load(id, now).await.ok().flatten();
        let own = change.record().revision();
        let outcome = match found.map(|record| record.revision()) {
            Some(revision) if revision == own && !change.writes_index_entry() => {
                Some(UpdateOutcome::Updated)
            }
            // Either nothing was applied, or the index entry may be missing: the same write once more.
            Some(revision) if revision == own || revision == change.expected() => {
                match self.store.update(change, now).await {
                    Ok(UpdateOutcome::Conflict) | Err(_) => None,
                    Ok(outcome) => Some(outcome),
                }
            }
            _ => None,
        };
        let event = if outcome.is_some() { Event::Settled } else { Event::StoreFailed };
        event.emit_error(Some(id), &unknown);
        outcome.ok_or(unknown)
    }

    /// `SessionStore::load`, with the event for a store that fails.
    pub(super) async fn load(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.store
            .load(id, now)
            .await
            .inspect_err(|error| Event::StoreFailed.emit_error(Some(id), error))
    }

    /// A fresh secret for the same session.
    pub(super) fn next_token(&self, live: &Live) -> Result<SessionToken, SessionError> {
        let secret = SessionSecret::random(&*self.config.random)?;
        Ok(SessionToken::new(*live.record.id(), secret))
    }

    async fn touch_if_due(&self, session: &mut Session) -> Result<CommitOutcome, SessionError> {
        session.rotation_requested = false;
        let Some(record) = session.record() else { return Ok(CommitOutcome::Unchanged) };
        let now = self.now();
        let lifetimes = self.config.lifetimes(record.subject());
        let target = lifetimes.touch_to(now, record.expires_at(), record.deadline());
        let Some(expires_at) = target else { return Ok(CommitOutcome::Unchanged) };
        let id = *record.id();
        match self.store.touch(&id, expires_at, now).await {
            Ok(TouchOutcome::Touched) => session.touched(expires_at),
            Ok(TouchOutcome::Missing) => {
                Event::EndedMeanwhile.emit(Some(&id));
                session.gone(CommitOutcome::Missing);
                return Ok(CommitOutcome::Missing);
            }
            Err(error) => Event::TouchFailed.emit_error(Some(&id), &error),
        }
        Ok(CommitOutcome::Unchanged)
    }
}

fn merge_error(refused: MergeRefused, id: &SessionId) -> SessionError {
    match refused {
        MergeRefused::Changed => {
            Event::Conflict.emit(Some(id));
            SessionError::Conflict
        }
        MergeRefused::Data(error) => SessionError::Data(error),
    }
}

fn refused(id: &SessionId, outcome: CommitOutcome) -> Written {
    match outcome {
        CommitOutcome::Superseded => Event::RequestSuperseded.emit(Some(id)),
        _ => Event::EndedMeanwhile.emit(Some(id)),
    }
    Written::Refused(outcome)
}
