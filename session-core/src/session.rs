//! One request's view of a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::data::{DataError, SessionData};
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::limits::LimitExceeded;
use crate::random::{RandomSource, RandomUnavailable};
use crate::realm::{InvalidSubject, Subject};
use crate::record::{Authentication, CredentialTag, Record};
use crate::timestamp::Timestamp;
use crate::token::{DerivedKey, SessionToken};

/// A session as one request sees it: opened once, changed, committed once at the end.
///
/// Made by [`Sessions::open`](crate::Sessions::open). It holds no connection and no lock. Changes stay in
/// memory until [`Sessions::commit`](crate::Sessions::commit); dropping the handle forgets them.
pub struct Session {
    pub(crate) state: State,
    pub(crate) data: SessionData,
    pub(crate) rotation_requested: bool,
    opened: Opened,
    token_change: OwnedTokenChange,
}

pub(crate) enum State {
    /// Nothing is stored yet.
    New,
    /// The stored session of this request's client.
    Live(Box<Live>),
    /// The session was superseded or ended; nothing may be written.
    Gone(CommitOutcome),
    /// A write may or may not have been applied, so nothing more may be built on what was read.
    Unsettled,
}

pub(crate) struct Live {
    /// The record as this request last read or wrote it.
    pub(crate) record: Record,
    /// The token that proves that the session is this client's.
    pub(crate) token: SessionToken,
    /// Whether `token` is the secret before the current one, inside its grace.
    pub(crate) in_grace: bool,
}

enum OwnedTokenChange {
    Keep,
    Set(SessionToken),
    Remove,
}

impl Session {
    pub(crate) fn without_record(opened: Opened, random: &Arc<dyn RandomSource>) -> Self {
        let state = match opened {
            Opened::Superseded => State::Gone(CommitOutcome::Superseded),
            _ => State::New,
        };
        Self::in_state(state, opened, SessionData::empty(Arc::clone(random)))
    }

    pub(crate) fn live(live: Live, data: SessionData) -> Self {
        Self::in_state(State::Live(Box::new(live)), Opened::Live, data)
    }

    const fn in_state(state: State, opened: Opened, data: SessionData) -> Self {
        Self {
            state,
            data,
            rotation_requested: false,
            opened,
            token_change: OwnedTokenChange::Keep,
        }
    }

    /// What the client's token turned out to be.
    #[must_use]
    pub const fn opened(&self) -> Opened {
        self.opened
    }

    /// The public id; `None` while nothing is stored.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.record().map(|record| *record.id())
    }

    /// The user who is logged in.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.record()?.subject()
    }

    /// When and how strongly the user authenticated.
    #[must_use]
    pub fn authentication(&self) -> Option<Authentication> {
        self.record()?.authentication()
    }

    /// Whether the user authenticated at most `max_age` ago, for operations that ask for it again. Use does
    /// not refresh it; only a login or an elevation does.
    #[must_use]
    pub fn is_fresh(&self, max_age: Duration, now: Timestamp) -> bool {
        self.authentication().is_some_and(|authentication| now.since(authentication.at) <= max_age)
    }

    /// The tag that was stored at login.
    #[must_use]
    pub fn credential_tag(&self) -> Option<&CredentialTag> {
        self.record()?.credential_tag()
    }

    /// When the session was created.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.record().map(Record::created_at)
    }

    /// When the session ends if it is not used any more.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.record().map(Record::expires_at)
    }

    /// When the session ends in any case.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.record().map(Record::deadline)
    }

    /// The application's data.
    #[must_use]
    pub const fn data(&self) -> &SessionData {
        &self.data
    }

    /// The application's data, to change.
    #[must_use]
    pub const fn data_mut(&mut self) -> &mut SessionData {
        &mut self.data
    }

    /// Gives the client a new secret with the next commit, in the same write as the data. The old one stays
    /// valid for the configured grace, so that requests in flight are not logged out.
    ///
    /// Without effect on a session that is not stored yet, and for a request whose own secret was rotated
    /// already.
    pub const fn rotate(&mut self) {
        self.rotation_requested = true;
    }

    /// A key that is bound to the token which the client holds, for `purpose`: say, tokens against cross-site
    /// request forgery. It changes with the secret and ends with the session; another purpose has another key,
    /// and none of them tells anything about the secret. `None` while nothing is stored.
    ///
    /// HMAC-SHA256 by the secret over `"session-derived/1"` ‖ length of the purpose (8 bytes, big-endian) ‖
    /// purpose ‖ id.
    #[must_use]
    pub fn derive_key(&self, purpose: &str) -> Option<DerivedKey> {
        match &self.state {
            State::Live(live) => Some(live.token.derive_key(purpose)),
            State::New | State::Gone(_) | State::Unsettled => None,
        }
    }

    /// What to tell the client about its token. Ask **after** the commit; if that failed, tell it nothing.
    #[must_use]
    pub const fn token_change(&self) -> TokenChange<'_> {
        match &self.token_change {
            OwnedTokenChange::Keep => TokenChange::Keep,
            OwnedTokenChange::Set(token) => TokenChange::Set(token),
            OwnedTokenChange::Remove => TokenChange::Remove,
        }
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.state {
            State::Live(live) => Some(&live.record),
            State::New | State::Gone(_) | State::Unsettled => None,
        }
    }

    /// From now on this is the session of `record`, which the client opens with `token`.
    pub(crate) fn issued(&mut self, record: Record, token: SessionToken) {
        self.token_change = OwnedTokenChange::Set(token.clone());
        self.state = State::Live(Box::new(Live { record, token, in_grace: false }));
        self.rotation_requested = false;
    }

    /// The record was written without a new token for this client.
    pub(crate) fn refreshed(&mut self, record: Record, in_grace: bool) {
        self.rotation_requested = false;
        if let State::Live(live) = &mut self.state {
            live.record = record;
            live.in_grace = in_grace;
        }
    }

    /// The idle deadline was moved.
    pub(crate) fn touched(&mut self, expires_at: Timestamp) {
        if let State::Live(live) = &mut self.state {
            let mut parts = live.record.clone().into_parts();
            parts.expires_at = expires_at;
            live.record = Record::from_parts(parts);
        }
    }

    /// The session ended by this request's own hand; what follows is a new one.
    pub(crate) fn destroyed(&mut self, random: &Arc<dyn RandomSource>) {
        self.token_change = OwnedTokenChange::Remove;
        self.state = State::New;
        self.data = SessionData::empty(Arc::clone(random));
        self.rotation_requested = false;
    }

    /// The session was superseded or ended by another request: nothing is written, and the client is told
    /// nothing.
    pub(crate) fn gone(&mut self, outcome: CommitOutcome) {
        self.token_change = OwnedTokenChange::Keep;
        self.state = State::Gone(outcome);
        self.rotation_requested = false;
    }
}

/// Shows the public id and the sizes, neither data nor user nor token.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("opened", &self.opened)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// What a client's token turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// The client sent none.
    NoToken,
    /// What the client sent is not a token. No store call was made.
    Malformed,
    /// There is no live session for it.
    Unknown,
    /// The token of a live session, current or inside its grace.
    Live,
    /// The secret was replaced not long ago. The request stays anonymous and creates no session, unless it
    /// logs in.
    Superseded,
    /// The stored session cannot be read. It is kept; a write begins another one.
    Corrupt,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a commit that was not applied says so here"]
#[non_exhaustive]
pub enum CommitOutcome {
    /// There was nothing to write.
    Unchanged,
    /// The changes are stored.
    Saved,
    /// A login, a privilege change, or a rotation whose grace is over came between. Nothing was written.
    Superseded,
    /// The session ended meanwhile. Nothing was written.
    Missing,
}

/// What to tell the client about its token.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TokenChange<'a> {
    /// Nothing.
    Keep,
    /// Hold this one from now on.
    Set(&'a SessionToken),
    /// Forget it: this request destroyed the session.
    Remove,
}

/// An operation on a session failed. Nothing is lost: what was stored is as it was, unless
/// [`is_outcome_unknown`](SessionError::is_outcome_unknown).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed. Answer 503, and leave the client's token alone.
    #[error("the session store failed")]
    Store(#[from] StoreError),
    /// The random source failed; no id, secret or revision was made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
    /// The data breaks a limit. Nothing was written.
    #[error("the session breaks a limit")]
    Limit(#[from] LimitExceeded),
    /// A value cannot be put into, or taken out of, the data. Nothing was written.
    #[error("the session data cannot be changed")]
    Data(#[from] DataError),
    /// Another request changed the session, and the changes may not be merged, or could not in the tries
    /// allowed. Nothing was written; open the session again.
    #[error("another request changed the session")]
    Conflict,
    /// The operation needs a session with a subject.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The subject belongs to another realm, or the session to another subject.
    #[error("the subject is of another realm or session")]
    WrongSubject,
    /// Not a name of a subject.
    #[error(transparent)]
    InvalidSubject(#[from] InvalidSubject),
    /// The session was superseded or ended, and the operation needs the current one. Nothing was written.
    #[error("the session is not current any more")]
    NotCurrent,
}

impl SessionError {
    /// Whether the same call may succeed if it is simply made again, and surely had no effect so far.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Conflict => true,
            _ => false,
        }
    }

    /// Whether the store may hold the write although it failed.
    pub(crate) fn may_be_applied(&self) -> bool {
        matches!(self, Self::Store(error) if matches!(
            error.kind(),
            StoreErrorKind::OutcomeUnknown | StoreErrorKind::NotDurable
        ))
    }

    /// Whether the write may or may not have been applied.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outcome_unknown())
    }
}
