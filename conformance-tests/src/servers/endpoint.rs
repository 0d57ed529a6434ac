//! The Redis server that tests share: a given one, else one started for this process.

use std::fmt;
use std::io::{self, Write as _};
use std::net::ToSocketAddrs;
use std::sync::OnceLock;
use std::time::Duration;

use super::error::{ServerError, ServerErrorKind};
use super::locate::{self, Environment};
use super::redis::{REDIS, RedisOptions, RedisServer, field};
use super::resp::{Connection, Reply};

const PATIENCE: Duration = Duration::from_secs(5);

/// A Redis server to run tests against, and what it is.
///
/// Tests that share it keep apart by key prefix and never flush it: it may be somebody's own.
pub struct RedisEndpoint {
    url: String,
    product: String,
    version: String,
    source: Source,
}

enum Source {
    Environment { address: String },
    Started(Box<RedisServer>),
}

impl RedisEndpoint {
    /// The endpoint of this process: found or started at the first call, and said on standard error.
    ///
    /// A server that was started lives until the process ends.
    pub fn shared() -> Result<&'static Self, &'static ServerError> {
        static SHARED: OnceLock<Result<RedisEndpoint, ServerError>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
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
        match environment(REDIS.url_variable) {
            Some(url) => Self::given(&url.to_string_lossy()),
            None => RedisServer::start_with(RedisOptions::new(), environment).map(Self::started),
        }
    }

    /// The URL for a client; it may hold a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server is: `Redis` or `Valkey`.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The server's version, or `(version unknown)` for a given server that is reached by TLS only.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The server, if it was started here and may be killed, paused and restarted.
    #[must_use]
    pub fn server(&self) -> Option<&RedisServer> {
        match &self.source {
            Source::Environment { .. } => None,
            Source::Started(server) => Some(server),
        }
    }

    fn started(server: RedisServer) -> Self {
        Self {
            url: server.url(),
            product: server.product().to_owned(),
            version: server.version().to_owned(),
            source: Source::Started(Box::new(server)),
        }
    }

    fn given(url: &str) -> Result<Self, ServerError> {
        let parts = Parts::parse(url).ok_or_else(|| {
            ServerError::new(
                ServerErrorKind::Unreachable,
                format!("{} is no URL like {}", REDIS.url_variable, REDIS.url_example),
            )
        })?;
        let address = format!("{}:{}", parts.host, parts.port);
        let (product, version) = parts.identify().map_err(|error| {
            ServerError::new(
                ServerErrorKind::Unreachable,
                format!(
                    "{} names {address}, which does not serve ({error}). Start that server, or unset \
                     the variable to have one started.",
                    REDIS.url_variable
                ),
            )
        })?;
        Ok(Self { url: url.to_owned(), product, version, source: Source::Environment { address } })
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Started(server) => server.fmt(f),
            Source::Environment { address } => {
                let Self { product, version, .. } = self;
                write!(f, "{product} {version} at {address}, named by {}", REDIS.url_variable)
            }
        }
    }
}

/// Leaves the URL out, which may hold a password.
impl fmt::Debug for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisEndpoint({self})")
    }
}

/// The parts of a URL that it takes to ask the server who it is.
struct Parts {
    tls: bool,
    user: String,
    password: String,
    host: String,
    port: u16,
}

impl Parts {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']')?;
            (host, rest.strip_prefix(':'))
        } else {
            place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))
        };
        if host.is_empty() {
            return None;
        }
        Some(Self {
            tls,
            user: percent_decoded(user)?,
            password: percent_decoded(password)?,
            host: host.to_owned(),
            port: port.map_or(Some(6379), |port| port.parse().ok())?,
        })
    }

    /// Product and version of the server, in words of its own. A server that is reached by TLS is only
    /// knocked at: the standard library speaks no TLS.
    fn identify(&self) -> io::Result<(String, String)> {
        let mut connection = self.connect()?;
        if self.tls {
            return Ok(("Redis".to_owned(), "(version unknown)".to_owned()));
        }
        if !self.password.is_empty() {
            let user = if self.user.is_empty() { "default" } else { &self.user };
            accepted(connection.call(&["AUTH", user, &self.password])?)?;
        }
        accepted(connection.call(&["PING"])?)?;
        let info = accepted(connection.call(&["INFO", "server"])?)?;
        let known = |product: &str, version: &str| (product.to_owned(), version.to_owned());
        Ok(match (field(&info, "valkey_version"), field(&info, "redis_version")) {
            (Some(version), _) => known("Valkey", version),
            (None, Some(version)) => known("Redis", version),
            (None, None) => known("Redis", "(version unknown)"),
        })
    }

    /// Connects to the first address of the host that accepts.
    fn connect(&self) -> io::Result<Connection> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match Connection::open(address, PATIENCE) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn accepted(reply: Reply) -> io::Result<String> {
    match reply {
        Reply::Text(text) => Ok(text),
        Reply::Error(text) => Err(io::Error::other(text)),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
