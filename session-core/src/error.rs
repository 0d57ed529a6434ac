//! What can go wrong in a store.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// The source of an error, as drivers hand it out.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// A store could not do, or could not confirm, what it was asked for.
///
/// Branch on [`StoreError::kind`], or on the two questions that matter to a caller:
/// [`is_retryable`](StoreError::is_retryable) and
/// [`is_outcome_unknown`](StoreError::is_outcome_unknown). The driver's own error is the
/// [`source`](Error::source). No text contains a token, secret, hash, payload or password.
///
/// Ordinary answers are not errors: a session that does not exist is `None`, `Missing` or `false`, and
/// a store that is down is never one of these.
pub struct StoreError(Box<Inner>);

struct Inner {
    kind: StoreErrorKind,
    context: Cow<'static, str>,
    deleted: Option<u64>,
    source: Option<BoxError>,
}

/// The kinds of [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The backend cannot be reached or is not ready; the call had no effect.
    Unavailable,
    /// The deadline passed before anything was sent; the call had no effect.
    Timeout,
    /// The request may or may not have been applied.
    OutcomeUnknown,
    /// The backend or the pool refuses more work for now: throttled, out of memory, no connection free.
    Overloaded,
    /// The backend takes no writes: a replica, a deposed primary, or a full disk.
    ReadOnly,
    /// The write was applied, but not confirmed to be as durable as configured.
    NotDurable,
    /// The backend refuses our credentials or this command.
    Denied,
    /// The store has reached its configured bounds.
    Full,
    /// The payload is larger than [`MAX_PAYLOAD_LEN`](crate::MAX_PAYLOAD_LEN) or the declared limit of the adapter.
    TooLarge,
    /// What is stored under this id cannot be a record. It is kept, and can be deleted.
    Corrupt,
    /// What is stored was written by a later version. It is kept.
    UnsupportedFormat,
    /// The store is set up wrongly; the same call cannot succeed without a change of configuration.
    Config,
    /// The cursor of a page was not made by this store.
    InvalidCursor,
}

impl StoreError {
    /// An error of this kind. `context` is a lower-case fragment that says what was being done; it must
    /// not contain a token, secret, hash, payload or password.
    #[must_use]
    pub fn new(kind: StoreErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, context: context.into(), deleted: None, source: None }))
    }

    /// The same error with the driver's error as its source. The source must keep the rule on
    /// secrets as well: redact it before, where a driver does not.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error for a [`delete_all`](crate::SubjectIndex::delete_all) that had already
    /// deleted `deleted` sessions when it failed.
    #[must_use]
    pub fn partial(mut self, deleted: u64) -> Self {
        self.0.deleted = Some(deleted);
        self
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed if it is simply made again, and surely had no effect so far.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            StoreErrorKind::Unavailable | StoreErrorKind::Timeout | StoreErrorKind::Overloaded
        )
    }

    /// Whether the request may or may not have been applied.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.kind == StoreErrorKind::OutcomeUnknown
    }

    /// The error of a call of which an earlier send may have been applied, if `maybe_done`: then the outcome is
    /// unknown, whatever became of the last send. For adapters that send a request again.
    #[must_use]
    pub fn unknown_if(self, maybe_done: bool) -> Self {
        if maybe_done && !self.is_outcome_unknown() {
            Self::new(StoreErrorKind::OutcomeUnknown, "an earlier send may have been applied")
                .with_source(self)
        } else {
            self
        }
    }

    /// How many sessions a failed `delete_all` had deleted. `Some` says that the call was partial;
    /// repeating it is safe.
    #[must_use]
    pub fn deleted(&self) -> Option<u64> {
        self.0.deleted
    }
}

impl StoreErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "the session store is unavailable",
            Self::Timeout => "the session store was not reached in time",
            Self::OutcomeUnknown => "the outcome of the write is unknown",
            Self::Overloaded => "the session store is overloaded",
            Self::ReadOnly => "the session store takes no writes",
            Self::NotDurable => "the write is not confirmed as durable",
            Self::Denied => "the session store refused access",
            Self::Full => "the session store is full",
            Self::TooLarge => "the session is too large",
            Self::Corrupt => "the stored session is corrupt",
            Self::UnsupportedFormat => "the stored session has an unsupported format",
            Self::Config => "the session store is not configured correctly",
            Self::InvalidCursor => "the page cursor is not valid",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.text(), self.0.context)?;
        match self.0.deleted {
            Some(deleted) => write!(f, " (partial: {deleted} deleted)"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.0.kind)
            .field("context", &self.0.context)
            .field("deleted", &self.0.deleted)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_send_makes_the_outcome_unknown_and_keeps_the_reason() {
        let refused = || StoreError::new(StoreErrorKind::ReadOnly, "update");
        assert_eq!(refused().unknown_if(false).kind(), StoreErrorKind::ReadOnly);
        let unknown = refused().unknown_if(true);
        assert!(unknown.is_outcome_unknown());
        assert_eq!(unknown.source().unwrap().to_string(), refused().to_string());
        // What is unknown already is not told twice.
        let text = unknown.to_string();
        assert_eq!(unknown.unknown_if(true).to_string(), text);
    }

    #[test]
    fn the_text_does_not_repeat_the_source() {
        let error = StoreError::new(StoreErrorKind::Unavailable, "connect")
            .with_source(std::io::Error::other("refused"));
        assert_eq!(error.to_string(), "the session store is unavailable: connect");
        assert_eq!(error.source().unwrap().to_string(), "refused");
    }

    #[test]
    fn only_calls_without_effect_are_retryable() {
        for (kind, retryable) in [
            (StoreErrorKind::Unavailable, true),
            (StoreErrorKind::Timeout, true),
            (StoreErrorKind::Overloaded, true),
            (StoreErrorKind::OutcomeUnknown, false),
            (StoreErrorKind::NotDurable, false),
            (StoreErrorKind::Corrupt, false),
            (StoreErrorKind::Config, false),
        ] {
            assert_eq!(StoreError::new(kind, "x").is_retryable(), retryable, "{kind:?}");
        }
    }

    #[test]
    fn the_error_is_one_word_and_partial_says_so() {
        assert_eq!(size_of::<StoreError>(), size_of::<usize>());
        let error = StoreError::new(StoreErrorKind::Unavailable, "delete").partial(3);
        assert_eq!(error.deleted(), Some(3));
        assert!(error.to_string().contains("partial: 3"));
    }
}
