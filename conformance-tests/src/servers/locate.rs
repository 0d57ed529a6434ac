//! Finding a server's program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{ServerError, ServerErrorKind};

/// How the programs look up an environment variable; a parameter so that tests can do without one.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A kind of server and the ways to get one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) url_variable: &'static str,
    pub(super) url_example: &'static str,
    pub(super) program_variable: &'static str,
    pub(super) programs: &'static [&'static str],
    pub(super) debian: &'static str,
    pub(super) homebrew: &'static str,
}

/// The value of a variable of the real environment; an empty one counts as not set.
pub(super) fn environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// The program of the environment, else the first one found in `PATH`.
pub(super) fn program(kind: &Kind, environment: Environment<'_>) -> Result<PathBuf, ServerError> {
    if let Some(path) = environment(kind.program_variable).map(PathBuf::from) {
        return if is_program(&path) {
            Ok(path)
        } else {
            Err(not_found(
                kind,
                &format!("{}={} is no program", kind.program_variable, path.display()),
            ))
        };
    }
    let path = environment("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| kind.programs.iter().map(move |name| folder.join(name)))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| {
            let programs = kind.programs.join(", ");
            not_found(
                kind,
                &format!("{} is not set, PATH has none of: {programs}", kind.program_variable),
            )
        })
}

fn not_found(kind: &Kind, finding: &str) -> ServerError {
    let Kind { name, url_variable, url_example, program_variable, debian, homebrew, .. } = kind;
    ServerError::new(
        ServerErrorKind::NotFound,
        format!(
            "no {name} server to start ({finding}). Do one of these:\n\
             - install it: `apt-get install {debian}` (Debian, Ubuntu), `brew install {homebrew}` (macOS);\n\
             - name its program: {program_variable}=/path/to/{program};\n\
             - name a running server: {url_variable}={url_example} \
             (it is neither stopped nor flushed, so tests that need a server of their own still fail).",
            program = kind.programs[0],
        ),
    )
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
