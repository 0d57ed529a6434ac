//! From what MongoDB and its driver say to what a store says.

use std::fmt;

use mongodb::bson::{RawBsonRef, RawDocument};
use mongodb::error::{
    Error, ErrorKind, NO_WRITES_PERFORMED, RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR, WriteFailure,
};
use session_core::{StoreError, StoreErrorKind};

use StoreErrorKind as Kind;

/// What a code of the server means for the command that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The command was not done, and this is the kind of error.
    Refused(Kind),
    /// The command was not done, because this is not the primary (any more).
    NotPrimary,
    /// The command was interrupted, and may have been done.
    Interrupted,
}

use Meaning::{Interrupted, NotPrimary, Refused};

/// The server's codes, and what they mean.
///
/// A code that is not listed is [`Interrupted`] where it answers a whole command, since a router may have got it
/// from a server behind it; where it answers one statement, the statement was not done.
const BY_CODE: &[(i32, Meaning)] = &[
    // Another server is the primary.
    (10107, NotPrimary), // NotWritablePrimary
    (13435, NotPrimary), // NotPrimaryNoSecondaryOk
    (10058, NotPrimary), // LegacyNotPrimary
    // It stops being the primary, or stops at all, while it works.
    (189, Interrupted),   // PrimarySteppedDown
    (11602, Interrupted), // InterruptedDueToReplStateChange
    (11600, Interrupted), // InterruptedAtShutdown
    (91, Interrupted),    // ShutdownInProgress
    (13436, Interrupted), // NotPrimaryOrSecondary
    // A router has lost the server behind it.
    (6, Interrupted),    // HostUnreachable
    (7, Interrupted),    // HostNotFound
    (89, Interrupted),   // NetworkTimeout
    (9001, Interrupted), // SocketException
    // It has no time.
    (50, Interrupted),                // MaxTimeMSExpired
    (262, Interrupted),               // ExceededTimeLimit
    (24, Refused(Kind::Overloaded)),  // LockTimeout
    (112, Refused(Kind::Overloaded)), // WriteConflict
    (462, Refused(Kind::Overloaded)), // IngressRequestRateLimitExceeded
    // It is not ready.
    (133, Refused(Kind::Unavailable)), // FailedToSatisfyReadPreference
    (134, Refused(Kind::Unavailable)), // ReadConcernMajorityNotAvailableYet
    // It has no room.
    (14031, Refused(Kind::ReadOnly)), // OutOfDiskSpace
    // It does not let us.
    (11, Refused(Kind::Denied)),  // UserNotFound
    (13, Refused(Kind::Denied)),  // Unauthorized
    (18, Refused(Kind::Denied)),  // AuthenticationFailed
    (391, Refused(Kind::Denied)), // ReauthenticationRequired
    // It is not set up for what we ask.
    (2, Refused(Kind::Config)),   // BadValue
    (9, Refused(Kind::Config)),   // FailedToParse
    (14, Refused(Kind::Config)),  // TypeMismatch
    (20, Refused(Kind::Config)),  // IllegalOperation
    (48, Refused(Kind::Config)),  // NamespaceExists
    (59, Refused(Kind::Config)),  // CommandNotFound
    (67, Refused(Kind::Config)),  // CannotCreateIndex
    (72, Refused(Kind::Config)),  // InvalidOptions
    (73, Refused(Kind::Config)),  // InvalidNamespace
    (79, Refused(Kind::Config)),  // UnknownReplWriteConcern
    (85, Refused(Kind::Config)),  // IndexOptionsConflict
    (86, Refused(Kind::Config)),  // IndexKeySpecsConflict
    (115, Refused(Kind::Config)), // CommandNotSupported
    (121, Refused(Kind::Config)), // DocumentValidationFailure
    (166, Refused(Kind::Config)), // CommandNotSupportedOnView
];

const DUPLICATE_KEY: i32 = 11000;

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) error: StoreError,
    /// Whether the same call may succeed at once, on another connection or another server.
    pub(crate) passing: bool,
}

impl Trouble {
    fn new(kind: Kind, doing: &'static str, source: Source) -> Self {
        Self { error: StoreError::new(kind, doing).with_source(source), passing: false }
    }

    fn passing(mut self) -> Self {
        self.passing = true;
        self
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

/// Whether the server says that there is a document with this id, or with the same value under a unique index
/// that somebody has added.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Write(WriteFailure::WriteError(refusal)) if refusal.code == DUPLICATE_KEY
    )
}

/// The store's error for an error of the driver.
pub(crate) fn from_driver(error: &Error, access: Access, doing: &'static str) -> Trouble {
    let source = Source::of(error);
    // What a write becomes of which nobody knows whether it was done.
    let unclear = match access {
        Access::Read => Kind::Unavailable,
        Access::Write => Kind::OutcomeUnknown,
    };
    let by_meaning = |meaning, source| match meaning {
        Refused(kind) => Trouble::new(kind, doing, source),
        NotPrimary => Trouble::new(Kind::ReadOnly, doing, source).passing(),
        Interrupted if error.contains_label(NO_WRITES_PERFORMED) => {
            Trouble::new(Kind::Unavailable, doing, source).passing()
        }
        Interrupted => Trouble::new(unclear, doing, source).passing(),
    };
    match &*error.kind {
        ErrorKind::Command(refusal) => {
            by_meaning(meaning(refusal.code).unwrap_or(Interrupted), source)
        }
        ErrorKind::Write(WriteFailure::WriteError(refusal)) => {
            by_meaning(meaning(refusal.code).unwrap_or(Refused(Kind::Unavailable)), source)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
            // Not confirmed by a majority in time. What found nothing to do is not done either.
            let kind = if found_nothing(error) { Kind::Unavailable } else { Kind::NotDurable };
            Trouble::new(kind, doing, source)
        }
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => {
            // Said of a connection that could not be opened, and by a server that did nothing.
            let never_sent = error.contains_label(SYSTEM_OVERLOADED_ERROR)
                && error.contains_label(RETRYABLE_ERROR);
            let kind = if never_sent { Kind::Unavailable } else { unclear };
            Trouble::new(kind, doing, source).passing()
        }
        ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } => {
            Trouble::new(Kind::Unavailable, doing, source)
        }
        ErrorKind::Authentication { .. } => Trouble::new(Kind::Denied, doing, source),
        ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::SessionsNotSupported
        | ErrorKind::Shutdown => Trouble::new(Kind::Config, doing, source),
        _ => Trouble::new(unclear, doing, source),
    }
}

fn meaning(code: i32) -> Option<Meaning> {
    BY_CODE.iter().find(|(listed, _)| *listed == code).map(|(_, meaning)| *meaning)
}

/// Whether the reply inside the error says that no document was changed.
fn found_nothing(error: &Error) -> bool {
    let Some(reply) = error.server_response() else { return false };
    let count = |reply: &RawDocument| reply.get("n").ok().flatten().and_then(RawBsonRef::as_i32);
    let inner = reply.get("lastErrorObject").ok().flatten().and_then(RawBsonRef::as_document);
    count(reply).or_else(|| inner.and_then(count)) == Some(0)
}

/// The store's error when the task of a call ended without an answer, or not in time.
pub(crate) fn no_answer(access: Access, doing: &'static str) -> StoreError {
    let kind = match access {
        Access::Read => Kind::Unavailable,
        Access::Write => Kind::OutcomeUnknown,
    };
    StoreError::new(kind, doing).with_source(Source::Text("no answer in time".to_owned()))
}

/// What the driver said, without what it repeats of requests, replies and URIs: they hold records, names of
/// users and passwords.
#[derive(Debug)]
enum Source {
    Reply { code: i32, name: String },
    Text(String),
}

impl Source {
    fn of(error: &Error) -> Self {
        let reply = |code, name: &str| Self::Reply { code, name: plain(name) };
        match &*error.kind {
            ErrorKind::Command(refusal) => reply(refusal.code, &refusal.code_name),
            ErrorKind::Write(WriteFailure::WriteError(refusal)) => {
                reply(refusal.code, refusal.code_name.as_deref().unwrap_or_default())
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(refusal)) => {
                reply(refusal.code, &refusal.code_name)
            }
            ErrorKind::Io(error) => Self::Text(error.to_string()),
            ErrorKind::ServerSelection { message, .. }
            | ErrorKind::DnsResolve { message, .. }
            | ErrorKind::InvalidTlsConfig { message, .. }
            | ErrorKind::IncompatibleServer { message, .. } => Self::Text(message.clone()),
            ErrorKind::ConnectionPoolCleared { .. } => {
                Self::Text("the connection was closed after an error on another one".to_owned())
            }
            ErrorKind::Authentication { .. } => Self::Text("authentication failed".to_owned()),
            ErrorKind::InvalidArgument { .. } => {
                Self::Text("the driver refuses an argument".to_owned())
            }
            ErrorKind::SessionsNotSupported => {
                Self::Text("the server has no sessions of its own".to_owned())
            }
            ErrorKind::Shutdown => Self::Text("the client was shut down".to_owned()),
            _ => Self::Text("the reply is not one that MongoDB gives".to_owned()),
        }
    }
}

/// A name of a code, if it looks like one.
fn plain(name: &str) -> String {
    let is_plain = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { name.to_owned() } else { String::new() }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { code, name } if name.is_empty() => write!(f, "code {code}"),
            Self::Reply { code, name } => write!(f, "code {code} ({name})"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Source {}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::error::{CommandError, WriteConcernError, WriteError};
    use std::error::Error as _;

    /// The answer to a whole command.
    fn command(code: i32) -> Error {
        let text = format!(
            r#"{{"code": {code}, "codeName": "Name", "errmsg": "not allowed: {{ insert: canary }}"}}"#
        );
        Error::from(ErrorKind::Command(serde_json::from_str::<CommandError>(&text).unwrap()))
    }

    /// The answer to one statement.
    fn statement(code: i32) -> Error {
        let text = format!(r#"{{"code": {code}, "errmsg": "E11000 dup key: canary"}}"#);
        let refusal = serde_json::from_str::<WriteError>(&text).unwrap();
        Error::from(ErrorKind::Write(WriteFailure::WriteError(refusal)))
    }

    fn concern(code: i32) -> Error {
        let text = format!(r#"{{"code": {code}, "codeName": "Name", "errmsg": "canary"}}"#);
        let refusal = serde_json::from_str::<WriteConcernError>(&text).unwrap();
        Error::from(ErrorKind::Write(WriteFailure::WriteConcernError(refusal)))
    }

    fn io(kind: std::io::ErrorKind) -> Error {
        Error::from(kind)
    }

    fn kinds(error: &Error) -> (Kind, Kind, bool) {
        let read = from_driver(error, Access::Read, "x");
        let write = from_driver(error, Access::Write, "x");
        assert_eq!(read.passing, write.passing);
        (read.error.kind(), write.error.kind(), write.passing)
    }

    #[test]
    fn each_code_has_its_kind() {
        for (code, meaning) in BY_CODE {
            let expected = match meaning {
                Refused(kind) => (*kind, *kind, false),
                NotPrimary => (Kind::ReadOnly, Kind::ReadOnly, true),
                Interrupted => (Kind::Unavailable, Kind::OutcomeUnknown, true),
            };
            assert_eq!(kinds(&command(*code)), expected, "{code}");
            assert_eq!(kinds(&statement(*code)), expected, "{code}");
        }
        let mut codes: Vec<i32> = BY_CODE.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), BY_CODE.len(), "a code is listed twice");
    }

    #[test]
    fn the_codes_that_matter_most_are_what_they_shall_be() {
        for (error, read, write) in [
            (command(10107), Kind::ReadOnly, Kind::ReadOnly),
            (command(11602), Kind::Unavailable, Kind::OutcomeUnknown),
            (command(13), Kind::Denied, Kind::Denied),
            (command(50), Kind::Unavailable, Kind::OutcomeUnknown),
            (statement(14031), Kind::ReadOnly, Kind::ReadOnly),
            (statement(121), Kind::Config, Kind::Config),
            // Not confirmed by a majority: in time, by enough members, through a change of primary.
            (concern(64), Kind::NotDurable, Kind::NotDurable),
            (concern(100), Kind::NotDurable, Kind::NotDurable),
            (concern(189), Kind::NotDurable, Kind::NotDurable),
            (concern(11602), Kind::NotDurable, Kind::NotDurable),
            // Codes of a server of the future.
            (command(99_999), Kind::Unavailable, Kind::OutcomeUnknown),
            (statement(99_999), Kind::Unavailable, Kind::Unavailable),
            (io(std::io::ErrorKind::ConnectionReset), Kind::Unavailable, Kind::OutcomeUnknown),
        ] {
            let (on_read, on_write, _) = kinds(&error);
            assert_eq!((on_read, on_write), (read, write), "{error:?}");
        }
    }

    #[test]
    fn a_duplicate_is_told_from_other_refusals() {
        assert!(is_duplicate(&statement(11000)));
        assert!(!is_duplicate(&statement(121)));
        assert!(!is_duplicate(&concern(11000)));
    }

    #[test]
    fn what_the_server_repeats_of_a_request_is_not_kept() {
        for error in [command(13), statement(11000), concern(64)] {
            let trouble = from_driver(&error, Access::Write, "create");
            let source = trouble.error.source().unwrap().to_string();
            assert!(source.starts_with("code "), "{source}");
            assert!(!format!("{trouble:?} {} {source}", trouble.error).contains("canary"));
        }
        let named = Source::Reply { code: 1, name: plain("no name, but canary") };
        assert_eq!(named.to_string(), "code 1");
    }

    #[test]
    fn an_earlier_send_makes_the_outcome_unknown() {
        let refused = || StoreError::new(Kind::ReadOnly, "update");
        assert_eq!(refused().unknown_if(false).kind(), Kind::ReadOnly);
        assert_eq!(refused().unknown_if(true).kind(), Kind::OutcomeUnknown);
        assert_eq!(no_answer(Access::Read, "load").kind(), Kind::Unavailable);
        assert_eq!(no_answer(Access::Write, "touch").kind(), Kind::OutcomeUnknown);
    }
}
