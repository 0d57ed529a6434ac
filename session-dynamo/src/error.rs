//! From what DynamoDB and its driver say to what a store says.

use std::error::Error;
use std::fmt;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use session_core::{BoxError, StoreError, StoreErrorKind};

/// A request that was not answered as it should have been.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) error: StoreError,
    pub(crate) effect: Effect,
    pub(crate) again: Again,
}

/// What may have become of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It did not leave this process.
    NotSent,
    /// It was refused.
    NotDone,
    /// It may have been applied.
    Unknown,
}

/// Whether the same request may have more luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    /// With credentials that are loaded anew.
    Once,
    No,
}

/// The service's error codes, and what they become.
///
/// One that is not listed is [`StoreErrorKind::Unavailable`]. With a status of 500 and more it may have been
/// applied: DynamoDB says so of writes. Below, it was refused.
const BY_CODE: &[(&str, StoreErrorKind, Again)] = &[
    // Too much at a time.
    ("ProvisionedThroughputExceededException", StoreErrorKind::Overloaded, Again::Yes),
    ("ThrottlingException", StoreErrorKind::Overloaded, Again::Yes),
    ("Throttling", StoreErrorKind::Overloaded, Again::Yes),
    ("RequestLimitExceeded", StoreErrorKind::Overloaded, Again::Yes),
    ("LimitExceededException", StoreErrorKind::Overloaded, Again::Yes),
    ("TooManyRequestsException", StoreErrorKind::Overloaded, Again::Yes),
    // Somebody else's transaction holds the item.
    ("TransactionConflictException", StoreErrorKind::Overloaded, Again::Yes),
    ("ReplicatedWriteConflictException", StoreErrorKind::Overloaded, Again::Yes),
    // The table is being made or removed.
    ("ResourceInUseException", StoreErrorKind::Unavailable, Again::No),
    ("TableNotFoundException", StoreErrorKind::Config, Again::No),
    ("ResourceNotFoundException", StoreErrorKind::Config, Again::No),
    // The table is not as we expect it, or what answers is no DynamoDB.
    ("ValidationException", StoreErrorKind::Config, Again::No),
    ("SerializationException", StoreErrorKind::Config, Again::No),
    ("UnknownOperationException", StoreErrorKind::Config, Again::No),
    // It does not let us.
    ("AccessDeniedException", StoreErrorKind::Denied, Again::No),
    ("AccessDenied", StoreErrorKind::Denied, Again::No),
    ("UnrecognizedClientException", StoreErrorKind::Denied, Again::No),
    ("InvalidClientTokenId", StoreErrorKind::Denied, Again::No),
    ("InvalidSignatureException", StoreErrorKind::Denied, Again::No),
    ("IncompleteSignatureException", StoreErrorKind::Denied, Again::No),
    ("IncompleteSignature", StoreErrorKind::Denied, Again::No),
    ("SignatureDoesNotMatch", StoreErrorKind::Denied, Again::No),
    ("MissingAuthenticationToken", StoreErrorKind::Denied, Again::No),
    ("MissingAuthenticationTokenException", StoreErrorKind::Denied, Again::No),
    ("OptInRequired", StoreErrorKind::Denied, Again::No),
    ("KMSAccessDeniedException", StoreErrorKind::Denied, Again::No),
    ("InaccessibleEncryptionCredentialsException", StoreErrorKind::Denied, Again::No),
    // Credentials end, and their provider has newer ones.
    ("ExpiredTokenException", StoreErrorKind::Denied, Again::Once),
    ("ExpiredToken", StoreErrorKind::Denied, Again::Once),
    ("RequestExpired", StoreErrorKind::Denied, Again::Once),
];

/// What the service said: its code, and the number under which its support finds the request. Its text may
/// repeat what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ServiceReply {
    code: Option<String>,
    status: u16,
    request: Option<String>,
}

impl fmt::Display for ServiceReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.as_deref().unwrap_or("no code");
        write!(f, "{code}, status {}", self.status)?;
        match &self.request {
            Some(request) => write!(f, ", request {request}"),
            None => Ok(()),
        }
    }
}

impl Error for ServiceReply {}

/// What the driver said, in words that repeat nothing of what was sent or received.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DriverError(String);

impl Trouble {
    /// Nothing came within the time for one attempt.
    pub(crate) fn late(doing: &'static str) -> Self {
        Self::new(StoreErrorKind::Unavailable, doing, Effect::Unknown, Again::Yes)
            .because(DriverError("no reply in time".to_owned()))
    }

    /// The whole time was over before anything was sent.
    pub(crate) fn out_of_time(doing: &'static str) -> Self {
        Self::new(StoreErrorKind::Timeout, doing, Effect::NotSent, Again::No)
    }

    /// What `error` means for a request that was doing `doing`.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>, doing: &'static str) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(reply) => {
                let reply = ServiceReply {
                    code: reply.err().code().map(plain),
                    status: reply.raw().status().as_u16(),
                    request: reply.err().meta().request_id().map(plain),
                };
                Self::of_reply(reply, doing)
            }
            SdkError::TimeoutError(_) => Self::late(doing),
            // Something between, or a reply that broke off.
            SdkError::ResponseError(_) => {
                Self::new(StoreErrorKind::Unavailable, doing, Effect::Unknown, Again::Yes)
                    .because(DriverError("the reply cannot be read".to_owned()))
            }
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(error) => Self::of_connector(error, doing),
                None => Self::lost(doing),
            },
            // No region, no credentials, no HTTP client.
            SdkError::ConstructionFailure(_) => {
                Self::of_sources(error).unwrap_or(Credentials::Unusable).trouble(doing)
            }
            _ => Self::lost(doing),
        }
    }

    fn of_reply(reply: ServiceReply, doing: &'static str) -> Self {
        let listed = BY_CODE.iter().find(|(code, ..)| reply.code.as_deref() == Some(*code));
        let (kind, effect, again) = match (listed, reply.status) {
            (Some((_, kind, again)), _) => (*kind, Effect::NotDone, *again),
            (None, 429) => (StoreErrorKind::Overloaded, Effect::NotDone, Again::Yes),
            // A success that cannot be read may be one.
            (None, 500.. | 200..=299) => (StoreErrorKind::Unavailable, Effect::Unknown, Again::Yes),
            (None, _) => (StoreErrorKind::Unavailable, Effect::NotDone, Again::No),
        };
        Self::new(kind, doing, effect, again).because(reply)
    }

    fn of_connector(error: &(dyn Error + 'static), doing: &'static str) -> Self {
        if let Some(credentials) = Self::of_sources(error) {
            return credentials.trouble(doing);
        }
        let text = sources(error)
            .find_map(|source| source.downcast_ref::<io::Error>())
            .map_or_else(|| "the connection failed".to_owned(), io::Error::to_string);
        let trouble = if sources(error).any(says_that_nothing_was_sent) {
            Self::new(StoreErrorKind::Unavailable, doing, Effect::NotSent, Again::Yes)
        } else {
            Self::lost(doing)
        };
        trouble.because(DriverError(text))
    }

    fn of_sources(error: &(dyn Error + 'static)) -> Option<Credentials> {
        let error = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>())?;
        Some(match error {
            CredentialsError::CredentialsNotLoaded(_) => Credentials::Missing,
            CredentialsError::InvalidConfiguration(_) => Credentials::Unusable,
            _ => Credentials::Unavailable,
        })
    }

    fn lost(doing: &'static str) -> Self {
        Self::new(StoreErrorKind::Unavailable, doing, Effect::Unknown, Again::Yes)
    }

    fn new(kind: StoreErrorKind, doing: &'static str, effect: Effect, again: Again) -> Self {
        Self { error: StoreError::new(kind, doing), effect, again }
    }

    fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.error = self.error.with_source(source);
        self
    }
}

/// Why a request could not be signed.
#[derive(Debug, Clone, Copy)]
enum Credentials {
    Missing,
    Unusable,
    /// The place where they come from does not answer.
    Unavailable,
}

impl Credentials {
    fn trouble(self, doing: &'static str) -> Trouble {
        let (kind, again, text) = match self {
            Self::Missing => (StoreErrorKind::Config, Again::No, "there are no credentials"),
            Self::Unusable => {
                (StoreErrorKind::Config, Again::No, "the client's settings are not usable")
            }
            Self::Unavailable => {
                (StoreErrorKind::Unavailable, Again::Yes, "the credentials could not be loaded")
            }
        };
        Trouble::new(kind, doing, Effect::NotSent, again).because(DriverError(text.to_owned()))
    }
}

/// The HTTP client says so only in words. Where it says otherwise, the request counts as sent.
fn says_that_nothing_was_sent(error: &(dyn Error + 'static)) -> bool {
    matches!(error.to_string().as_str(), "client error (Connect)" | "client error (Canceled)")
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The beginning of a word of the server's, without what it is not made of.
fn plain(word: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '#');
    word.chars().filter(allowed).take(80).collect()
}
