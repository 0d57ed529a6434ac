//! One running container, of any image: published on the loopback interface only, labelled as ours, and
//! gone when this process is gone.

use std::collections::HashMap;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::{self, Runtime};

use super::docker::Docker;
use super::guard::Guard;
use super::image::Contents;
use super::port;

/// Labels of our containers: what it is for, and the process that it belongs to.
const FOR: &str = "session-tests.for";
const PROCESS: &str = "session-tests.process";

/// Generous, because test machines are busy.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Removes the container `$3`. It may still be in the making when we are killed, so it is looked for until it
/// has been found once, for ten seconds.
const REMOVE: &str = r#"
tries=0
until [ -n "$("$1" --host "$2" rm --force --volumes "$3" 2>/dev/null)" ] || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.2
done
"#;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What it is for, in one word.
    pub(crate) label: String,
    pub(crate) image: String,
    pub(crate) contents: Contents,
    /// The port inside and the port of the loopback interface.
    pub(crate) ports: (u16, u16),
    /// A line of its log that says that it is ready, if that is not asked by its protocol.
    pub(crate) ready_log: Option<String>,
}

/// A running container. Dropping it removes it and waits for that.
pub(crate) struct Running {
    docker: Docker,
    name: String,
    /// Both are there until the drop.
    container: Option<ContainerAsync<GenericImage>>,
    guard: Option<Guard>,
}

/// Why a container did not start.
#[derive(Debug)]
pub(crate) enum StartError {
    PortTaken,
    Failed(String),
}

impl Running {
    /// Starts a container of an image that is there.
    pub(crate) fn start(docker: &Docker, request: &Request) -> Result<Self, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError::Failed(error.to_string());
        let process = std::process::id();
        let name = format!("session-tests-{}-{process}-{:016x}", request.label, port::random());
        // Before the container, so that there is no moment without a guard.
        let arguments = [docker.client().as_os_str(), docker.host().as_ref(), name.as_ref()];
        let guard = Guard::start(REMOVE, &arguments).map_err(|error| failed(&error))?;

        let (image, tag) = split(&request.image);
        let (inside, outside) = request.ports;
        let mut image = GenericImage::new(image, tag).with_exposed_port(inside.tcp());
        if let Some(line) = &request.ready_log {
            image = image.with_wait_for(WaitFor::message_on_either_std(line.as_str()));
        }
        let mut container = image
            .with_container_name(&name)
            .with_label(FOR, &request.label)
            .with_label(PROCESS, process.to_string())
            .with_cmd(&request.contents.arguments)
            .with_startup_timeout(START_PATIENCE)
            .with_host_config_modifier(move |host| publish(host, inside, outside));
        for (variable, value) in &request.contents.environment {
            container = container.with_env_var(variable, value);
        }
        let started = wait(async move { container.start().await.map_err(chain) });
        match started.and_then(|started| started) {
            Ok(container) => {
                let (docker, container, guard) = (docker.clone(), Some(container), Some(guard));
                Ok(Self { docker, name, container, guard })
            }
            // The guard removes what has been made of it.
            Err(error) if is_port_taken(&error) => Err(StartError::PortTaken),
            Err(error) => Err(StartError::Failed(format!("{error}\n  {}", docker.log(&name)))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command of the client's on this container.
    pub(crate) fn control(&self, arguments: &[&str]) -> Result<String, String> {
        self.docker.run(&[arguments, &[&self.name]].concat())
    }

    /// Reads a file in the container; a relative path is that of its working folder.
    pub(crate) fn read(&self, path: &str) -> Result<String, String> {
        self.docker.run(&["exec", &self.name, "cat", path])
    }

    pub(crate) fn log(&self) -> String {
        self.docker.log(&self.name)
    }

    pub(crate) fn is_running(&self) -> bool {
        let state = self.control(&["container", "inspect", "--format", "{{.State.Running}}"]);
        state.is_ok_and(|state| state == "true")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let container = self.container.take();
        let removed = wait(async move {
            match container {
                Some(container) => container.rm().await.is_ok(),
                None => false,
            }
        });
        if let (Some(guard), Ok(true)) = (self.guard.take(), removed) {
            guard.dismiss();
        }
        // A guard that was not dismissed removes the container now.
    }
}

/// Publishes one port on the loopback interface, and no other.
fn publish(host: &mut HostConfig, inside: u16, outside: u16) {
    let loopback =
        PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(outside.to_string()) };
    host.publish_all_ports = Some(false);
    host.port_bindings = Some(HashMap::from([(format!("{inside}/tcp"), Some(vec![loopback]))]));
}

/// Name and tag of an image, or name and digest.
fn split(image: &str) -> (&str, &str) {
    let after_slash = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[after_slash..].rfind(':') {
        Some(colon) => (&image[..after_slash + colon], &image[after_slash + colon + 1..]),
        None => (image, "latest"),
    }
}

fn is_port_taken(error: &str) -> bool {
    ["port is already allocated", "address already in use"].iter().any(|it| error.contains(it))
}

/// An error with all its reasons.
fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        source = error.source();
    }
    text
}

/// Runs a future to its end on a runtime of our own, from any thread, one of another runtime's included.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("session-tests-containers")
            .enable_all()
            .build()
    });
    let runtime = runtime.as_ref().map_err(ToString::to_string)?;
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move {
        // Nobody waits any more only if the waiting thread panicked.
        let _ = sender.send(future.await);
    });
    receiver.recv().map_err(|_| "the call to Docker panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_of_images_have_tags_and_digests() {
        assert_eq!(split("redis"), ("redis", "latest"));
        assert_eq!(split("redis:7.4"), ("redis", "7.4"));
        assert_eq!(split("localhost:5000/redis"), ("localhost:5000/redis", "latest"));
        assert_eq!(split("localhost:5000/a/redis:7"), ("localhost:5000/a/redis", "7"));
        assert_eq!(split("redis@sha256:ab"), ("redis@sha256", "ab"));
    }
}
