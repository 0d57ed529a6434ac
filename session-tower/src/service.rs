use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_http::{Exchange, SessionHandle, Sites};
use tower_service::Service;

use crate::future::SessionFuture;
use crate::head::Head;
use crate::layer::Peer;

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    sites: Sites,
    peer: Option<Peer>,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(inner: S, sites: Sites, peer: Option<Peer>) -> Self {
        Self { inner, sites, peer }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = SessionFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if request.extensions().get::<SessionHandle>().is_some() {
            return SessionFuture::new(self.inner.call(request), None);
        }
        let exchange = Exchange::begin(&self.sites, &Head::of(&request, self.peer.as_ref()));
        request.extensions_mut().insert(exchange.handle());
        SessionFuture::new(self.inner.call(request), Some(exchange))
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("sites", &self.sites)
            .finish_non_exhaustive()
    }
}
