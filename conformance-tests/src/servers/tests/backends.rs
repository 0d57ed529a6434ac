//! Which backend is taken, without a Docker daemon: what is asked for by name is used or refused.

use std::os::unix::net::UnixListener;

use super::{Folder, RedisEndpoint, ServerErrorKind, real_path, with};

const NATIVE: (&str, &str) = ("SESSION_TEST_BACKEND", "native");
const CONTAINER: (&str, &str) = ("SESSION_TEST_BACKEND", "container");

#[test]
fn a_container_that_was_asked_for_is_not_replaced_by_a_program() {
    let path = real_path();
    let error = RedisEndpoint::provide(&with(&[CONTAINER, ("PATH", &path)])).unwrap_err();
    let text = error.to_string();
    if cfg!(feature = "containers") {
        assert_eq!(error.kind(), ServerErrorKind::NotFound);
        for hint in [
            "no Docker daemon answers at unix:///no/such/docker.sock",
            "DOCKER_HOST=",
            "docker pull redis:",
            "SESSION_TEST_REDIS_IMAGE=",
            "cargo xtask servers images",
            "SESSION_TEST_BACKEND=native",
        ] {
            assert!(text.contains(hint), "{hint} is missing in: {text}");
        }
    } else {
        assert_eq!(error.kind(), ServerErrorKind::Unsupported);
        assert!(text.contains("the feature `containers`"), "{text}");
    }

    let image = ("SESSION_TEST_REDIS_IMAGE", "redis:7.4");
    let by_image = RedisEndpoint::provide(&with(&[image, ("PATH", &path)])).unwrap_err();
    assert_eq!(by_image.kind(), error.kind(), "an image is asked for by name, too");
}

#[test]
fn a_program_that_was_asked_for_is_not_replaced_by_a_container() {
    let daemon = Daemon::start();
    let variables = [NATIVE, ("PATH", "/nowhere"), ("DOCKER_HOST", &daemon.host)];
    let error = RedisEndpoint::provide(&with(&variables)).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::NotFound);
    assert!(error.to_string().contains("apt-get install redis-server"), "{error}");

    let program = ("SESSION_TEST_REDIS_SERVER", "/no/such/redis");
    let variables = [program, ("PATH", "/nowhere"), ("DOCKER_HOST", &daemon.host)];
    let error = RedisEndpoint::provide(&with(&variables)).unwrap_err();
    assert!(error.to_string().contains("/no/such/redis is no program"), "{error}");
    assert!(!daemon.was_asked(), "nobody asked for a container");
}

#[test]
fn where_nothing_was_asked_for_a_program_is_used_when_containers_fail() {
    let path = real_path();
    let endpoint = RedisEndpoint::provide(&with(&[("PATH", &path)])).unwrap();
    assert!(endpoint.server().is_some(), "no daemon answers");

    let daemon = Daemon::start();
    let program = endpoint.server().unwrap().program().parent().unwrap().to_str().unwrap();
    let docker_is_missing = [("PATH", program), ("DOCKER_HOST", &daemon.host)];
    if !std::path::Path::new(program).join("docker").exists() {
        let endpoint = RedisEndpoint::provide(&with(&docker_is_missing)).unwrap();
        assert!(endpoint.server().is_some(), "the daemon has no client program");
        assert_eq!(daemon.was_asked(), cfg!(feature = "containers"));
    }
}

#[test]
fn what_means_nothing_is_refused() {
    let path = real_path();
    let backend = ("SESSION_TEST_BACKEND", "podman");
    let error = RedisEndpoint::provide(&with(&[backend, ("PATH", &path)])).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::Setting);
    assert!(error.to_string().contains("SESSION_TEST_BACKEND=podman"), "{error}");

    let program = ("SESSION_TEST_REDIS_SERVER", "/usr/bin/redis-server");
    let image = ("SESSION_TEST_REDIS_IMAGE", "redis:7.4");
    let error = RedisEndpoint::provide(&with(&[program, image])).unwrap_err();
    assert_eq!(error.kind(), ServerErrorKind::Setting);
    assert!(error.to_string().contains("SESSION_TEST_BACKEND"), "{error}");
}

#[cfg(feature = "containers")]
#[test]
fn a_daemon_of_another_machine_is_no_use() {
    for (host, finding) in [
        ("tcp://192.0.2.1:2375", "it is another machine"),
        ("ssh://somebody@192.0.2.1", "neither unix:// nor tcp://"),
    ] {
        let error = RedisEndpoint::provide(&with(&[CONTAINER, ("DOCKER_HOST", host)])).unwrap_err();
        assert!(error.to_string().contains(finding), "{error}");
    }
}

/// Something that accepts connections as a daemon does, and answers none.
struct Daemon {
    host: String,
    listener: UnixListener,
    _folder: Folder,
}

impl Daemon {
    fn start() -> Self {
        let folder = Folder::create("daemon").unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { host: format!("unix://{}", socket.display()), listener, _folder: folder }
    }

    /// Whether somebody has connected since this was last asked.
    fn was_asked(&self) -> bool {
        self.listener.accept().is_ok()
    }
}
