//! Extractors for axum, and errors that axum can answer with.

use std::fmt;
use std::ops::Deref;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use session_http::SessionHandle;

/// The session of the request.
///
/// Costs nothing until it is used. Answers 500 where no [`SessionLayer`](crate::SessionLayer) is around the route.
///
/// ```
/// use session_tower::axum::{Result, Session};
///
/// async fn theme(session: Session) -> Result<String> {
///     Ok(session.get("theme").await?.unwrap_or_else(|| "light".to_owned()))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Session(SessionHandle);

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        parts.extensions.get().cloned().map(Self).ok_or(MissingLayer)
    }
}

/// The name of the user who is logged in, for routes that need one.
///
/// Whoever is not logged in is sent to the [`login_page`](session_http::Site::login_page) of the site, or answered 401.
///
/// ```
/// use session_tower::axum::User;
///
/// async fn account(User(name): User) -> String {
///     format!("the account of {name}")
/// }
/// ```
#[derive(Clone)]
pub struct User(pub String);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await;
        let session = session.map_err(IntoResponse::into_response)?;
        let user = session.require_user().await;
        user.map(Self).map_err(|error| Error(error).into_response())
    }
}

/// Does not show the name.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}

/// What a handler returns that hands its errors on with `?`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A [`session_http::Error`] as a response: its status, its headers, and no detail.
#[derive(Debug, Clone)]
pub struct Error(pub session_http::Error);

impl From<session_http::Error> for Error {
    fn from(error: session_http::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, status.canonical_reason().unwrap_or_default()).into_response();
        for (name, value) in self.0.headers() {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// There is no [`SessionLayer`](crate::SessionLayer) around the route.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MissingLayer;

impl fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no session layer around this route")
    }
}

impl std::error::Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
