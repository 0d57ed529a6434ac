//! The server that tests share: a given one, else one started for this process.

use std::fmt;
use std::io::{self, Write as _};

use session_core::BoxError;

#[cfg(all(unix, feature = "containers"))]
use super::container::Container;
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
    Environment {
        address: String,
    },
    Started(Box<Server<P>>),
    #[cfg(all(unix, feature = "containers"))]
    Contained(Box<Container<P>>),
}

/// Names what all servers run in: `native` or `container`.
const BACKEND: &str = "SESSION_TEST_BACKEND";

/// What the environment asks for. What is named is used or refused, and never replaced.
enum Choice {
    Native,
    Container,
    WhatIsThere,
}

impl Choice {
    fn of<P: Product>(environment: Environment<'_>) -> Result<Self, ServerError> {
        let setting = |text| Err(ServerError::new(ServerErrorKind::Setting, text));
        if let Some(name) = environment(BACKEND) {
            return match name.to_str() {
                Some("native") => Ok(Self::Native),
                Some("container") => Ok(Self::Container),
                _ => setting(format!(
                    "{BACKEND}={} is neither `native` nor `container`",
                    name.display()
                )),
            };
        }
        let (program, image) = (P::KIND.program_variable, P::IMAGE.variable);
        match (environment(program).is_some(), environment(image).is_some()) {
            (true, true) => setting(format!(
                "{program} names a program and {image} an image; say by {BACKEND} which one is meant"
            )),
            (true, false) => Ok(Self::Native),
            (false, true) => Ok(Self::Container),
            (false, false) => Ok(Self::WhatIsThere),
        }
    }
}

impl<P: Product> SharedServer<P> {
    /// The endpoint of this process: found or started at the first call, and said on standard error.
    ///
    /// A server that was started lives until the process ends.
    pub fn shared() -> Result<&'static Self, &'static ServerError> {
        let shared = P::shared().get_or_init(|| {
            let endpoint = Self::provide(&locate::environment);
            if let Ok(endpoint) = &endpoint {
                say(&format!("tests run on {endpoint}"));
            }
            endpoint
        });
        shared.as_ref()
    }

    pub(super) fn provide(environment: Environment<'_>) -> Result<Self, ServerError> {
        if let Some(url) = environment(P::KIND.url_variable) {
            return Self::given(&url.to_string_lossy());
        }
        match Choice::of::<P>(environment)? {
            Choice::Native => Self::started(environment),
            Choice::Container => Self::contained(environment),
            Choice::WhatIsThere if !containers_are_at_hand(environment) => {
                Self::started(environment)
            }
            Choice::WhatIsThere => Self::contained(environment).or_else(|error| {
                say(&format!("{error}\nNobody asked for one: the server's own program is used."));
                Self::started(environment)
            }),
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
            Source::Started(server) => Some(server),
            Source::Environment { .. } => None,
            #[cfg(all(unix, feature = "containers"))]
            Source::Contained(_) => None,
        }
    }

    /// The container that the server runs in, if it was started here in one.
    #[cfg(all(unix, feature = "containers"))]
    #[must_use]
    pub fn container(&self) -> Option<&Container<P>> {
        match &self.source {
            Source::Contained(container) => Some(container),
            Source::Environment { .. } | Source::Started(_) => None,
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
            #[cfg(all(unix, feature = "containers"))]
            Source::Contained(container) => {
                Provision::Container { image: container.image().to_owned() }
            }
        };
        let endpoint = Endpoint::parse(self.url())?.described(self.product(), self.version());
        Ok(endpoint.provided(provision))
    }

    fn started(environment: Environment<'_>) -> Result<Self, ServerError> {
        let server = Server::start_with(P::Options::default(), environment)?;
        let (url, identity) = (server.url(), server.identity().clone());
        Ok(Self { url, identity, source: Source::Started(Box::new(server)) })
    }

    #[cfg(all(unix, feature = "containers"))]
    fn contained(environment: Environment<'_>) -> Result<Self, ServerError> {
        let container = Container::start_with(environment)?;
        let (url, identity) = (container.url(), container.identity().clone());
        Ok(Self { url, identity, source: Source::Contained(Box::new(container)) })
    }

    #[cfg(not(all(unix, feature = "containers")))]
    fn contained(_: Environment<'_>) -> Result<Self, ServerError> {
        Err(ServerError::new(
            ServerErrorKind::Unsupported,
            format!(
                "{BACKEND}=container needs Unix and the feature `containers` of conformance-tests, as in \
                 `cargo test --features conformance-tests/containers`"
            ),
        ))
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

#[cfg(all(unix, feature = "containers"))]
fn containers_are_at_hand(environment: Environment<'_>) -> bool {
    super::docker::Docker::answers(environment)
}

#[cfg(not(all(unix, feature = "containers")))]
fn containers_are_at_hand(_: Environment<'_>) -> bool {
    false
}

/// Straight to the stream: a test runner hides what `eprintln!` prints.
fn say(text: &str) {
    // A run whose standard error is closed goes on without the line.
    let _ = writeln!(io::stderr(), "{text}");
}

impl<P: Product> fmt::Display for SharedServer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Started(server) => server.fmt(f),
            #[cfg(all(unix, feature = "containers"))]
            Source::Contained(container) => container.fmt(f),
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
