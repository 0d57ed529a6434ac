//! A server in a container: where it can be reached, what it says it is, what can be done to it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use conformance_tests::report::Provision;
use conformance_tests::servers::{RedisContainer, RedisEndpoint};
use libtest_mimic::{Failed, Trial};

use crate::child;
use crate::docker::docker;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("redis::is_reached_on_the_loopback_interface_only", loopback_only),
        Trial::test("redis::says_what_it_really_is", says_what_it_is),
        Trial::test("redis::can_be_paused_killed_stopped_and_restarted", handles),
        Trial::test("redis::is_used_unasked_where_docker_answers", used_unasked),
        Trial::test("redis::is_never_replaced_when_it_was_asked_for", never_replaced),
    ]
}

fn loopback_only() -> Result<(), Failed> {
    let server = RedisContainer::start()?;
    let port = server.port();
    assert_eq!(docker(&["port", server.name()]), format!("{port}/tcp -> 127.0.0.1:{port}"));
    assert_eq!(ask(port, "PING")?, "+PONG\r\n");

    // The address by which this machine would reach others; nothing is sent.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    if socket.connect("192.0.2.1:9").is_ok() {
        let own = socket.local_addr()?.ip();
        assert!(TcpStream::connect((own, port)).is_err(), "it is open at {own}, too");
    }

    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", server.name()]);
    let process = format!(r#""session-tests.process":"{}""#, std::process::id());
    assert!(
        labels.contains(r#""session-tests.for":"redis""#) && labels.contains(&process),
        "{labels}"
    );
    Ok(())
}

fn says_what_it_is() -> Result<(), Failed> {
    let server = RedisContainer::start()?;
    let info = ask(server.port(), "INFO server")?;
    let version = format!("redis_version:{}\r\n", server.version());
    assert!(info.contains(&version) || info.contains("valkey_version"), "{info}");

    let text = server.to_string();
    let parts = [server.product(), server.version(), server.image(), &server.port().to_string()];
    for part in parts {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    let format = r#"{{index .Config.Labels "session-tests.stand-in"}}"#;
    let label = docker(&["image", "inspect", "--format", format, server.image()]);
    assert_eq!(server.stand_in().unwrap_or_default(), label);
    assert_eq!(text.contains("not the maker's own"), !label.is_empty(), "{text}");
    Ok(())
}

fn handles() -> Result<(), Failed> {
    let server = RedisContainer::start()?;
    let (port, url) = (server.port(), server.url());
    assert_eq!(ask(port, "PING")?, "+PONG\r\n");

    server.pause()?;
    assert!(ask(port, "PING").is_err(), "it answers while it is paused");
    server.resume()?;
    assert_eq!(ask(port, "PING")?, "+PONG\r\n");

    server.pause()?;
    server.kill()?;
    assert!(ask(port, "PING").is_err(), "it answers after its end");
    assert!(server.pause().is_err(), "what does not run cannot be paused");
    server.restart()?;
    assert_eq!((server.port(), server.url()), (port, url));
    assert_eq!(ask(port, "PING")?, "+PONG\r\n");

    ask(port, "SET kept yes")?;
    ask(port, "SAVE")?;
    server.stop()?;
    assert!(ask(port, "PING").is_err(), "it answers after its end");
    server.restart()?;
    assert_eq!(ask(port, "GET kept")?, "$3\r\nyes\r\n");
    server.restart()?;
    assert_eq!(ask(port, "GET kept")?, "$3\r\nyes\r\n");
    Ok(())
}

fn used_unasked() -> Result<(), Failed> {
    let (mut child, said) = child::holding(&[]);
    assert!(said.starts_with("provided ") && said.contains("in a container of"), "{said}");
    drop(child.stdin.take());
    assert!(child.wait()?.success());

    // The same for a fixture, in this process.
    if std::env::var_os("SESSION_TEST_BACKEND").is_some_and(|backend| backend == "container") {
        let endpoint = RedisEndpoint::shared()?;
        let image = endpoint.container().ok_or("it is no container")?.image().to_owned();
        assert_eq!(*endpoint.endpoint()?.provision(), Provision::Container { image });
    }
    Ok(())
}

fn never_replaced() -> Result<(), Failed> {
    let nowhere = "session-tests/no-such-image:none";
    let image = [("SESSION_TEST_REDIS_IMAGE", nowhere)];
    let backend = [("SESSION_TEST_BACKEND", "container"), image[0]];
    for variables in [&image[..], &backend[..]] {
        let output = child::run(variables);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.starts_with("refused "), "{said}");
        for part in
            ["SESSION_TEST_REDIS_IMAGE names an image", nowhere, "cargo xtask servers images"]
        {
            assert!(said.contains(part), "{part} is missing in: {said}");
        }
    }

    let native = [("SESSION_TEST_BACKEND", "native")];
    let (mut child, said) = child::holding(&native);
    assert!(said.contains("started from"), "{said}");
    drop(child.stdin.take());
    assert!(child.wait()?.success());
    Ok(())
}

/// Sends one inline command and answers the reply's beginning, or an error after half a second of silence.
fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    write!(stream, "{command}\r\n")?;
    let mut buffer = vec![0; 1 << 14];
    match stream.read(&mut buffer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        read => Ok(String::from_utf8_lossy(&buffer[..read]).into_owned()),
    }
}
