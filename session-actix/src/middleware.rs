use std::future::{Ready, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use session_http::Sites;

use crate::service::SessionService;

/// Gives each request a session, for the extractor [`Session`](crate::Session).
///
/// One middleware serves a request. Where two lie on top of each other, the outer one does, and the inner one lets it
/// pass. Build it outside of the closure of `HttpServer::new`, and clone it inside: it is cheap.
#[derive(Debug, Clone)]
pub struct SessionMiddleware {
    sites: Sites,
}

impl SessionMiddleware {
    /// A middleware for these sessions: `Sessions` with every default, a [`Site`](session_http::Site), or
    /// [`Sites`] for several tenants.
    #[must_use]
    pub fn new(sites: impl Into<Sites>) -> Self {
        Self { sites: sites.into() }
    }
}

impl<S, B> Transform<S, ServiceRequest> for SessionMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Transform = SessionService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(SessionService::new(service, self.sites.clone())))
    }
}
