//! Running other programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failures;

/// For what a command has printed and nobody has read when it ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_owned).unwrap_or(own)
}

/// The cargo that runs us, in the folder of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os().filter(|(name, _)| is_about_a_package(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether cargo has set this variable for us and about us. Another cargo must not see it: where the script that
/// builds `ring` sees other ones than last time, that and all that uses it is built again.
fn is_about_a_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Runs cargo, with its output going where ours goes.
pub(crate) fn run_cargo(arguments: &[String]) -> Result<(), String> {
    run_cargo_with(arguments, &[])
}

/// Runs cargo with more variables in its environment, and in that of all that it starts.
pub(crate) fn run_cargo_with(
    arguments: &[String],
    environment: &[(&str, PathBuf)],
) -> Result<(), String> {
    let shown = format!("cargo {}", arguments.join(" "));
    println!("$ {shown}");
    let mut command = cargo();
    command.args(arguments).envs(environment.iter().cloned());
    run(command, &shown)
}

/// Runs a command to its end, with its output going where ours goes. In a log, which is read from its end, the error
/// repeats what tests printed of their failures.
pub(crate) fn run(mut command: Command, shown: &str) -> Result<(), String> {
    let cannot = |error| format!("`{shown}` cannot be run: {error}");
    let (status, failures) = if io::stdout().is_terminal() {
        (command.status().map_err(cannot)?, String::new())
    } else {
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let (sender, failures) = mpsc::channel();
        if let Some(printed) = child.stdout.take() {
            thread::spawn(move || sender.send(failures::pass_on(printed, io::stdout())));
        }
        let status = child.wait().map_err(cannot)?;
        // Somebody who was left running may hold our end of the pipe open.
        (
            status,
            failures
                .recv_timeout(LAST_WORDS)
                .unwrap_or_else(|_| Ok(String::new()))
                .map_err(cannot)?,
        )
    };
    let about = if failures.is_empty() { String::new() } else { format!("\n{failures}") };
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status}){about}")) }
}

/// What a command prints on standard output.
pub(crate) fn output(mut command: Command, shown: &str) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` does not print UTF-8"))
}

/// The first line that a program prints about its version, or why there is none.
pub(crate) fn version(program: &OsString, argument: &str) -> String {
    let mut command = Command::new(program);
    command.arg(argument);
    match output(command, &program.to_string_lossy()) {
        Ok(text) => text.lines().next().unwrap_or_default().trim().to_owned(),
        Err(error) => error,
    }
}

/// Words as owned arguments.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_cargo_is_told_nothing_about_our_package() {
        // Cargo runs this test, and told us.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let command = cargo();
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(removed.contains(&OsStr::new("CARGO_PKG_NAME")), "{removed:?}");
        assert!(removed.contains(&OsStr::new("CARGO_MANIFEST_DIR")), "{removed:?}");
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_RETRY"] {
            assert!(!is_about_a_package(OsStr::new(kept)), "{kept}");
        }
    }
}
