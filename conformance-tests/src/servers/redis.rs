//! A Redis (or Valkey) server.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::disk;
use super::error::{ServerError, ServerErrorKind};
use super::image::{Contents, Image};
use super::locate::Kind;
use super::location::{self, Location, percent_encoded};
use super::product::{Answer, Identity, Product, Shared};
use super::resp::{Connection, Reply};
use super::server::Server;
use super::shared::SharedServer;
use super::site::Site;
use super::tls::TlsFiles;

/// A Redis (or Valkey) server of one's own.
pub type RedisServer = Server<Redis>;

/// A Redis server of one's own in a container.
#[cfg(all(unix, feature = "containers"))]
pub type RedisContainer = super::container::Container<Redis>;

/// The Redis server that the tests of this process share.
pub type RedisEndpoint = SharedServer<Redis>;

/// When a server that starts counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Readiness {
    /// It answers `PING` with `PONG`.
    #[default]
    Serving,
    /// It answers at all: `-LOADING`, `-NOAUTH` and other refusals count.
    Answering,
}

/// How to start a [`RedisServer`]. The default keeps nothing on disk and asks for no password.
#[derive(Clone, Default)]
pub struct RedisOptions {
    directives: Vec<String>,
    password: Option<String>,
    tls: bool,
    readiness: Readiness,
    disk: Option<u64>,
}

impl RedisOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line to the server's configuration file, with the value spelled (and quoted) as there.
    /// It stands after our own lines, so it wins over them.
    #[must_use]
    pub fn config(mut self, directive: &str, value: &str) -> Self {
        self.directives.push(format!("{directive} {value}"));
        self
    }

    /// Sets the password of the default user. The server's URL then carries it.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Serves TLS as well, on a second port, with certificates made for this server.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Gives the server a disk of its own with room for so many bytes, which [`fill_disk`](Server::fill_disk)
    /// fills. What is on it is gone when the server ends, however it ends.
    ///
    /// On Linux only, as root or where the kernel lets users have name spaces of their own.
    #[must_use]
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk = Some(bytes);
        self
    }

    /// Sets when the server counts as ready, at each start and restart.
    #[must_use]
    pub fn ready_when(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }
}

/// Shows no password and no configuration line, which may hold one.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("tls", &self.tls)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl Server<Redis> {
    /// The URL without TLS, also of a server that serves TLS as well.
    #[must_use]
    pub fn plain_url(&self) -> String {
        let redis = self.kind();
        redis.url_with("redis", redis.plain_port(self.ports()))
    }

    /// The certificates, if TLS was asked for.
    #[must_use]
    pub fn tls_files(&self) -> Option<&TlsFiles> {
        self.kind().tls_files.as_ref()
    }

    /// Sends one command on a new connection and answers its reply as text, an array as one line per
    /// element. For driving the server into a state without a driver; an error reply is an error.
    pub fn command(&self, words: &[&str]) -> Result<String, ServerError> {
        let doing = || format!("{}: {}", self.label(), words.first().unwrap_or(&""));
        let connection = self.kind().connect(self.ports(), location::COMMAND_PATIENCE);
        match connection.and_then(|mut connection| connection.call(words)) {
            Ok(Reply::Text(text)) => Ok(text),
            Ok(Reply::Error(text)) => {
                Err(ServerError::new(ServerErrorKind::Control, format!("{}: {text}", doing())))
            }
            Err(error) => Err(ServerError::control(&doing(), &error)),
        }
    }
}

/// What is Redis' own about a server.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    tls_files: Option<TlsFiles>,
}

impl Product for Redis {
    type Options = RedisOptions;

    const KIND: Kind = Kind {
        name: "Redis",
        schemes: &[("redis", 6379), ("rediss", 6379)],
        url_variable: "SESSION_TEST_REDIS_URL",
        url_example: "redis://127.0.0.1:6379",
        program_variable: "SESSION_TEST_REDIS_SERVER",
        programs: &["redis-server", "valkey-server"],
        folders: &[],
        install: &[
            "`apt-get install redis-server` (Debian, Ubuntu)",
            "`brew install redis` (macOS)",
        ],
    };

    const IMAGE: Image = Image {
        variable: "SESSION_TEST_REDIS_IMAGE",
        public: "redis:7.4",
        stand_in: "session-tests/redis",
    };

    fn shared() -> &'static Shared<Self> {
        static SHARED: Shared<Redis> = Shared::new();
        &SHARED
    }

    /// From a line such as `Redis server v=7.0.15 sha=…`.
    fn identify_program(program: &Path) -> io::Result<Identity> {
        let text = super::locate::output(Command::new(program).arg("--version"))?;
        let product = text.split_whitespace().next();
        let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
        match (product, version) {
            (Some(product), Some(version)) => Ok(Identity::new(product, version)),
            _ => Err(io::Error::other(format!(
                "{} --version does not answer like a Redis server",
                program.display()
            ))),
        }
    }

    /// A server that is reached by TLS is only knocked at: the standard library speaks no TLS.
    fn identify(location: &Location) -> io::Result<Identity> {
        let mut connection = Connection::new(location.connect()?);
        if location.scheme == "rediss" {
            return Ok(Identity::without_version("Redis"));
        }
        if !location.password.is_empty() {
            let user = if location.user.is_empty() { "default" } else { &location.user };
            accepted(connection.call(&["AUTH", user, &location.password])?)?;
        }
        accepted(connection.call(&["PING"])?)?;
        let info = accepted(connection.call(&["INFO", "server"])?)?;
        Ok(match (field(&info, "valkey_version"), field(&info, "redis_version")) {
            (Some(version), _) => Identity::new("Valkey", version),
            (None, Some(version)) => Identity::new("Redis", version),
            (None, None) => Identity::without_version("Redis"),
        })
    }

    fn prepare(options: RedisOptions, site: &Site) -> io::Result<Self> {
        let tls_files = options.tls.then(|| TlsFiles::create(site.folder())).transpose()?;
        Ok(Self { options, tls_files })
    }

    fn port_count(&self) -> usize {
        if self.options.tls { 2 } else { 1 }
    }

    fn has_disk(&self) -> bool {
        self.options.disk.is_some()
    }

    fn configure(&self, site: &Site) -> io::Result<()> {
        std::fs::write(site.folder().join(CONFIG), self.config(site))
    }

    fn command(&self, site: &Site) -> io::Result<Command> {
        let mut command = Command::new(site.program());
        command.arg(site.folder().join(CONFIG));
        match self.options.disk {
            Some(bytes) => disk::with_disk(&command, site.folder(), bytes, None, None),
            None => Ok(command),
        }
    }

    fn ask(&self, ports: &[u16], pid: Option<u32>) -> io::Result<Answer> {
        let mut connection = self.connect(ports, location::PATIENCE)?;
        let answering = self.options.readiness == Readiness::Answering;
        match connection.call(&["PING"])? {
            Reply::Error(reply) if !answering => {
                let word = reply.split(' ').next().unwrap_or_default();
                return Ok(if matches!(word, "NOAUTH" | "NOPERM" | "WRONGPASS") {
                    Answer::Refused(reply)
                } else {
                    Answer::NotYet(reply)
                });
            }
            Reply::Error(_) | Reply::Text(_) => {}
        }
        Ok(match connection.call(&["INFO", "server"])? {
            Reply::Text(info)
                if pid.is_some_and(|pid| field(&info, "process_id") != Some(&pid.to_string())) =>
            {
                Answer::Stranger
            }
            // A server that does not tell who it is to strangers has still answered.
            Reply::Text(_) | Reply::Error(_) => Answer::Ready,
        })
    }

    fn url(&self, ports: &[u16]) -> String {
        self.url_with(if self.options.tls { "rediss" } else { "redis" }, ports[0])
    }

    fn in_container() -> Self {
        Self { options: RedisOptions::default(), tls_files: None }
    }

    fn contents(&self, port: u16) -> Contents {
        let port = port.to_string();
        let open = ["redis-server", "--port", &port, "--bind", "0.0.0.0", "--protected-mode", "no"];
        Contents::arguments(&[&open[..], &["--save", "", "--appendonly", "no"]].concat())
    }

    fn conceal(&self, text: String) -> String {
        match self.options.password.as_deref().filter(|password| !password.is_empty()) {
            Some(password) => {
                text.replace(password, "(password)").replace(&quoted(password), "(password)")
            }
            None => text,
        }
    }
}

const CONFIG: &str = "redis.conf";
impl Redis {
    fn config(&self, site: &Site) -> String {
        let mut config = format!(
            "port {}\nbind 127.0.0.1 -::1\ndaemonize no\nsave \"\"\nappendonly no\n\
             repl-diskless-sync-delay 0\n",
            self.plain_port(site.ports())
        );
        // Writing to a string cannot fail.
        let _ = writeln!(config, "dir {}", quoted(&self.data(site).to_string_lossy()));
        if let Some(password) = &self.options.password {
            let _ = writeln!(config, "requirepass {}", quoted(password));
        }
        if let Some(files) = &self.tls_files {
            let port = site.ports()[0];
            let path = |path: &Path| quoted(&path.to_string_lossy());
            let _ = writeln!(config, "tls-port {port}\ntls-auth-clients no");
            let _ = writeln!(config, "tls-cert-file {}", path(files.certificate()));
            let _ = writeln!(config, "tls-key-file {}", path(files.key()));
            let _ = writeln!(config, "tls-ca-cert-file {}", path(files.authority()));
        }
        for directive in &self.options.directives {
            let _ = writeln!(config, "{directive}");
        }
        config
    }

    /// Where the server keeps its data.
    fn data(&self, site: &Site) -> PathBuf {
        match self.options.disk {
            Some(_) => site.folder().join(disk::FOLDER),
            None => site.folder().to_owned(),
        }
    }

    /// A connection without TLS, with the password given. A refused password shows in the next reply.
    fn connect(&self, ports: &[u16], patience: Duration) -> io::Result<Connection> {
        let mut connection = Connection::new(location::connect(self.plain_port(ports), patience)?);
        if let Some(password) = &self.options.password {
            connection.call(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// Beside the port with TLS, if there is one, which comes first.
    fn plain_port(&self, ports: &[u16]) -> u16 {
        ports[self.port_count() - 1]
    }

    fn url_with(&self, scheme: &str, port: u16) -> String {
        let password = self.options.password.as_deref();
        let login = password.map(|it| format!(":{}@", percent_encoded(it))).unwrap_or_default();
        format!("{scheme}://{login}127.0.0.1:{port}")
    }
}

fn accepted(reply: Reply) -> io::Result<String> {
    match reply {
        Reply::Text(text) => Ok(text),
        Reply::Error(text) => Err(io::Error::other(text)),
    }
}

/// The value of a line `name:value` in the reply of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A string in the notation of the configuration file, with every byte escaped that could mean more.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}
