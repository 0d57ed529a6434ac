//! The server that tests share: a given one, else one started for this process.

use std::fmt;
use std::io::{self, Write as _};

use session_core::BoxError;

use super::error::{ServerError, ServerErrorKind};
use super::locate::{self, Environment, Kind};
use super::location::Location;
use super::product::{Identity, Product};
use super::server::Server;
use crate::endpoint::{Endpoint, Provision};

/// A server to run tests against, and what it is.
///
/// Tests that share it keep apart by a prefix, a schema, a database or a table of their own, and never
/// flush it: it may be somebody's own.
pub struct SharedServer<P: Product> {
    url: String,
    identity: Identity,
    source: Source<P>,
}

enum Source<P: Product> {
    Environment { address: String },
    Started(Box<Server<P>>),
}

impl<P: Product> SharedServer<P> {
    /// The endpoint of this process: found or started at the first call, and said on standard error.
    ///
    /// A server that was started lives until the process ends.
    pub fn shared() -> Result<&'static Self, &'static ServerError> {
        let shared = P::shared().get_or_init(|| {
            let endpoint = Self::provide(&locate::environment);
            if let Ok(endpoint) = &endpoint {
                // Straight to the stream: a test runner hides what `eprintln!` prints. A run whose
                // standard error is closed goes on without the line.
                let _ = writeln!(io::stderr(), "tests run on {endpoint}");
            }
            endpoint
        });
        shared.as_ref()
    }

    pub(super) fn provide(environment: Environment<'_>) -> Result<Self, ServerError> {
        match environment(P::KIND.url_variable) {
            Some(url) => Self::given(&url.to_string_lossy()),
            None => Server::start_with(P::Options::default(), environment).map(Self::started),
        }
    }

    /// The URL for a client; it may hold a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server calls itself, such as `Redis` or `Valkey`.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.identity.product
    }

    /// The server's version, or `(version unknown)` for a given server that does not tell it without a
    /// login or TLS.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.identity.version
    }

    /// The server, if it was started here and may be killed, paused and restarted.
    #[must_use]
    pub fn server(&self) -> Option<&Server<P>> {
        match &self.source {
            Source::Environment { .. } => None,
            Source::Started(server) => Some(server),
        }
    }

    /// The same for a fixture: with what it is, and how it was provided.
    ///
    /// # Errors
    ///
    /// When it was given by a URL that names no port.
    pub fn endpoint(&self) -> Result<Endpoint, BoxError> {
        let provision = match &self.source {
            Source::Environment { .. } => Provision::Given,
            Source::Started(_) => Provision::Native,
        };
        let endpoint = Endpoint::parse(self.url())?.described(self.product(), self.version());
        Ok(endpoint.provided(provision))
    }

    fn started(server: Server<P>) -> Self {
        Self {
            url: server.url(),
            identity: server.identity().clone(),
            source: Source::Started(Box::new(server)),
        }
    }

    fn given(url: &str) -> Result<Self, ServerError> {
        let Kind { url_variable, url_example, .. } = P::KIND;
        let unreachable = |text| ServerError::new(ServerErrorKind::Unreachable, text);
        let location = Location::parse(url, &P::KIND)
            .ok_or_else(|| unreachable(format!("{url_variable} is no URL like {url_example}")))?;
        let address = location.address();
        let identity = P::identify(&location).map_err(|error| {
            unreachable(format!(
                "{url_variable} names {address}, which does not serve ({error}). Start that server, or \
                 unset the variable to have one started."
            ))
        })?;
        Ok(Self { url: url.to_owned(), identity, source: Source::Environment { address } })
    }
}

impl<P: Product> fmt::Display for SharedServer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Started(server) => server.fmt(f),
            Source::Environment { address } => {
                write!(f, "{} at {address}, named by {}", self.identity, P::KIND.url_variable)
            }
        }
    }
}

/// Leaves the URL out, which may hold a password.
impl<P: Product> fmt::Debug for SharedServer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Endpoint({self})", P::KIND.name)
    }
}
