//! What a kind of server has to say of itself; everything else is the same for all.
//!
//! A new kind is one file beside `redis.rs`, which is the example to follow: options, a type that implements
//! [`Product`], and two names for the users of this crate:
//!
//! ```text
//! pub type RedisServer = Server<Redis>;
//! pub type RedisEndpoint = SharedServer<Redis>;
//! ```
//!
//! What only this kind can do (a command, certificates) goes into an `impl Server<Redis>` in the same file.
//!
//! Its program is a row in `xtask/src/tools.rs`. One that is fetched is found in `~cache/<folder>`, where the
//! folder is the one that `xtask/src/fetch.rs` gives it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::error::ServerError;
use super::image::{Contents, Image};
use super::locate::{self, Environment, Kind};
use super::location::Location;
use super::process::Signal;
use super::shared::SharedServer;
use super::site::Site;

/// The one endpoint of a kind in this process.
pub(super) type Shared<P> = OnceLock<Result<SharedServer<P>, ServerError>>;

/// A kind of server.
///
/// The functions are called in this order. First [`locate`](Self::locate) and
/// [`identify_program`](Self::identify_program); then, in the server's own new folder,
/// [`prepare`](Self::prepare), once; then, for each choice of ports, [`configure`](Self::configure), and for each
/// start and restart [`command`](Self::command) and [`ask`](Self::ask) until the server is ready.
///
/// Errors are told to the person who runs the tests, as `cannot start Redis: <error>`.
pub trait Product: fmt::Debug + Sized + Send + Sync + 'static {
    /// What can be chosen about a server. Its `Debug` shows no password.
    type Options: Default;

    /// Its names, and the ways to get one.
    const KIND: Kind;

    /// What it runs from in a container.
    const IMAGE: Image;

    /// Ends a server at once, with the processes that it started: sent when our process is gone.
    const END: Signal = Signal::Kill;

    /// Lets a server save what it holds, and end without waiting for its clients.
    const STOP: Signal = Signal::Terminate;

    /// The users to run as, the first one that exists, if we are root and the server refuses to be.
    /// Its folder then belongs to that user.
    const UNPRIVILEGED: &'static [&'static str] = &[];

    /// What a server writes to its log when it ends for a reason that passes, so that a start is tried
    /// again: with other ports, and for a restart a little later.
    const PASSING: &'static [&'static str] = &["Address already in use"];

    /// The place of the endpoint that the tests of this process share. A generic function cannot have
    /// a static of its own, so each kind has one here:
    ///
    /// ```text
    /// static SHARED: Shared<Redis> = Shared::new();
    /// &SHARED
    /// ```
    fn shared() -> &'static Shared<Self>;

    /// The server's program, or what else its command needs to be found.
    fn locate(environment: Environment<'_>) -> Result<PathBuf, ServerError> {
        locate::program(&Self::KIND, environment)
    }

    /// Product and version of a program, without starting a server.
    fn identify_program(program: &Path) -> io::Result<Identity>;

    /// Product and version of the server that a URL names, in words of its own. This is also the check
    /// whether it serves.
    fn identify(location: &Location) -> io::Result<Identity>;

    /// Makes what a server needs before its first start, such as certificates or an initialised folder.
    ///
    /// Helpers are run with [`Site::run`], which runs them as the right user.
    fn prepare(options: Self::Options, site: &Site) -> io::Result<Self>;

    /// Whether it has a disk of its own, in [`disk::FOLDER`](super::disk::FOLDER).
    fn has_disk(&self) -> bool {
        false
    }

    /// How many ports a server needs. The first one is the port of its URL.
    fn port_count(&self) -> usize {
        1
    }

    /// Writes what depends on the ports of the site, such as a configuration file.
    fn configure(&self, _site: &Site) -> io::Result<()> {
        Ok(())
    }

    /// The command that runs the server, in the foreground and on the loopback interface only. Its program,
    /// arguments, environment and working folder count; the folder is the site's unless it says
    /// otherwise.
    fn command(&self, site: &Site) -> io::Result<Command>;

    /// Asks a server that starts how far it is, by its own protocol; an error counts as "not yet". It
    /// is called again and again, so it also does what a server needs after its start, if that may be
    /// repeated: a replica set is initiated here.
    ///
    /// `pid` is the process that was started, `None` in a container, whose port nobody else has. A
    /// server that tells its process and names another one is a [`Stranger`](Answer::Stranger) on our
    /// port.
    fn ask(&self, ports: &[u16], pid: Option<u32>) -> io::Result<Answer>;

    /// The URL for a client. It may hold a password.
    fn url(&self, ports: &[u16]) -> String;

    /// Product and version of a server in a container. `read` reads a file of its image, for a server that
    /// does not tell its clients.
    #[cfg_attr(not(feature = "containers"), allow(dead_code, reason = "containers are a feature"))]
    fn identify_in_container(
        location: &Location,
        _read: &dyn Fn(&str) -> Option<String>,
    ) -> io::Result<Identity> {
        Self::identify(location)
    }

    /// A server in a container, with the default options. Its one port is the same inside and outside, so
    /// that a server may tell its clients where it is.
    fn in_container() -> Self;

    /// How the image is run, so that the server listens on this port of every address: only the loopback
    /// interface of this machine leads there.
    fn contents(&self, port: u16) -> Contents;

    /// The text without the passwords that were chosen for this server. Logs may quote them.
    fn conceal(&self, text: String) -> String {
        text
    }
}

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(super) product: String,
    pub(super) version: String,
}

impl Identity {
    pub(super) fn new(product: &str, version: &str) -> Self {
        Self { product: product.to_owned(), version: version.to_owned() }
    }

    /// A server that was reached and does not tell its version to strangers.
    pub(super) fn without_version(product: &str) -> Self {
        Self::new(product, "(version unknown)")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.product, self.version)
    }
}

/// What a starting server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It serves.
    Ready,
    /// It will; the text says what it waits for.
    NotYet(String),
    /// It never will.
    Refused(String),
    /// It is not the server that we started.
    Stranger,
}
