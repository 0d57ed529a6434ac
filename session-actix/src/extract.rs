use std::fmt;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use session_http::SessionHandle;

use crate::error::{Error, MissingMiddleware};

/// The session of the request.
///
/// Costs nothing until it is used. Answers 500 where no [`SessionMiddleware`](crate::SessionMiddleware) is around the
/// route.
///
/// ```
/// use session_actix::{Result, Session};
///
/// async fn theme(session: Session) -> Result<String> {
///     Ok(session.get("theme").await?.unwrap_or_else(|| "light".to_owned()))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Session(SessionHandle);

impl Session {
    fn of(request: &HttpRequest) -> Result<Self, MissingMiddleware> {
        request.extensions().get().cloned().map(Self).ok_or(MissingMiddleware)
    }
}

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.0
    }
}

impl FromRequest for Session {
    type Error = MissingMiddleware;
    type Future = Ready<Result<Self, MissingMiddleware>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// The name of the user who is logged in, for routes that need one.
///
/// Whoever is not logged in is sent to the [`login_page`](session_http::Site::login_page) of the site, or answered 401.
///
/// ```
/// use session_actix::User;
///
/// async fn account(User(name): User) -> String {
///     format!("the account of {name}")
/// }
/// ```
#[derive(Clone)]
pub struct User(pub String);

impl FromRequest for User {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = Session::of(request);
        Box::pin(async move { Ok(Self(session?.require_user().await.map_err(Error)?)) })
    }
}

/// Does not show the name.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}
