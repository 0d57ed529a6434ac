//! Requests and responses of actix-web, as `session-http` wants to see them.

use std::net::IpAddr;

use actix_web::dev::{ResponseHead as ActixHead, ServiceRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderName, HeaderValue};
use session_http::{RequestHead, ResponseHead};

pub(crate) struct Head<'a>(pub(crate) &'a ServiceRequest);

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn path(&self) -> &str {
        self.0.uri().path()
    }

    fn query(&self) -> Option<&str> {
        self.0.uri().query()
    }

    fn host(&self) -> Option<&str> {
        match self.0.uri().authority() {
            // What is before an @ is no part of the host.
            Some(authority) => authority.as_str().rsplit('@').next(),
            None => self.0.headers().get(HOST)?.to_str().ok(),
        }
    }

    fn header<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new(self.0.headers().get_all(name).map(HeaderValue::as_bytes))
    }

    fn peer(&self) -> Option<IpAddr> {
        self.0.peer_addr().map(|peer| peer.ip())
    }
}

pub(crate) struct Answer<'a>(pub(crate) &'a mut ActixHead);

impl Answer<'_> {
    fn add(&mut self, name: &str, value: HeaderValue) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("names are checked, or constant");
        self.0.headers.append(name, value);
    }
}

impl ResponseHead for Answer<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.headers.contains_key(name)
    }

    fn append(&mut self, name: &str, value: &str) {
        self.add(name, value_of(value));
    }

    fn append_token(&mut self, name: &str, value: &str) {
        let mut value = value_of(value);
        value.set_sensitive(true);
        self.add(name, value);
    }

    /// The body is replaced by the service.
    fn replace(&mut self, status: u16) {
        self.0.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.0.reason = None;
        self.0.headers.clear();
    }
}

fn value_of(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("values are visible ASCII and spaces")
}
