use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::data::SessionData;
use crate::error::{StoreError, StoreErrorKind};
use crate::events::Event;
use crate::id::SessionId;
use crate::payload::{self, Content, DecodeError};
use crate::record::Record;
use crate::session::{Live, Opened, Session, SessionError};
use crate::store::SessionStore;
use crate::timestamp::Timestamp;
use crate::token::{SecretHash, SessionToken};

/// For how long after the end of its grace a superseded token is told from an unknown one.
const SUPERSEDED_FOR: Duration = Duration::from_secs(2 * 60);

/// What a token is to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its current secret.
    Current,
    /// The secret before, inside its grace.
    InGrace,
    /// A secret that was replaced not long ago, or any wrong one soon after a rotation.
    Superseded(Secret),
    /// Nothing.
    Unknown(Secret),
}

/// What a secret that opens nothing is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secret {
    /// The one before the current one, after its grace.
    Replaced,
    /// Any other.
    Wrong,
}

impl Secret {
    const fn event(self) -> Event {
        match self {
            Self::Replaced => Event::SecretSuperseded,
            Self::Wrong => Event::SecretWrong,
        }
    }
}

impl<S: SessionStore + ?Sized, I> Sessions<S, I> {
    /// Opens the session of the client that sent `token`: the text of the cookie as it came, or `None`.
    ///
    /// One store call, and none without a well-formed token. A token that opens nothing gives an empty
    /// session to which the first write gives a fresh id; the client's own is never adopted. What the token
    /// turned out to be is [`Session::opened`].
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] when the store cannot answer, or was written by a later version. Then
    /// nothing is known about the client: answer 503 and leave its token alone.
    pub async fn open(&self, token: Option<&[u8]>) -> Result<Session, SessionError> {
        let Some(text) = token else { return Ok(self.empty(Opened::NoToken)) };
        let Ok(token) = SessionToken::parse(text) else {
            Event::TokenMalformed.emit(None);
            return Ok(self.empty(Opened::Malformed));
        };
        let id = token.id();
        let now = self.now();
        let record = match self.store.load(&id, now).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                Event::TokenUnknown.emit(Some(&id));
                return Ok(self.empty(Opened::Unknown));
            }
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(self.corrupt(&id)),
            Err(error) => {
                Event::StoreFailed.emit_error(Some(&id), &error);
                return Err(error.into());
            }
        };
        let standing = self.standing(&token, &record, now);
        match standing {
            Standing::Current | Standing::InGrace => {}
            Standing::Superseded(secret) => {
                secret.event().emit(Some(&id));
                return Ok(self.empty(Opened::Superseded));
            }
            Standing::Unknown(secret) => {
                secret.event().emit(Some(&id));
                return Ok(self.empty(Opened::Unknown));
            }
        }
        // Only now, with the secret verified, is a byte of the payload decoded.
        match payload::decode(record.payload()) {
            Ok(content) => {
                let in_grace = standing == Standing::InGrace;
                let data = SessionData::loaded(Arc::new(content), Arc::clone(&self.config.random));
                Ok(Session::live(Live { record, token, in_grace }, data))
            }
            Err(DecodeError::Corrupt) => Ok(self.corrupt(&id)),
            Err(DecodeError::UnsupportedFormat) => Err(unsupported(&id).into()),
        }
    }

    /// What `token` is to `record`.
    pub(super) fn standing(
        &self,
        token: &SessionToken,
        record: &Record,
        now: Timestamp,
    ) -> Standing {
        let hash = SecretHash::of(token, &self.config.realm);
        if hash == *record.secret_hash() {
            return Standing::Current;
        }
        let Some(previous) = record.previous() else { return Standing::Unknown(Secret::Wrong) };
        let secret = if hash == previous.hash { Secret::Replaced } else { Secret::Wrong };
        if secret == Secret::Replaced && now < previous.grace_until {
            Standing::InGrace
        } else if now < previous.grace_until.plus(SUPERSEDED_FOR) {
            Standing::Superseded(secret)
        } else {
            Standing::Unknown(secret)
        }
    }

    /// The content of a record whose request has been let in.
    pub(super) fn content(record: &Record) -> Result<Content, StoreError> {
        payload::decode(record.payload()).map_err(|error| match error {
            DecodeError::Corrupt => {
                Event::Corrupt.emit(Some(record.id()));
                StoreError::new(StoreErrorKind::Corrupt, "decode the payload")
            }
            DecodeError::UnsupportedFormat => unsupported(record.id()),
        })
    }

    fn empty(&self, opened: Opened) -> Session {
        Session::without_record(opened, &self.config.random)
    }

    fn corrupt(&self, id: &SessionId) -> Session {
        Event::Corrupt.emit(Some(id));
        self.empty(Opened::Corrupt)
    }
}

fn unsupported(id: &SessionId) -> StoreError {
    let error = StoreError::new(StoreErrorKind::UnsupportedFormat, "decode the payload");
    Event::StoreFailed.emit_error(Some(id), &error);
    error
}
