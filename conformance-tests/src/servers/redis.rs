//! A Redis (or Valkey) server of one's own.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{ServerError, ServerErrorKind};
use super::folder::Folder;
use super::locate::{self, Environment, Kind};
use super::port;
use super::process::{Launch, Process, Signal};
use super::resp::{Connection, Reply};
use super::tls::TlsFiles;

pub(super) const REDIS: Kind = Kind {
    name: "Redis",
    url_variable: "SESSION_TEST_REDIS_URL",
    url_example: "redis://127.0.0.1:6379",
    program_variable: "SESSION_TEST_REDIS_SERVER",
    programs: &["redis-server", "valkey-server"],
    debian: "redis-server",
    homebrew: "redis",
};

/// Generous, because test machines are busy; a healthy server answers within a tenth of a second.
const START_PATIENCE: Duration = Duration::from_secs(30);
const END_PATIENCE: Duration = Duration::from_secs(10);
const REPLY_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
const PORT_ATTEMPTS: u32 = 10;
const LOG_LINES: usize = 15;

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

/// A running server on the loopback interface, with a temporary folder for its data.
///
/// Dropping it ends the server and removes the folder. All methods block; calls that change the
/// server's state take turns.
pub struct RedisServer {
    // Before `home`, so that the server is gone when its folder is removed.
    process: Mutex<Option<Process>>,
    home: Home,
    product: String,
    version: String,
}

impl RedisServer {
    /// Starts a server and waits until it is ready, for at most thirty seconds.
    ///
    /// Looks for the program in `SESSION_TEST_REDIS_SERVER`, then in `PATH`. A URL in the environment
    /// is not used here: that server is not ours to configure or to kill.
    pub fn start(options: RedisOptions) -> Result<Self, ServerError> {
        Self::start_with(options, &locate::environment)
    }

    pub(super) fn start_with(
        options: RedisOptions,
        environment: Environment<'_>,
    ) -> Result<Self, ServerError> {
        if !cfg!(unix) {
            return Err(unsupported());
        }
        let program = locate::program(&REDIS, environment)?;
        let (product, version) = program_version(&program)?;
        let mut home = Home::create(program, options)?;
        for _ in 0..PORT_ATTEMPTS {
            home.choose_ports()?;
            match home.launch() {
                Ok(process) => {
                    let process = Mutex::new(Some(process));
                    return Ok(Self { process, home, product, version });
                }
                Err(LaunchError::PortTaken) => {}
                Err(LaunchError::Failed(error)) => return Err(error),
            }
        }
        Err(home.port_taken())
    }

    /// The URL for a client, with the password if there is one; `rediss` if TLS was asked for.
    #[must_use]
    pub fn url(&self) -> String {
        match self.home.tls_port {
            Some(port) => self.home.url("rediss", port),
            None => self.plain_url(),
        }
    }

    /// The URL without TLS, also of a server that serves TLS as well.
    #[must_use]
    pub fn plain_url(&self) -> String {
        self.home.url("redis", self.home.port)
    }

    /// The port of [`url`](Self::url). It stays the same across restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.home.tls_port.unwrap_or(self.home.port)
    }

    /// The certificates, if TLS was asked for.
    #[must_use]
    pub fn tls_files(&self) -> Option<&TlsFiles> {
        self.home.tls_files.as_ref()
    }

    /// The server's working folder: data files, configuration and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.folder.path()
    }

    /// The program that runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.home.program
    }

    /// What the program calls itself: `Redis` or `Valkey`.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The program's version, such as `7.0.15`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The process id of the running server, or `None` after its end.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.lock();
        let process = process.as_mut()?;
        matches!(process.has_ended(), Ok(false)).then(|| process.pid())
    }

    /// Sends one command on a new connection and answers its reply as text, an array as one line per
    /// element. For driving the server into a state without a driver; an error reply is an error.
    pub fn command(&self, words: &[&str]) -> Result<String, ServerError> {
        let doing = || format!("{}: {}", self.home.label(), words.first().unwrap_or(&""));
        match self.home.connect().and_then(|mut connection| connection.call(words)) {
            Ok(Reply::Text(text)) => Ok(text),
            Ok(Reply::Error(text)) => {
                Err(ServerError::new(ServerErrorKind::Control, format!("{}: {text}", doing())))
            }
            Err(error) => Err(ServerError::control(&doing(), &error)),
        }
    }

    /// Ends the server at once (`SIGKILL`), as a crash does, and waits for its end.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.end(Signal::Kill)
    }

    /// Asks the server to end (`SIGTERM`), which lets it save first, and waits up to ten seconds for
    /// its end. A paused server is resumed for it.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.end(Signal::Terminate)
    }

    /// Freezes the server (`SIGSTOP`): connections stay open, nothing is answered.
    pub fn pause(&self) -> Result<(), ServerError> {
        self.signal(Signal::Stop)
    }

    /// Lets a paused server go on (`SIGCONT`).
    pub fn resume(&self) -> Result<(), ServerError> {
        self.signal(Signal::Continue)
    }

    /// Starts the server again on the same port, with the same options and folder, and waits until it
    /// is ready. A server that still runs is killed first.
    pub fn restart(&self) -> Result<(), ServerError> {
        let mut process = self.lock();
        // Dropping ends the server and waits for it.
        *process = None;
        let deadline = Instant::now() + END_PATIENCE;
        loop {
            match self.home.launch() {
                Ok(started) => {
                    *process = Some(started);
                    return Ok(());
                }
                Err(LaunchError::Failed(error)) => return Err(error),
                Err(LaunchError::PortTaken) if Instant::now() >= deadline => {
                    return Err(self.home.port_taken());
                }
                Err(LaunchError::PortTaken) => thread::sleep(POLL),
            }
        }
    }

    fn end(&self, signal: Signal) -> Result<(), ServerError> {
        let mut process = self.lock();
        let running = process.as_mut().ok_or_else(|| self.home.not_running())?;
        let ended = running.signal(signal).and_then(|()| {
            if signal == Signal::Terminate {
                running.signal(Signal::Continue)?;
            }
            running.wait(END_PATIENCE)
        });
        match ended {
            Ok(true) => {
                *process = None;
                Ok(())
            }
            Ok(false) => Err(ServerError::new(
                ServerErrorKind::Control,
                format!("{} did not end after the signal {signal}", self.home.label()),
            )),
            Err(error) => Err(ServerError::control(&self.home.label(), &error)),
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), ServerError> {
        let mut process = self.lock();
        let running = process.as_mut().ok_or_else(|| self.home.not_running())?;
        running.signal(signal).map_err(|error| ServerError::control(&self.home.label(), &error))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic of a test leaves the process handle as it is, which is a valid state.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer")
            .field("product", &self.product)
            .field("version", &self.version)
            .field("port", &self.port())
            .field("options", &self.home.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program().display();
        write!(
            f,
            "{} {}, started from {program} on port {}",
            self.product,
            self.version,
            self.port()
        )
    }
}

/// All that outlives a restart.
struct Home {
    program: PathBuf,
    options: RedisOptions,
    port: u16,
    tls_port: Option<u16>,
    tls_files: Option<TlsFiles>,
    folder: Folder,
}

enum LaunchError {
    PortTaken,
    Failed(ServerError),
}

/// What a starting server says of itself.
enum Answer {
    Ready,
    NotYet(String),
    Refused(String),
    Stranger,
}

impl Home {
    fn create(program: PathBuf, options: RedisOptions) -> Result<Self, ServerError> {
        let folder = Folder::create("redis")
            .map_err(|error| ServerError::start("cannot make a temporary folder", &error))?;
        let tls_files = options
            .tls
            .then(|| TlsFiles::create(folder.path()))
            .transpose()
            .map_err(|error| ServerError::start("cannot make certificates", &error))?;
        Ok(Self { program, options, port: 0, tls_port: None, tls_files, folder })
    }

    /// Chooses free ports and writes the configuration file with them.
    fn choose_ports(&mut self) -> Result<(), ServerError> {
        let chosen = || port::free().map_err(|error| ServerError::start("no port", &error));
        self.port = chosen()?;
        self.tls_port = self.options.tls.then(chosen).transpose()?;
        std::fs::write(self.config_file(), self.config())
            .map_err(|error| ServerError::start("cannot write the configuration", &error))
    }

    fn config(&self) -> String {
        let mut config = format!(
            "port {}\nbind 127.0.0.1 -::1\ndaemonize no\nsave \"\"\nappendonly no\n\
             repl-diskless-sync-delay 0\n",
            self.port
        );
        // Writing to a string cannot fail.
        let _ = writeln!(config, "dir {}", quoted(&self.folder.path().to_string_lossy()));
        if let Some(password) = &self.options.password {
            let _ = writeln!(config, "requirepass {}", quoted(password));
        }
        if let (Some(port), Some(files)) = (self.tls_port, &self.tls_files) {
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

    fn launch(&self) -> Result<Process, LaunchError> {
        let failed = |error| LaunchError::Failed(ServerError::start("cannot start Redis", &error));
        let log_start = self.log().len();
        let mut process = Process::start(&Launch {
            program: self.program.clone(),
            args: vec![OsString::from(self.config_file())],
            log: self.log_file(),
            end_signal: Signal::Kill,
        })
        .map_err(failed)?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let finding = match self.ask(process.pid()) {
                Ok(Answer::Ready) => return Ok(process),
                Ok(Answer::Stranger) => return Err(LaunchError::PortTaken),
                Ok(Answer::Refused(reply)) => return Err(self.failed_start(&reply, log_start)),
                Ok(Answer::NotYet(reply)) => reply,
                Err(error) => error.to_string(),
            };
            if process.has_ended().map_err(failed)? {
                return Err(if self.log_since(log_start).contains("Address already in use") {
                    LaunchError::PortTaken
                } else {
                    self.failed_start("it ended by itself", log_start)
                });
            }
            if Instant::now() >= deadline {
                return Err(self.failed_start(&finding, log_start));
            }
            thread::sleep(POLL);
        }
    }

    /// Asks whether the server is ready, and whether it is ours and not another one on our port.
    fn ask(&self, pid: u32) -> io::Result<Answer> {
        let mut connection = self.connect()?;
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
            Reply::Text(info) if field(&info, "process_id") != Some(&pid.to_string()) => {
                Answer::Stranger
            }
            // A server that does not tell who it is to strangers has still answered.
            Reply::Text(_) | Reply::Error(_) => Answer::Ready,
        })
    }

    /// A connection without TLS, with the password given. A refused password shows in the next reply.
    fn connect(&self) -> io::Result<Connection> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut connection = Connection::open(address, REPLY_PATIENCE)?;
        if let Some(password) = &self.options.password {
            connection.call(&["AUTH", password])?;
        }
        Ok(connection)
    }

    fn url(&self, scheme: &str, port: u16) -> String {
        let password = self.options.password.as_deref();
        let login = password.map(|it| format!(":{}@", percent_encoded(it))).unwrap_or_default();
        format!("{scheme}://{login}127.0.0.1:{port}")
    }

    fn label(&self) -> String {
        format!("the Redis server on port {}", self.tls_port.unwrap_or(self.port))
    }

    fn not_running(&self) -> ServerError {
        ServerError::new(ServerErrorKind::Control, format!("{} is not running", self.label()))
    }

    fn port_taken(&self) -> ServerError {
        let message = format!("{} cannot start: another process has the port", self.label());
        ServerError::new(ServerErrorKind::Start, message)
    }

    fn failed_start(&self, finding: &str, log_start: usize) -> LaunchError {
        let log = self.log_since(log_start);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        let program = self.program.display();
        let mut message = format!("{program} does not become ready: {finding}\n  {tail}");
        if let Some(password) = self.options.password.as_deref().filter(|it| !it.is_empty()) {
            message =
                message.replace(password, "(password)").replace(&quoted(password), "(password)");
        }
        LaunchError::Failed(ServerError::new(ServerErrorKind::Start, message))
    }

    fn log_since(&self, start: usize) -> String {
        String::from_utf8_lossy(self.log().get(start..).unwrap_or_default()).into_owned()
    }

    /// Empty before the first start.
    fn log(&self) -> Vec<u8> {
        std::fs::read(self.log_file()).unwrap_or_default()
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("redis.conf")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }
}

/// The value of a line `name:value` in the reply of `INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn unsupported() -> ServerError {
    let Kind { name, url_variable, url_example, .. } = REDIS;
    ServerError::new(
        ServerErrorKind::Unsupported,
        format!(
            "a {name} server can be started for tests on Unix only. \
             Name a running server instead: {url_variable}={url_example}"
        ),
    )
}

/// Product and version, from a line such as `Redis server v=7.0.15 sha=…`.
fn program_version(program: &Path) -> Result<(String, String), ServerError> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ServerError::start(&program.display().to_string(), &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let product = text.split_whitespace().next();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
    match (product, version) {
        (Some(product), Some(version)) => Ok((product.to_owned(), version.to_owned())),
        _ => Err(ServerError::new(
            ServerErrorKind::Start,
            format!("{} --version does not answer like a Redis server", program.display()),
        )),
    }
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

fn percent_encoded(text: &str) -> String {
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
