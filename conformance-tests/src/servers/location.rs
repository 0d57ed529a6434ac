//! The parts of a URL that it takes to ask the server there who it is.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::locate::Kind;

/// How long a server may take to accept, and then to say who it is.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take for a command that drives it into a state: on a slow disk that can be long.
pub(super) const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// The parts of a server's URL, decoded.
pub struct Location {
    pub(super) scheme: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// What follows host and port, with its first `/` or `?`, as it is spelled.
    pub(super) rest: String,
}

impl Location {
    /// Reads a URL of this kind; of several hosts the first. `None` if it is none.
    pub(super) fn parse(url: &str, kind: &Kind) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (_, usual_port) = kind.schemes.iter().find(|(name, _)| *name == scheme)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, places) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let place = places.split(',').next()?;
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
            scheme: scheme.to_owned(),
            user: percent_decoded(user)?,
            password: percent_decoded(password)?,
            host: host.to_owned(),
            port: port.map_or(Some(*usual_port), |port| port.parse().ok())?,
            rest: rest.to_owned(),
        })
    }

    /// Host and port, without user name and password.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects to the first address of the host that accepts.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match connect_to(&address, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A connection to a server that was started here, which may take so long for each reply.
pub(super) fn connect(port: u16, patience: Duration) -> io::Result<TcpStream> {
    connect_to(&([127, 0, 0, 1], port).into(), patience)
}

fn connect_to(address: &SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    Ok(stream)
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

/// A text in the notation of URLs, with every byte escaped that could mean more.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
