//! What the tests need from the system, and its installation on Debian and Ubuntu.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::Command;

use crate::command;
use crate::test::{Options, Scope};

/// A program that the tests need.
struct Tool {
    purpose: &'static str,
    /// Any one of these will do.
    programs: &'static [&'static str],
    /// Names the program directly.
    variable: Option<&'static str>,
    packages: &'static [&'static str],
    homebrew: &'static str,
    version_argument: &'static str,
    scope: Scope,
    /// Whether only Unix needs it; on Windows the compiler's own set-up brings the like.
    unix_only: bool,
}

const TOOLS: &[Tool] = &[
    Tool {
        purpose: "links Rust programs and compiles the TLS library",
        programs: &["cc"],
        variable: Some("CC"),
        packages: &["gcc", "libc6-dev"],
        homebrew: "gcc",
        version_argument: "--version",
        scope: Scope::MemoryOnly,
        unix_only: true,
    },
    Tool {
        purpose: "the server of the Redis tests",
        programs: &["redis-server", "valkey-server"],
        variable: Some("SESSION_TEST_REDIS_SERVER"),
        packages: &["redis-server"],
        homebrew: "redis",
        version_argument: "--version",
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "makes certificates for the TLS tests",
        programs: &["openssl"],
        variable: None,
        packages: &["openssl"],
        homebrew: "openssl",
        version_argument: "version",
        scope: Scope::Everything,
        unix_only: false,
    },
];

/// Installs packages. A package that brings a service would start it; the policy file keeps it from
/// that for the moment of the installation.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update || echo "the package lists could not be renewed; the present ones are used"
apt-get -q install -y --no-install-recommends "$@"
"#;

type Lookup<'a> = &'a dyn Fn(&Tool) -> Option<OsString>;

/// Makes sure that every tool is there, by installing what is missing if that is allowed.
pub(crate) fn provide(options: Options) -> Result<(), String> {
    report(options.scope, &find);
    let missing = missing(options.scope, &find);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = packages(&missing);
    if !options.install || find_program("apt-get").is_none() || !cfg!(target_os = "linux") {
        return Err(instructions(&missing));
    }
    println!("To be installed with apt-get: {}", packages.join(" "));
    install(&packages)?;
    let missing = self::missing(options.scope, &find);
    if missing.is_empty() { Ok(()) } else { Err(instructions(&missing)) }
}

/// The versions of the compiler, of the system and of each tool that is there.
pub(crate) fn versions() -> Vec<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut lines = vec![
        command::version(&rustc, "--version"),
        command::version(&cargo, "--version"),
        format!("{} on {}", system(), env::consts::ARCH),
    ];
    for tool in TOOLS {
        if let Some(program) = find(tool) {
            let version = command::version(&program, tool.version_argument);
            lines.push(format!("{version} ({})", program.to_string_lossy()));
        }
    }
    if env::var_os("SESSION_TEST_REDIS_URL").is_some_and(|url| !url.is_empty()) {
        lines.push("shared Redis tests: the server named by SESSION_TEST_REDIS_URL".to_owned());
    }
    lines
}

fn report(scope: Scope, find: Lookup<'_>) {
    for tool in needed(scope) {
        let found = find(tool).map_or("missing".into(), |it| it.to_string_lossy().into_owned());
        println!("  {:<32} {} ({})", found, tool.programs.join(" or "), tool.purpose);
    }
}

fn needed(scope: Scope) -> impl Iterator<Item = &'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| cfg!(unix) || !tool.unix_only)
        .filter(move |tool| scope == Scope::Everything || tool.scope == scope)
}

fn missing(scope: Scope, find: Lookup<'_>) -> Vec<&'static Tool> {
    needed(scope).filter(|tool| find(tool).is_none()).collect()
}

fn packages(missing: &[&'static Tool]) -> Vec<&'static str> {
    missing.iter().flat_map(|tool| tool.packages).copied().collect()
}

fn instructions(missing: &[&'static Tool]) -> String {
    let mut lines = vec!["the tests need programs that are not here:".to_owned()];
    for tool in missing {
        lines.push(format!("- {}: {}", tool.programs.join(" or "), tool.purpose));
        if let Some(variable) = tool.variable {
            lines.push(format!("  (or name one: {variable}=/path/to/{})", tool.programs[0]));
        }
    }
    let homebrew: Vec<&str> = missing.iter().map(|tool| tool.homebrew).collect();
    lines.push(format!("Debian, Ubuntu: sudo apt-get install {}", packages(missing).join(" ")));
    lines.push(format!("macOS: brew install {}", homebrew.join(" ")));
    lines.push(
        "Without servers (Windows, or nothing to install): cargo xtask test --memory-only. \
         Single crates can be tested on a server elsewhere: \
         SESSION_TEST_REDIS_URL=redis://host:6379 cargo test -p session-redis"
            .to_owned(),
    );
    lines.join("\n")
}

fn install(packages: &[&str]) -> Result<(), String> {
    let mut command = if is_root()? {
        Command::new("sh")
    } else {
        let sudo = find_program("sudo").ok_or_else(|| {
            format!("not root, and no sudo; run as root: apt-get install {}", packages.join(" "))
        })?;
        let mut sudo = Command::new(sudo);
        if !io::stdin().is_terminal() {
            // Nobody is there to type a password: fail instead of waiting for one.
            sudo.arg("-n");
        }
        sudo.arg("sh");
        sudo
    };
    command.args(["-c", INSTALL, "install"]).args(packages);
    command::run(command, &format!("apt-get install {}", packages.join(" ")))
}

fn is_root() -> Result<bool, String> {
    let mut command = Command::new("id");
    command.arg("-u");
    command::output(command, "id -u").map(|uid| uid.trim() == "0")
}

fn find(tool: &Tool) -> Option<OsString> {
    let named = tool.variable.and_then(env::var_os).filter(|path| !path.is_empty());
    named.or_else(|| tool.programs.iter().find_map(|program| find_program(program)))
}

fn find_program(program: &str) -> Option<OsString> {
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
        .map(Into::into)
}

fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_way_to_get_it() {
        let missing = missing(Scope::Everything, &|tool| {
            (tool.programs[0] == "cc").then(|| OsString::from("/usr/bin/cc"))
        });
        assert_eq!(packages(&missing), ["redis-server", "openssl"]);
        let text = instructions(&missing);
        for part in [
            "sudo apt-get install redis-server openssl",
            "brew install redis openssl",
            "SESSION_TEST_REDIS_SERVER=/path/to/redis-server",
            "SESSION_TEST_REDIS_URL=",
            "--memory-only",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn memory_alone_needs_no_server() {
        let missing = missing(Scope::MemoryOnly, &|_| None);
        assert_eq!(packages(&missing), ["gcc", "libc6-dev"]);
    }
}
