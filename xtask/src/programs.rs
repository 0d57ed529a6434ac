//! Test programs of the workspace, each ready to run as cargo would run it.
//!
//! They are built with all features of all packages, as the tests are, so that nothing is built twice.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{self, words};

/// What `cargo test` would run.
#[derive(Debug)]
pub(crate) struct Program {
    /// The folder of its package.
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds the targets, `--test NAME`, of all packages.
pub(crate) fn build(targets: &str) -> Result<Vec<Program>, String> {
    let line = format!("test --workspace --all-features {targets} --no-run");
    println!("$ cargo {line}");
    let mut cargo = command::cargo();
    cargo.args(words(&line)).args(["--message-format", "json-render-diagnostics"]);
    Program::parse_all(&command::output(cargo, &format!("cargo {line}"))?)
}

impl Program {
    /// The folder of its package, which has its name.
    pub(crate) fn is_of(&self, package: &str) -> bool {
        self.folder.file_name().is_some_and(|name| name == package)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }

    /// From the messages of cargo, a line each.
    fn parse_all(messages: &str) -> Result<Vec<Self>, String> {
        let told = |error| format!("cargo's messages: {error}");
        let messages = messages.lines().map(|line| serde_json::from_str(line).map_err(told));
        messages.filter_map(|message| message.map(|it| Self::parse(&it)).transpose()).collect()
    }

    fn parse(message: &Value) -> Option<Self> {
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        Some(Self { folder, executable: message["executable"].as_str()?.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_with_tests_are_found_and_nothing_else() {
        let artifact = |is_test: bool| {
            json!({
                "reason": "compiler-artifact",
                "manifest_path": "/code/session-core/Cargo.toml",
                "target": { "kind": ["test"], "name": "it" },
                "profile": { "test": is_test },
                "executable": "/somewhere/it-0123",
            })
        };
        let end = json!({ "reason": "build-finished", "success": true });
        let messages = format!("{}\n{}\n{end}\n", artifact(false), artifact(true));
        let programs = Program::parse_all(&messages).unwrap();
        let [program] = programs.as_slice() else { panic!("{programs:?}") };
        assert!(program.is_of("session-core") && !program.is_of("core"));
        let command = program.command();
        assert_eq!(command.get_program(), "/somewhere/it-0123");
        assert_eq!(command.get_current_dir(), Some(Path::new("/code/session-core")));
        assert!(Program::parse_all("warning: no JSON").unwrap_err().contains("messages"));
    }
}
