//! This program as a process of its own, with an environment of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitCode, Output, Stdio};

use conformance_tests::servers::RedisEndpoint;

/// Set in a child: it provides the shared server, tells what it is, and holds it while its standard input
/// is open.
const CHILD: &str = "SESSION_TEST_CHILD";

/// Plays the child's part, if this process is one.
pub(crate) fn play() -> Option<ExitCode> {
    std::env::var_os(CHILD)?;
    match RedisEndpoint::shared() {
        Ok(endpoint) => {
            println!("provided {endpoint}");
            // An end of the input is all that is waited for.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            Some(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!("refused {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// A child with these variables, and with no other ones that choose a backend.
fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("our own program"));
    for chosen in ["BACKEND", "REDIS_URL", "REDIS_SERVER", "REDIS_IMAGE"] {
        command.env_remove(format!("SESSION_TEST_{chosen}"));
    }
    command.env(CHILD, "1").envs(variables.iter().copied());
    command
}

/// Runs a child to its end.
pub(crate) fn run(variables: &[(&str, &str)]) -> Output {
    command(variables).stdin(Stdio::null()).output().expect("a child")
}

/// Starts a child without waiting for what it does.
pub(crate) fn start(variables: &[(&str, &str)]) -> Child {
    let mut command = command(variables);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("a child")
}

/// Kills a child and collects it.
pub(crate) fn kill(mut child: Child) {
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
}

/// Starts a child and waits until it has its server; answers what it says of it.
pub(crate) fn holding(variables: &[(&str, &str)]) -> (Child, String) {
    let mut child = start(variables);
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let said = lines.map_while(Result::ok).next().expect("the child says what it has");
    (child, said)
}
