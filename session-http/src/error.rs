//! What can go wrong in a handler.

use std::sync::Arc;

use session_core::{DataError, SessionError, StoreErrorKind};

use crate::local_url::LocalUrl;

/// An operation on the session of a request failed.
///
/// Hand it on with `?`: the framework crates answer with [`Error::status`], and with the headers of the exchange.
/// Clones share their source.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session could not be read or written. The client's token is left alone.
    #[error(transparent)]
    Session(Arc<SessionError>),
    /// The response has begun, or the request was given up: nothing is written any more.
    #[error("the response has begun")]
    Closed,
    /// An earlier write of this request was dropped half-way, so that nobody knows whether it took place.
    #[error("an earlier write of this request was interrupted")]
    Interrupted,
    /// No site was resolved for the request.
    #[error("there are no sessions for this request")]
    NoSite,
    /// The page needs a user, and nobody is logged in.
    #[error("a login is required")]
    LoginRequired {
        /// Where the user can log in, and comes back from.
        login: Option<LocalUrl>,
    },
    /// The request did not prove that it comes from the application's own pages.
    #[error("the request may be forged")]
    Forged,
}

impl Error {
    /// The status that says this to the client.
    ///
    /// | status | for |
    /// |---|---|
    /// | 303 | a login is required, and there is a page for it: [`location`](Self::location) |
    /// | 401 | a login is required |
    /// | 403 | the request may be forged |
    /// | 409 | another request changed or ended the session |
    /// | 421 | no site was resolved |
    /// | 503 | the store is in trouble |
    /// | 500 | everything else: a mistake in the application, or a random source that fails |
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Session(error) => status_of(error),
            Self::Closed => 500,
            Self::Interrupted => 503,
            Self::NoSite => 421,
            Self::LoginRequired { login: Some(_) } => 303,
            Self::LoginRequired { login: None } => 401,
            Self::Forged => 403,
        }
    }

    /// Where to send the browser.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::LoginRequired { login: Some(login) } => Some(login.as_str()),
            _ => None,
        }
    }

    /// The headers of the response that says this, names in lower case: `location`, or the challenge that 401 needs.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match (self.location(), self.status()) {
            (Some(location), _) => vec![("location", location.to_owned())],
            (None, 401) => vec![("www-authenticate", "Bearer".to_owned())],
            (None, _) => Vec::new(),
        }
    }

    /// The error of core, if it is one.
    #[must_use]
    pub fn session_error(&self) -> Option<&SessionError> {
        match self {
            Self::Session(error) => Some(error),
            _ => None,
        }
    }
}

fn status_of(error: &SessionError) -> u16 {
    match error {
        SessionError::Store(error) => match error.kind() {
            StoreErrorKind::TooLarge => 500,
            StoreErrorKind::InvalidCursor => 400,
            _ => 503,
        },
        SessionError::Conflict | SessionError::NotCurrent => 409,
        SessionError::NotLoggedIn => 401,
        _ => 500,
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        Self::Session(Arc::new(error))
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        SessionError::from(error).into()
    }
}
