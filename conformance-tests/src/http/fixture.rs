//! The way in that a framework crate gives to the suite.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use session_http::Sites;

use super::app::App;
use crate::Result;

/// The way in to a framework crate: how to serve the suite's application with it.
///
/// A fixture supplies a way in, never an assertion.
pub trait HttpFixture: Send + Sync + 'static {
    /// The name of the framework crate.
    const NAME: &'static str;

    /// Its version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    /// Serves `app` with these sessions on a free port of loopback, over HTTP/1.1 with keep-alive, until the answer is
    /// dropped. Called several times in a process.
    fn serve(&self, sites: Sites, app: App) -> impl Future<Output = Result<Served>> + Send;
}

/// A server that runs until this is dropped.
pub struct Served {
    addr: SocketAddr,
    _server: Box<dyn Any + Send + Sync>,
}

impl Served {
    /// A server at `addr`, which ends when `server` is dropped.
    pub fn new(addr: SocketAddr, server: impl Any + Send + Sync) -> Self {
        Self { addr, _server: Box::new(server) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("addr", &self.addr).finish_non_exhaustive()
    }
}

#[async_trait]
pub(crate) trait AnyHttpFixture: Send + Sync {
    async fn serve(&self, sites: Sites, app: App) -> Result<Served>;
}

#[async_trait]
impl<H: HttpFixture> AnyHttpFixture for H {
    async fn serve(&self, sites: Sites, app: App) -> Result<Served> {
        HttpFixture::serve(self, sites, app).await
    }
}
