//! Requests and responses of the crate `http`, as `session-http` wants to see them.

use std::net::IpAddr;

use http::header::{HOST, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use session_http::{RequestHead, ResponseHead};

use crate::layer::Peer;

pub(crate) struct Head<'a, B> {
    request: &'a Request<B>,
    peer: Option<&'a Peer>,
}

impl<'a, B> Head<'a, B> {
    pub(crate) const fn of(request: &'a Request<B>, peer: Option<&'a Peer>) -> Self {
        Self { request, peer }
    }
}

impl<B> RequestHead for Head<'_, B> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.request.uri().path()
    }

    fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    fn host(&self) -> Option<&str> {
        match self.request.uri().authority() {
            // What is before an @ is no part of the host.
            Some(authority) => authority.as_str().rsplit('@').next(),
            None => self.request.headers().get(HOST)?.to_str().ok(),
        }
    }

    fn header<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new(self.request.headers().get_all(name).iter().map(HeaderValue::as_bytes))
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer.and_then(|peer| peer(self.request.extensions()))
    }
}

pub(crate) struct Answer<'a, R>(pub(crate) &'a mut Response<R>);

impl<R> Answer<'_, R> {
    fn add(&mut self, name: &str, value: HeaderValue) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("names are checked, or constant");
        self.0.headers_mut().append(name, value);
    }
}

impl<R: Default> ResponseHead for Answer<'_, R> {
    fn has(&self, name: &str) -> bool {
        self.0.headers().contains_key(name)
    }

    fn append(&mut self, name: &str, value: &str) {
        self.add(name, value_of(value));
    }

    fn append_token(&mut self, name: &str, value: &str) {
        let mut value = value_of(value);
        value.set_sensitive(true);
        self.add(name, value);
    }

    fn replace(&mut self, status: u16) {
        *self.0 = Response::default();
        *self.0.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
}

fn value_of(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("values are visible ASCII and spaces")
}
