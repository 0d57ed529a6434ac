//! What a visitor sees when something cannot be done.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use session_core::{SessionError, StoreError};
use session_http::Error;

use super::see;

/// Why a page cannot be shown. What happened inside is in the log, not on the page.
pub(super) struct Trouble(Kind);

enum Kind {
    /// The request makes no sense.
    BadRequest,
    /// The session says no.
    Session(Error),
    /// A page cannot be made.
    Template,
}

impl Trouble {
    pub(super) const BAD_REQUEST: Self = Self(Kind::BadRequest);

    pub(super) fn of_store(error: StoreError) -> Self {
        Self::of_session(error.into())
    }

    pub(super) fn of_session(error: SessionError) -> Self {
        Self(Kind::Session(error.into()))
    }

    pub(super) fn of_template(_: askama::Error) -> Self {
        Self(Kind::Template)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self(Kind::Session(error))
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct Notice {
    title: &'static str,
    text: &'static str,
}

const BROKEN: (StatusCode, &str, &str) =
    (StatusCode::INTERNAL_SERVER_ERROR, "Something is broken here", "The page cannot be shown.");

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, text) = match self.0 {
            Kind::Session(Error::LoginRequired { login: Some(login) }) => {
                return see(login.as_str());
            }
            Kind::Session(Error::LoginRequired { login: None }) => (
                StatusCode::UNAUTHORIZED,
                "Please sign in",
                "This page is for those who are signed in.",
            ),
            Kind::Session(Error::Forged) => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It was made before you signed in or out, or by another site. Go back, load the page again, and try once more.",
            ),
            Kind::Session(Error::Session(error)) if matches!(*error, SessionError::NotLoggedIn) => {
                return see("/login");
            }
            Kind::Session(error) => match error.status() {
                503 => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Please try again",
                    "Sessions cannot be reached at the moment. You are still signed in.",
                ),
                409 => (
                    StatusCode::CONFLICT,
                    "Please try again",
                    "Your session was changed in another window meanwhile.",
                ),
                400 => (StatusCode::BAD_REQUEST, "That did not work", "This link is out of date."),
                _ => BROKEN,
            },
            Kind::BadRequest => {
                (StatusCode::BAD_REQUEST, "That did not work", "The request makes no sense to us.")
            }
            Kind::Template => BROKEN,
        };
        notice(status, title, text)
    }
}

pub(super) async fn not_found() -> Response {
    notice(StatusCode::NOT_FOUND, "There is no such page", "Perhaps it never was.")
}

fn notice(status: StatusCode, title: &'static str, text: &'static str) -> Response {
    match (Notice { title, text }).render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, title).into_response(),
    }
}
