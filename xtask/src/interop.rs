//! `cargo xtask interop`: the packages of the programs in other languages that share sessions with ours.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{root, run};
use crate::tools;

/// Puts them beside the programs, in the versions that these name. Done already, it is quick.
pub(crate) fn prepare(may_install: bool) -> Result<(), String> {
    let folder = root().join("examples/interop");
    let (node, python) = (folder.join("node"), folder.join("python"));
    if may_install {
        npm(&node)?;
        return pip(&python);
    }
    if node.join("node_modules/redis").exists() && interpreter(&python).exists() {
        return Ok(());
    }
    Err("the packages of the Node and Python examples are missing; this installs them: \
         cargo xtask interop"
        .to_owned())
}

fn npm(folder: &Path) -> Result<(), String> {
    let arguments = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    run(npm, &format!("npm {}", arguments.join(" ")))
}

fn pip(folder: &Path) -> Result<(), String> {
    if !interpreter(folder).exists() && !make_environment(folder) {
        // On Debian and Ubuntu a package of its own, which Python works without.
        tools::install(&["python3-venv"])?;
        if !make_environment(folder) {
            return Err("`python3 -m venv` makes no environment".to_owned());
        }
    }
    let arguments =
        ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"];
    let mut pip = Command::new(interpreter(folder));
    pip.args(arguments).current_dir(folder);
    run(pip, &format!("python {}", arguments.join(" ")))
}

fn make_environment(folder: &Path) -> bool {
    let python = env::var_os("SESSION_TEST_PYTHON").filter(|path| !path.is_empty());
    let mut environment = Command::new(python.unwrap_or_else(|| "python3".into()));
    environment.args(["-m", "venv", "--clear", ".venv"]).current_dir(folder).stdout(Stdio::null());
    environment.status().is_ok_and(|status| status.success())
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join(".venv/bin/python")
}
