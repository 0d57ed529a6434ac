//! The Docker daemon of this machine, driven by its own client program.

use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::image::Image;
use super::locate::{self, Environment};

const PATIENCE: Duration = Duration::from_secs(2);

/// The label that an image carries if it was built here, in the place of the maker's own; its value says
/// from what.
const STAND_IN: &str = "session-tests.stand-in";

/// A daemon that answers.
#[derive(Debug, Clone)]
pub(crate) struct Docker {
    client: PathBuf,
    host: String,
}

/// An image that is there.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    pub(crate) name: String,
    /// From what it was built here, if it is not the maker's own.
    pub(crate) stand_in: Option<String>,
}

impl Docker {
    /// The daemon that testcontainers would talk to, if it answers; else what was found.
    pub(crate) fn find(environment: Environment<'_>) -> Result<Self, String> {
        let host = host(environment);
        reach(&host).map_err(|error| format!("no Docker daemon answers at {host}: {error}"))?;
        let client = locate::in_path("docker", environment).ok_or_else(|| {
            format!(
                "a Docker daemon answers at {host}, but its client program `docker` is not in PATH; it \
                 removes the containers of tests that are killed"
            )
        })?;
        let docker = Self { client, host };
        docker.run(&["version", "--format", "{{.Server.Version}}"])?;
        Ok(docker)
    }

    /// Whether a daemon answers at all, asked in the cheapest way.
    pub(super) fn answers(environment: Environment<'_>) -> bool {
        reach(&host(environment)).is_ok()
    }

    pub(crate) fn client(&self) -> &Path {
        &self.client
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Runs the client and answers what it prints, or else what it complains of.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.output(arguments)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("docker {}: {}", arguments.first().unwrap_or(&""), said.trim()))
    }

    /// The last lines of a container's log.
    pub(crate) fn log(&self, container: &str) -> String {
        let log = self.output(&["logs", "--tail", "15", container]);
        log.map(|output| {
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).trim().replace('\n', "\n  ")
        })
        .unwrap_or_default()
    }

    /// The image to run for a kind of server: the one that the environment names, and no other; else the
    /// maker's own if it is here; else the stand-in if it is here; else the maker's own, pulled.
    pub(super) fn image(
        &self,
        image: &Image,
        environment: Environment<'_>,
    ) -> Result<Present, String> {
        let Image { variable, public, stand_in } = *image;
        if let Some(name) = environment(variable) {
            return self.provide(&name.to_string_lossy()).map_err(|error| {
                format!("{variable} names an image that is not here and cannot be pulled ({error})")
            });
        }
        if let Some(present) = self.present(public).or_else(|| self.present(stand_in)) {
            return Ok(present);
        }
        self.provide(public).map_err(|error| {
            format!(
                "neither {public} nor {stand_in} is here, and the first cannot be pulled ({error})"
            )
        })
    }

    /// The image, pulled if it is not here.
    pub(crate) fn provide(&self, name: &str) -> Result<Present, String> {
        if let Some(present) = self.present(name) {
            return Ok(present);
        }
        self.run(&["pull", "--quiet", name]).map_err(|error| format!("{name}: {error}"))?;
        self.present(name).ok_or_else(|| format!("{name} was pulled and is not here"))
    }

    fn present(&self, name: &str) -> Option<Present> {
        let format = format!("{{{{with .Config.Labels}}}}{{{{index . {STAND_IN:?}}}}}{{{{end}}}}");
        let label = self.run(&["image", "inspect", "--format", &format, name]).ok()?;
        let stand_in = Some(label).filter(|label| !label.is_empty());
        Some(Present { name: name.to_owned(), stand_in })
    }

    fn output(&self, arguments: &[&str]) -> Result<std::process::Output, String> {
        let mut command = Command::new(&self.client);
        command.arg("--host").arg(&self.host).args(arguments).stdin(Stdio::null());
        command.output().map_err(|error| format!("{}: {error}", self.client.display()))
    }
}

/// The address of the daemon, chosen as testcontainers does it.
fn host(environment: Environment<'_>) -> String {
    if let Some(host) = environment("DOCKER_HOST") {
        return host.to_string_lossy().into_owned();
    }
    let usual = PathBuf::from("/var/run/docker.sock");
    let below = |variable, path| environment(variable).map(|it| PathBuf::from(it).join(path));
    let others = [
        below("XDG_RUNTIME_DIR", ".docker/run/docker.sock"),
        below("HOME", ".docker/run/docker.sock"),
        below("HOME", ".docker/desktop/docker.sock"),
    ];
    let found =
        [usual.clone()].into_iter().chain(others.into_iter().flatten()).find(|it| it.exists());
    format!("unix://{}", found.unwrap_or(usual).display())
}

/// Knocks at the daemon. It must be one of this machine: containers are published to the loopback
/// interface only.
fn reach(host: &str) -> Result<(), String> {
    if let Some(path) = host.strip_prefix("unix://") {
        return UnixStream::connect(path).map(|_| ()).map_err(|error| error.to_string());
    }
    let address = host.strip_prefix("tcp://").ok_or("neither unix:// nor tcp://")?;
    let mut addresses =
        address.trim_end_matches('/').to_socket_addrs().map_err(|error| error.to_string())?;
    let loopback = addresses.find(|it| it.ip().is_loopback());
    let loopback = loopback.ok_or("it is another machine, where our loopback interface is not")?;
    let stream = std::net::TcpStream::connect_timeout(&loopback, PATIENCE);
    stream.map(|_| ()).map_err(|error| error.to_string())
}
