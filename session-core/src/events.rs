//! The events that this crate emits with `tracing`, target `session`.
//!
//! Each event has the field `event` with its name, `session.id` with the public id where there is one, and
//! `error.kind` where a store failed. None has a token, secret, hash, payload or user name.
//!
//! | `event` | level | when |
//! |---|---|---|
//! | `session.created` | info | a session was stored for the first time |
//! | `session.logged_in` | info | a login was written |
//! | `session.elevated` | info | an elevation was written |
//! | `session.rotated` | info | a rotation was written |
//! | `session.destroyed` | info | a session was destroyed by its own request, or by its id |
//! | `session.subject_destroyed` | info | all sessions of a subject were destroyed |
//! | `session.limit_enforced` | info | the oldest session beyond the limit of its subject was deleted |
//! | `session.merged` | debug | a commit was merged with another request's |
//! | `session.conflict` | info | a commit was refused because of another request's |
//! | `session.ended_meanwhile` | info | a request wrote to a session that had ended since |
//! | `session.request_superseded` | info | a request wrote to a session that was rotated or logged in since |
//! | `session.token_malformed` | info | a client sent something that is not a token |
//! | `session.token_unknown` | info | a client sent a token of no live session |
//! | `session.secret_wrong` | warn | a client sent a known id with a secret that never was, or is long gone |
//! | `session.secret_superseded` | warn | a client sent a secret after its grace: a sign of theft, or of a lost response |
//! | `session.corrupt` | error | a stored session cannot be read |
//! | `session.settled` | warn | an unknown outcome was settled by looking |
//! | `session.touch_failed` | warn | a touch failed; the request goes on |
//! | `session.limit_failed` | warn | the limit of sessions could not be enforced; the next login tries again |
//! | `session.store_failed` | error | the store failed, and with it the operation |

use tracing::Level;

use crate::error::StoreError;
use crate::id::SessionId;

#[derive(Clone, Copy)]
pub(crate) enum Event {
    Created,
    LoggedIn,
    Elevated,
    Rotated,
    Destroyed,
    SubjectDestroyed,
    LimitEnforced,
    Merged,
    Conflict,
    EndedMeanwhile,
    RequestSuperseded,
    TokenMalformed,
    TokenUnknown,
    SecretWrong,
    SecretSuperseded,
    Corrupt,
    Settled,
    TouchFailed,
    LimitFailed,
    StoreFailed,
}

impl Event {
    const fn describe(self) -> (Level, &'static str) {
        match self {
            Self::Created => (Level::INFO, "session.created"),
            Self::LoggedIn => (Level::INFO, "session.logged_in"),
            Self::Elevated => (Level::INFO, "session.elevated"),
            Self::Rotated => (Level::INFO, "session.rotated"),
            Self::Destroyed => (Level::INFO, "session.destroyed"),
            Self::SubjectDestroyed => (Level::INFO, "session.subject_destroyed"),
            Self::LimitEnforced => (Level::INFO, "session.limit_enforced"),
            Self::Merged => (Level::DEBUG, "session.merged"),
            Self::Conflict => (Level::INFO, "session.conflict"),
            Self::EndedMeanwhile => (Level::INFO, "session.ended_meanwhile"),
            Self::RequestSuperseded => (Level::INFO, "session.request_superseded"),
            Self::TokenMalformed => (Level::INFO, "session.token_malformed"),
            Self::TokenUnknown => (Level::INFO, "session.token_unknown"),
            Self::SecretWrong => (Level::WARN, "session.secret_wrong"),
            Self::SecretSuperseded => (Level::WARN, "session.secret_superseded"),
            Self::Corrupt => (Level::ERROR, "session.corrupt"),
            Self::Settled => (Level::WARN, "session.settled"),
            Self::TouchFailed => (Level::WARN, "session.touch_failed"),
            Self::LimitFailed => (Level::WARN, "session.limit_failed"),
            Self::StoreFailed => (Level::ERROR, "session.store_failed"),
        }
    }

    /// Emits the event for the session `id`.
    pub(crate) fn emit(self, id: Option<&SessionId>) {
        self.emit_with(id, None);
    }

    /// Emits the event for a store that failed.
    pub(crate) fn emit_error(self, id: Option<&SessionId>, error: &StoreError) {
        self.emit_with(id, Some(error));
    }

    fn emit_with(self, id: Option<&SessionId>, error: Option<&StoreError>) {
        // A level has to be a constant of its call site, hence one call for each.
        macro_rules! emit_at {
            ($level:expr, $name:expr) => {
                tracing::event!(
                    target: "session",
                    $level,
                    event = $name,
                    session.id = id.map(tracing::field::display),
                    error.kind = error.map(|error| tracing::field::debug(error.kind())),
                )
            };
        }
        match self.describe() {
            (Level::ERROR, name) => emit_at!(Level::ERROR, name),
            (Level::WARN, name) => emit_at!(Level::WARN, name),
            (Level::INFO, name) => emit_at!(Level::INFO, name),
            (_, name) => emit_at!(Level::DEBUG, name),
        }
    }
}
