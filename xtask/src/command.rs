//! Running other programs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    command
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

/// Runs a command to its end, with its output going where ours goes.
pub(crate) fn run(mut command: Command, shown: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}` cannot be run: {error}")),
    }
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
