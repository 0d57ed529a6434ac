//! A server of one's own, of any kind.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::disk;
use super::error::{ServerError, ServerErrorKind};
use super::locate::{self, Environment, Kind};
use super::process::{Launch, Process, Signal};
use super::product::{Answer, Identity, Product};
use super::site::Site;

/// Generous, because test machines are busy; a healthy server answers much sooner.
const START_PATIENCE: Duration = Duration::from_secs(60);
const END_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const PORT_ATTEMPTS: u32 = 10;
const LOG_LINES: usize = 15;

/// A running server on the loopback interface, with a temporary folder for its data.
///
/// Dropping it ends the server and removes the folder. All methods block; calls that change the
/// server's state take turns.
pub struct Server<P: Product> {
    // Before `site`, so that the server is gone when its folder is removed.
    process: Mutex<Option<Process>>,
    product: P,
    identity: Identity,
    site: Site,
}

impl<P: Product> Server<P> {
    /// Starts a server and waits until it is ready, for at most a minute.
    ///
    /// Looks for the program in the environment, then in `PATH`, then where its packages put it; see the
    /// [module](crate::servers). A URL in the environment is not used here: that server is not ours to
    /// configure or to kill.
    pub fn start(options: P::Options) -> Result<Self, ServerError> {
        Self::start_with(options, &locate::environment)
    }

    pub(super) fn start_with(
        options: P::Options,
        environment: Environment<'_>,
    ) -> Result<Self, ServerError> {
        if !cfg!(unix) {
            return Err(unsupported(&P::KIND));
        }
        let cannot_start = |error: io::Error| cannot_start::<P>(&error);
        let program = P::locate(environment)?;
        let identity = P::identify_program(&program).map_err(cannot_start)?;
        let mut site = Site::create::<P>(program).map_err(cannot_start)?;
        let product = P::prepare(options, &site).map_err(cannot_start)?;
        for _ in 0..PORT_ATTEMPTS {
            site.choose_ports(product.port_count()).map_err(cannot_start)?;
            product.configure(&site).map_err(cannot_start)?;
            match launch(&product, &site) {
                Ok(process) => {
                    return Ok(Self {
                        process: Mutex::new(Some(process)),
                        product,
                        identity,
                        site,
                    });
                }
                Err(LaunchError::Passing) => {}
                Err(LaunchError::Failed(error)) => return Err(error),
            }
        }
        Err(port_taken::<P>(&site))
    }

    /// The URL for a client, with the password if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.product.url(self.site.ports())
    }

    /// The port of [`url`](Self::url). It stays the same across restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.site.ports()[0]
    }

    /// The server's working folder: data files, configuration and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// The program that runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.site.program()
    }

    /// What the program calls itself, such as `Redis` or `Valkey`.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.identity.product
    }

    /// The program's version, such as `7.0.15`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.identity.version
    }

    /// The process id of the running server, or `None` after its end.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.lock();
        let process = process.as_mut()?;
        matches!(process.has_ended(), Ok(false)).then(|| process.pid())
    }

    /// Kills the server (`SIGKILL`) with the processes that it started, as a crash does, and waits for
    /// its end.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.end(Signal::Kill)
    }

    /// Asks the server to end, which lets it save first, and waits up to ten seconds for its end. A
    /// paused server is resumed for it.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.end(P::STOP)
    }

    /// Freezes the server and the processes that it started (`SIGSTOP`): connections stay open, nothing
    /// is answered.
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
            match launch(&self.product, &self.site) {
                Ok(started) => {
                    *process = Some(started);
                    return Ok(());
                }
                Err(LaunchError::Failed(error)) => return Err(error),
                Err(LaunchError::Passing) if Instant::now() >= deadline => {
                    return Err(port_taken::<P>(&self.site));
                }
                Err(LaunchError::Passing) => thread::sleep(POLL),
            }
        }
    }

    /// What only this kind of server knows.
    pub(super) fn kind(&self) -> &P {
        &self.product
    }

    /// All ports, the one of the URL first.
    pub(super) fn ports(&self) -> &[u16] {
        self.site.ports()
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Leaves no room on the server's own disk, if it was started with one.
    pub fn fill_disk(&self) -> Result<(), ServerError> {
        self.on_disk("fill its disk", disk::fill)
    }

    /// Gives the room back.
    pub fn empty_disk(&self) -> Result<(), ServerError> {
        self.on_disk("empty its disk", disk::empty)
    }

    fn on_disk(
        &self,
        doing: &str,
        act: impl Fn(u32, &Path) -> io::Result<()>,
    ) -> Result<(), ServerError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no running server with a disk");
        let pid = self.pid().filter(|_| self.kind().has_disk()).ok_or_else(missing);
        pid.and_then(|pid| act(pid, self.folder()))
            .map_err(|error| ServerError::control(&format!("{}: {doing}", self.label()), &error))
    }

    /// Names the server in errors.
    pub(super) fn label(&self) -> String {
        label::<P>(&self.site)
    }

    fn end(&self, signal: Signal) -> Result<(), ServerError> {
        let mut process = self.lock();
        let running = process.as_mut().ok_or_else(|| self.not_running())?;
        let ended = running.signal(signal).and_then(|()| {
            if signal != Signal::Kill {
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
                format!("{} did not end after the signal {signal}", self.label()),
            )),
            Err(error) => Err(ServerError::control(&self.label(), &error)),
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), ServerError> {
        let mut process = self.lock();
        let running = process.as_mut().ok_or_else(|| self.not_running())?;
        running.signal(signal).map_err(|error| ServerError::control(&self.label(), &error))
    }

    fn not_running(&self) -> ServerError {
        ServerError::new(ServerErrorKind::Control, format!("{} is not running", self.label()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic of a test leaves the process handle as it is, which is a valid state.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Product> fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(&format!("{}Server", P::KIND.name))
            .field("product", &self.identity.product)
            .field("version", &self.identity.version)
            .field("port", &self.port())
            .field("kind", &self.product)
            .finish_non_exhaustive()
    }
}

impl<P: Product> fmt::Display for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program().display();
        write!(f, "{}, started from {program} on port {}", self.identity, self.port())
    }
}

enum LaunchError {
    /// For a reason that passes: the port is taken.
    Passing,
    Failed(ServerError),
}

/// Runs the server and waits until it is ready.
fn launch<P: Product>(product: &P, site: &Site) -> Result<Process, LaunchError> {
    let failed = |error: io::Error| LaunchError::Failed(cannot_start::<P>(&error));
    let log_start = site.log_length();
    let mut command = product.command(site).map_err(failed)?;
    if command.get_current_dir().is_none() {
        command.current_dir(site.folder());
    }
    let mut process = Process::start(&Launch {
        command,
        // Who mounts a disk changes the user afterwards.
        user: site.user().copied().filter(|_| !product.has_disk()),
        log: site.log_file(),
        end_signal: P::END,
    })
    .map_err(failed)?;
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        let answer = product.ask(site.ports(), Some(process.pid()));
        // Asked after the server was: who answered was not ours if ours has ended.
        if process.has_ended().map_err(failed)? {
            let log = site.log_since(log_start);
            return Err(if P::PASSING.iter().any(|reason| log.contains(reason)) {
                LaunchError::Passing
            } else {
                failed_start(product, site, "it ended by itself", log_start)
            });
        }
        let finding = match answer {
            Ok(Answer::Ready) => return Ok(process),
            Ok(Answer::Stranger) => return Err(LaunchError::Passing),
            Ok(Answer::Refused(reply)) => {
                return Err(failed_start(product, site, &reply, log_start));
            }
            Ok(Answer::NotYet(reply)) => reply,
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(failed_start(product, site, &finding, log_start));
        }
        thread::sleep(POLL);
    }
}

fn failed_start<P: Product>(
    product: &P,
    site: &Site,
    finding: &str,
    log_start: usize,
) -> LaunchError {
    let log = site.log_since(log_start);
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
    let program = site.program().display();
    let help = if product.has_disk() { format!("\n{}", disk::HELP) } else { String::new() };
    let message = format!("{program} does not become ready: {finding}\n  {tail}{help}");
    LaunchError::Failed(ServerError::new(ServerErrorKind::Start, product.conceal(message)))
}

fn cannot_start<P: Product>(error: &io::Error) -> ServerError {
    ServerError::start(&format!("cannot start {}", P::KIND.name), error)
}

fn port_taken<P: Product>(site: &Site) -> ServerError {
    let message = format!("{} cannot start: another process has the port", label::<P>(site));
    ServerError::new(ServerErrorKind::Start, message)
}

fn label<P: Product>(site: &Site) -> String {
    let port = site.ports().first().copied().unwrap_or_default();
    format!("the {} server on port {port}", P::KIND.name)
}

fn unsupported(kind: &Kind) -> ServerError {
    let Kind { name, url_variable, url_example, .. } = kind;
    ServerError::new(
        ServerErrorKind::Unsupported,
        format!(
            "a {name} server can be started for tests on Unix only. \
             Name a running server instead: {url_variable}={url_example}"
        ),
    )
}
