//! Why no server could be had.

use std::error::Error;
use std::fmt;
use std::io;

/// A server for the tests could not be had, or did not do what it was told.
///
/// The text is written for the person who runs the tests: what was tried, and what to do. It holds no
/// password. It can be cloned, because one failed start is told to every test that needed it.
#[derive(Debug, Clone)]
pub struct ServerError {
    kind: ServerErrorKind,
    message: String,
}

/// The kinds of [`ServerError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// Neither a URL nor the server's program was found.
    NotFound,
    /// The server named by a URL does not answer, or the URL cannot be read.
    Unreachable,
    /// The program was found and does not become ready.
    Start,
    /// A running server refused a command or did not end.
    Control,
    /// A variable of the environment has a value that means nothing.
    Setting,
    /// This operating system is not one on which servers are started, or this build of the crate
    /// lacks the feature for it.
    Unsupported,
}

impl ServerError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ServerErrorKind {
        self.kind
    }

    pub(super) fn new(kind: ServerErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn start(doing: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::Unsupported => ServerErrorKind::Unsupported,
            _ => ServerErrorKind::Start,
        };
        Self::new(kind, format!("{doing}: {error}"))
    }

    pub(super) fn control(doing: &str, error: &io::Error) -> Self {
        // What the system calls a read or write that has lasted too long explains nothing.
        let text = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        };
        Self::new(ServerErrorKind::Control, format!("{doing}: {text}"))
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn a_server_that_does_not_answer_is_told_as_that() {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut stream = TcpStream::connect(silent.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let error = io::Read::read(&mut stream, &mut [0]).unwrap_err();
        assert_eq!(ServerError::control("ping", &error).to_string(), "ping: no answer in time");
        let error = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(ServerError::control("ping", &error).to_string(), "ping: connection refused");
    }
}
