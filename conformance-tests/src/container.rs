//! A container of any image as the backend of a fixture.

use crate::Result;
use crate::endpoint::{Endpoint, Provision};
use crate::servers::docker::Docker;
use crate::servers::running::{Request, Running, StartError};
use crate::servers::{free_port, real_environment};

const PORT_ATTEMPTS: u32 = 10;

/// A container to start; made by [`Endpoint::container`].
#[derive(Debug, Clone)]
#[must_use = "a container is started by `start`"]
pub struct ContainerEndpoint(Request);

impl Endpoint {
    /// A server in a container of `image`, where it listens on `port`.
    ///
    /// The container is published on a free port of the loopback interface and nowhere else. It ends with the
    /// last clone of the endpoint, and with this process, however that ends; for this the program `docker`
    /// must be in `PATH`. An image that is not here is pulled.
    ///
    /// ```no_run
    /// use conformance_tests::Endpoint;
    ///
    /// # async fn start() -> conformance_tests::Result<Endpoint> {
    /// Endpoint::container("valkey/valkey:8", 6379).ready_log("Ready to accept").start().await
    /// # }
    /// ```
    pub fn container(image: &str, port: u16) -> ContainerEndpoint {
        ContainerEndpoint(Request {
            label: "endpoint".to_owned(),
            image: image.to_owned(),
            contents: crate::servers::Contents::default(),
            ports: (port, 0),
            ready_log: None,
        })
    }
}

impl ContainerEndpoint {
    /// Sets a variable of the container's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.contents.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument for the image's own command, or in its place, as the image has it.
    pub fn argument(mut self, argument: &str) -> Self {
        self.0.contents.arguments.push(argument.to_owned());
        self
    }

    /// Sets a text that the server logs when it is ready. Without one it counts as ready when it has been
    /// started, and the fixture asks it by its own protocol: that the port accepts says nothing, since
    /// Docker accepts before the server does.
    pub fn ready_log(mut self, text: &str) -> Self {
        self.0.ready_log = Some(text.to_owned());
        self
    }

    /// Starts the container and waits until it is ready, for at most a minute. The endpoint's address is
    /// `127.0.0.1` and the port chosen.
    ///
    /// # Errors
    ///
    /// When no Docker daemon of this machine answers, when the image is not here and cannot be pulled, and when
    /// the container does not become ready: with the end of its log.
    pub async fn start(self) -> Result<Endpoint> {
        tokio::task::spawn_blocking(move || self.start_here()).await?
    }

    fn start_here(self) -> Result<Endpoint> {
        let Self(mut request) = self;
        let docker = Docker::find(&real_environment)?;
        let image = docker.provide(&request.image)?.name;
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port()?;
            request.ports.1 = port;
            match Running::start(&docker, &request) {
                Ok(running) => {
                    let endpoint = Endpoint::parse(&format!("127.0.0.1:{port}"))?;
                    return Ok(endpoint.provided(Provision::Container { image }).owning(running));
                }
                Err(StartError::PortTaken) => {}
                Err(StartError::Failed(error)) => {
                    return Err(format!("a container of {image}: {error}").into());
                }
            }
        }
        Err("no free port was found".into())
    }
}
