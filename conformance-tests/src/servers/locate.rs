//! Finding a server's program.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{ServerError, ServerErrorKind};

/// How the programs look up an environment variable; a parameter so that tests can do without one.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A kind of server and the ways to get one.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub(super) name: &'static str,
    /// The schemes of its URLs, each with the port that is meant when none is named.
    pub(super) schemes: &'static [(&'static str, u16)],
    pub(super) url_variable: &'static str,
    pub(super) url_example: &'static str,
    pub(super) program_variable: &'static str,
    /// Any one of these will do.
    pub(super) programs: &'static [&'static str],
    /// Where programs are that are not in `PATH`. One part of a path may hold one `*`; of several
    /// matches the one with the highest number wins. A path that begins with `~cache/` is in the
    /// folder of what `cargo xtask` fetches.
    pub(super) folders: &'static [&'static str],
    /// How to install it, a line for each system.
    pub(super) install: &'static [&'static str],
}

/// The value of a variable of the real environment; an empty one counts as not set.
pub(crate) fn environment(variable: &str) -> Option<OsString> {
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
    path(environment)
        .into_iter()
        .chain(kind.folders.iter().flat_map(|pattern| folders(pattern, environment)))
        .flat_map(|folder| kind.programs.iter().map(move |name| folder.join(name)))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| {
            let programs = kind.programs.join(", ");
            let places: Vec<&str> = ["PATH"].iter().chain(kind.folders).copied().collect();
            let finding = format!(
                "{} is not set; none of {programs} is in {}",
                kind.program_variable,
                places.join(" or ")
            );
            not_found(kind, &finding)
        })
}

/// The program of this name in `PATH`.
#[cfg(all(unix, feature = "containers"))]
pub(super) fn in_path(name: &str, environment: Environment<'_>) -> Option<PathBuf> {
    path(environment).into_iter().map(|folder| folder.join(name)).find(|it| is_program(it))
}

fn path(environment: Environment<'_>) -> Vec<PathBuf> {
    std::env::split_paths(&environment("PATH").unwrap_or_default()).collect()
}

/// The folders that match, the one with the highest number first.
pub(super) fn folders(pattern: &str, environment: Environment<'_>) -> Vec<PathBuf> {
    let mut found = match pattern.strip_prefix("~cache/") {
        Some(inside) => match cache(environment) {
            Some(cache) => matching(&cache, Path::new(inside)),
            None => Vec::new(),
        },
        None => matching(Path::new("/"), Path::new(pattern.trim_start_matches('/'))),
    };
    found.sort_by_key(|path| std::cmp::Reverse(numbers(path)));
    found
}

fn matching(start: &Path, pattern: &Path) -> Vec<PathBuf> {
    pattern.iter().map(|part| part.to_string_lossy()).fold(vec![start.to_owned()], |found, part| {
        let Some((before, after)) = part.split_once('*') else {
            return found.into_iter().map(|folder| folder.join(&*part)).collect();
        };
        let fits = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
        };
        let entries = found.iter().flat_map(std::fs::read_dir).flatten().flatten();
        entries.map(|entry| entry.path()).filter(fits).collect()
    })
}

/// The numbers in a path, so that 17 comes after 9.
fn numbers(path: &Path) -> Vec<u64> {
    let text = path.to_string_lossy();
    text.split(|it: char| !it.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Where `cargo xtask` keeps what it fetches, for each user.
fn cache(environment: Environment<'_>) -> Option<PathBuf> {
    let home = || environment("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = environment("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    Some(folder.join("session-tests"))
}

/// What a command prints, for asking a program who it is.
pub(super) fn output(command: &mut Command) -> io::Result<String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The error of a kind that was not found, with all that can be done.
pub(super) fn not_found(kind: &Kind, finding: &str) -> ServerError {
    let Kind { name, url_variable, url_example, program_variable, programs, install, .. } = kind;
    ServerError::new(
        ServerErrorKind::NotFound,
        format!(
            "no {name} server to start ({finding}). Do one of these:\n\
             - install it: {install};\n\
             - name its program: {program_variable}=/path/to/{program};\n\
             - name a running server: {url_variable}={url_example} \
             (it is neither stopped nor flushed, so tests that need a server of their own still fail).",
            install = install.join(", "),
            program = programs[0],
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
