//! A server of one's own in a container, of any kind.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::docker::{Docker, Present};
use super::error::{ServerError, ServerErrorKind};
use super::image::Image;
use super::locate::{self, Environment};
use super::location::Location;
use super::port;
use super::product::{Answer, Identity, Product};
use super::running::{Request, Running, StartError};

/// Generous, because test machines are busy; a healthy server answers much sooner.
const START_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const PORT_ATTEMPTS: u32 = 10;

/// A running server in a container of its own, published on the loopback interface only.
///
/// Dropping it removes the container, and so does the end of this process, however it ends. All methods
/// block.
pub struct Container<P: Product> {
    running: Running,
    product: P,
    identity: Identity,
    image: Present,
    port: u16,
}

impl<P: Product> Container<P> {
    /// Starts a container and waits until the server in it is ready, for at most a minute.
    ///
    /// The image is the one that the environment names, else the maker's own, else one that was built
    /// here; see the [module](crate::servers). It is pulled if it is not here.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&locate::environment)
    }

    pub(super) fn start_with(environment: Environment<'_>) -> Result<Self, ServerError> {
        let unavailable = |finding: String| unavailable(P::KIND.name, &P::IMAGE, &finding);
        let docker = Docker::find(environment).map_err(unavailable)?;
        let image = docker.image(&P::IMAGE, environment).map_err(unavailable)?;
        let failed = |finding: String| {
            let text = format!("{} in a container of {}: {finding}", P::KIND.name, image.name);
            ServerError::new(ServerErrorKind::Start, text)
        };
        let product = P::in_container();
        for _ in 0..PORT_ATTEMPTS {
            let port = port::free().map_err(|error| failed(error.to_string()))?;
            let request = Request {
                label: P::KIND.name.to_lowercase(),
                image: image.name.clone(),
                contents: product.contents(port),
                ports: (port, port),
                ready_log: None,
            };
            let running = match Running::start(&docker, &request) {
                Ok(running) => running,
                Err(StartError::PortTaken) => continue,
                Err(StartError::Failed(error)) => return Err(failed(error)),
            };
            let identity = ready(&product, &running, port).map_err(failed)?;
            return Ok(Self { running, product, identity, image, port });
        }
        Err(failed("no free port was found".to_owned()))
    }

    /// The URL for a client.
    #[must_use]
    pub fn url(&self) -> String {
        self.product.url(&[self.port])
    }

    /// The port of [`url`](Self::url), on the loopback interface. It stays the same across restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of the container.
    #[must_use]
    pub fn name(&self) -> &str {
        self.running.name()
    }

    /// The image that it runs.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image.name
    }

    /// From what the image was built on this machine, if it is not the maker's own.
    #[must_use]
    pub fn stand_in(&self) -> Option<&str> {
        self.image.stand_in.as_deref()
    }

    /// What the server calls itself, such as `Redis` or `Valkey`.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.identity.product
    }

    /// The server's version, in its own words.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.identity.version
    }

    /// Kills the server (`SIGKILL`), as a crash does. A paused server is resumed for it.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.resume_if_paused()?;
        self.control(&["kill"])
    }

    /// Asks the server to end, which lets it save first, and kills it after ten seconds.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.resume_if_paused()?;
        self.control(&["stop", "--time", "10"])
    }

    /// Freezes all processes of the container: connections stay open, nothing is answered.
    pub fn pause(&self) -> Result<(), ServerError> {
        self.control(&["pause"])
    }

    /// Lets a paused server go on.
    pub fn resume(&self) -> Result<(), ServerError> {
        self.control(&["unpause"])
    }

    /// Starts the server again on the same port with the same files, and waits until it is ready. A
    /// server that still runs is killed first.
    pub fn restart(&self) -> Result<(), ServerError> {
        if self.running.is_running() {
            self.kill()?;
        }
        self.control(&["start"])?;
        ready(&self.product, &self.running, self.port).map(|_| ()).map_err(|finding| {
            ServerError::new(ServerErrorKind::Start, format!("{}: {finding}", self.name()))
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    fn resume_if_paused(&self) -> Result<(), ServerError> {
        let paused = ["container", "inspect", "--format", "{{.State.Paused}}"];
        match self.running.control(&paused) {
            Ok(paused) if paused == "true" => self.resume(),
            Ok(_) => Ok(()),
            Err(error) => Err(ServerError::new(ServerErrorKind::Control, error)),
        }
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ServerError> {
        let done = self.running.control(arguments).map(|_| ());
        done.map_err(|error| ServerError::new(ServerErrorKind::Control, error))
    }
}

impl<P: Product> fmt::Debug for Container<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(&format!("{}Container", P::KIND.name))
            .field("identity", &self.identity)
            .field("image", &self.image)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl<P: Product> fmt::Display for Container<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, image, port, .. } = self;
        write!(f, "{identity}, in a container of {} on port {port}", image.name)?;
        match &image.stand_in {
            Some(source) => write!(f, " (an image built here from {source}, not the maker's own)"),
            None => Ok(()),
        }
    }
}

/// Waits until the server serves, and asks who it is. That a port accepts says nothing: Docker accepts
/// before the server does.
fn ready<P: Product>(product: &P, running: &Running, port: u16) -> Result<Identity, String> {
    let url = product.url(&[port]);
    let location = Location::parse(&url, &P::KIND).ok_or("its URL cannot be read")?;
    let read = |path: &str| running.read(path).ok();
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        let finding = match product.ask(&[port], None) {
            Ok(Answer::Ready) => match P::identify_in_container(&location, &read) {
                Ok(identity) => return Ok(identity),
                Err(error) => error.to_string(),
            },
            Ok(Answer::Refused(reply)) => return Err(reply),
            Ok(Answer::Stranger) => return Err("another server has its port".to_owned()),
            Ok(Answer::NotYet(reply)) => reply,
            Err(error) => error.to_string(),
        };
        let ended = !running.is_running();
        if ended || Instant::now() >= deadline {
            let state = if ended { "it ended by itself" } else { "it does not become ready" };
            return Err(format!("{state}: {finding}\n  {}", running.log()));
        }
        thread::sleep(POLL);
    }
}

fn unavailable(kind: &str, image: &Image, finding: &str) -> ServerError {
    let Image { variable, public, .. } = image;
    ServerError::new(
        ServerErrorKind::NotFound,
        format!(
            "no container for {kind} ({finding}). Do one of these:\n\
             - start Docker, or name its socket: DOCKER_HOST=unix:///path/to/docker.sock;\n\
             - pull or name an image: `docker pull {public}`, {variable}=image:tag;\n\
             - where no registry is reachable, build images from Debian packages: \
             `cargo xtask servers images` in the repository of the session store;\n\
             - use the server's own program: SESSION_TEST_BACKEND=native."
        ),
    )
}
