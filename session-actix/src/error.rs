use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

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

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        for header in self.0.headers() {
            response.insert_header(header);
        }
        response.body(status.canonical_reason().unwrap_or_default())
    }
}

/// There is no [`SessionMiddleware`](crate::SessionMiddleware) around the route.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MissingMiddleware;

impl fmt::Display for MissingMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no session middleware around this route")
    }
}

impl std::error::Error for MissingMiddleware {}

impl ResponseError for MissingMiddleware {}
