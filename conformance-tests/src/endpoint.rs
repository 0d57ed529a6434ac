//! Where the backend under test is.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Result;

/// The backend that a fixture talks to: a server, or nothing but this process.
///
/// Always go through [`Space::route`](crate::Space::route) or
/// [`Space::route_url`](crate::Space::route_url) to connect, so that the suite can step in between.
///
/// ```
/// use conformance_tests::Endpoint;
///
/// let server = Endpoint::parse("redis://127.0.0.1:6379/3")?.described("Redis", "7.4.1");
/// assert_eq!(server.address(), Some("127.0.0.1:6379"));
/// assert_eq!(server.description(), "Redis 7.4.1 at 127.0.0.1:6379 (given)");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone)]
pub struct Endpoint {
    target: Target,
    product: Option<Product>,
    provision: Provision,
    /// Held, never read: the server ends when the last clone is dropped.
    _server: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Clone)]
struct Product {
    name: String,
    version: String,
}

/// How a backend came to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Provision {
    /// It is a part of the process.
    InProcess,
    /// Its own program was started for the run.
    Native,
    /// A container was started for the run.
    Container {
        /// The image, with its tag or digest.
        image: String,
    },
    /// It was there already, and somebody named it.
    Given,
}

impl Provision {
    /// In one word, as in the names of reports: `in-process`, `native`, `container` or `given`.
    #[must_use]
    pub const fn flavour(&self) -> &'static str {
        match self {
            Self::InProcess => "in-process",
            Self::Native => "native",
            Self::Container { .. } => "container",
            Self::Given => "given",
        }
    }
}

#[derive(Clone)]
enum Target {
    Unnamed,
    InProcess,
    /// The parts of a URL around `host:port`; both empty for a bare address.
    Server {
        before: String,
        address: String,
        after: String,
    },
}

impl Endpoint {
    /// A backend without a network: memory, files, an embedded database.
    #[must_use]
    pub fn in_process() -> Self {
        Self::new(Target::InProcess, Provision::InProcess)
    }

    /// A backend of which the fixture says nothing.
    pub(crate) fn unnamed() -> Self {
        Self::new(Target::Unnamed, Provision::Given)
    }

    fn new(target: Target, provision: Provision) -> Self {
        Self { target, product: None, provision, _server: None }
    }

    /// The server at `text`: `host:port`, or a URL that names a port.
    ///
    /// # Errors
    ///
    /// When no host and port can be found in it. The error does not repeat the text, which may hold a
    /// password.
    pub fn parse(text: &str) -> Result<Self> {
        let authority = text.find("://").map_or(0, |scheme| scheme + "://".len());
        let end = text[authority..].find(['/', '?', '#']).map_or(text.len(), |len| authority + len);
        let host = text[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
        let address = &text[host..end];
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) || address.starts_with(':') {
            return Err("an endpoint is `host:port`, or a URL that names a port".into());
        }
        let target = Target::Server {
            before: text[..host].to_owned(),
            address: address.to_owned(),
            after: text[end..].to_owned(),
        };
        Ok(Self::new(target, Provision::Given))
    }

    /// The server that the environment variable `variable` names; `None` when it is unset or empty.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::parse`].
    pub fn env(variable: &str) -> Result<Option<Self>> {
        match std::env::var(variable) {
            Ok(text) if !text.is_empty() => Self::parse(&text).map(Some),
            _ => Ok(None),
        }
    }

    /// The same endpoint with the product and the version that really answer there. Both stand in
    /// [reports](crate::report), so they say what it is and not where.
    #[must_use]
    pub fn described(self, product: impl Into<String>, version: impl Into<String>) -> Self {
        let product = Product { name: product.into(), version: version.into() };
        Self { product: Some(product), ..self }
    }

    /// The same endpoint, which was provided in this way. Where nothing is said, a server was given.
    #[must_use]
    pub fn provided(self, provision: Provision) -> Self {
        Self { provision, ..self }
    }

    /// The same endpoint, which from now on owns `server`: a process or a container that ends when it
    /// is dropped.
    #[must_use]
    pub fn owning(self, server: impl Any + Send + Sync) -> Self {
        Self { _server: Some(Arc::new(server)), ..self }
    }

    /// `host:port`; `None` without a network.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match &self.target {
            Target::Unnamed | Target::InProcess => None,
            Target::Server { address, .. } => Some(address),
        }
    }

    /// What answers, say `Redis`; `None` where it has not been [described](Self::described).
    #[must_use]
    pub fn product(&self) -> Option<&str> {
        self.product.as_ref().map(|product| product.name.as_str())
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.product.as_ref().map(|product| product.version.as_str())
    }

    /// How it came to be there.
    #[must_use]
    pub const fn provision(&self) -> &Provision {
        &self.provision
    }

    /// What answers, where, and how it was provided. Without user name and password.
    #[must_use]
    pub fn description(&self) -> String {
        let product = match &self.product {
            Some(Product { name, version }) => format!("{name} {version}"),
            None => "a backend".to_owned(),
        };
        let place = match &self.target {
            Target::Unnamed => return "an unnamed backend".to_owned(),
            Target::InProcess if self.product.is_none() => return "this process".to_owned(),
            Target::InProcess => return format!("{product} in this process"),
            Target::Server { address, .. } => address,
        };
        let provision = match &self.provision {
            Provision::Container { image } => format!("container of {image}"),
            other => other.flavour().to_owned(),
        };
        format!("{product} at {place} ({provision})")
    }

    /// The password in the URL, as it is spelled there.
    pub(crate) fn password(&self) -> Option<&str> {
        let Target::Server { before, .. } = &self.target else { return None };
        let (_, user) = before.strip_suffix('@')?.split_once("://")?;
        let (_, password) = user.split_once(':')?;
        (!password.is_empty()).then_some(password)
    }

    /// The URL with another address in it.
    pub(crate) fn url_with(&self, address: &str) -> String {
        match &self.target {
            Target::Unnamed | Target::InProcess => address.to_owned(),
            Target::Server { before, after, .. } => format!("{before}{address}{after}"),
        }
    }
}

/// Without user name and password.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_urls_of_all_kinds() {
        for (text, address) in [
            ("localhost:6379", "localhost:6379"),
            ("redis://127.0.0.1:6379", "127.0.0.1:6379"),
            ("rediss://user:p%40ss@[::1]:7000/3?protocol=resp3", "[::1]:7000"),
            ("mongodb://db:27017/?replicaSet=rs", "db:27017"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.address(), Some(address), "{text}");
            assert_eq!(endpoint.url_with(address), text);
        }
        for text in ["", "redis://host", ":6379", "host:port", "host:99999"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_found() {
        for (text, password) in [
            ("redis://user:p%40ss@[::1]:7000/3", Some("p%40ss")),
            ("redis://:secret@host:1", Some("secret")),
            ("redis://user@host:1", None),
            ("redis://user:@host:1", None),
            ("host:1", None),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().password(), password, "{text}");
        }
        assert_eq!(Endpoint::in_process().password(), None);
    }

    #[test]
    fn a_description_says_what_where_and_how() {
        let server = Endpoint::parse("host:1").unwrap();
        assert_eq!(server.description(), "a backend at host:1 (given)");
        let server = server.described("Redis", "7.0.15").provided(Provision::Native);
        assert_eq!(server.description(), "Redis 7.0.15 at host:1 (native)");
        let image = "redis:7".to_owned();
        let server = server.provided(Provision::Container { image });
        assert_eq!(server.description(), "Redis 7.0.15 at host:1 (container of redis:7)");
        let embedded = Endpoint::in_process();
        assert_eq!(embedded.description(), "this process");
        let embedded = embedded.described("SQLite", "3.46.0");
        assert_eq!(embedded.description(), "SQLite 3.46.0 in this process");
        assert_eq!(Endpoint::unnamed().description(), "an unnamed backend");
    }

    #[test]
    fn neither_debug_nor_description_shows_the_password() {
        let endpoint = Endpoint::parse("redis://user:canary@host:1/0").unwrap();
        assert!(!format!("{endpoint:?} {}", endpoint.description()).contains("canary"));
    }
}
