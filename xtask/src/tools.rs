//! What the tests need from the system, and its installation on Debian and Ubuntu.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::fetch::{self, Fetch};
use crate::test::{Options, Scope};

/// A program that the tests need.
struct Tool {
    purpose: &'static str,
    /// Any one of these will do.
    programs: &'static [&'static str],
    /// Where it is when it is not in `PATH`: a folder with the version in the place of `*`.
    folders: Option<(&'static str, &'static str)>,
    /// Names the program directly.
    variable: Option<&'static str>,
    packages: &'static [&'static str],
    /// What no Debian package has; the packages are what it needs to run.
    fetch: Option<&'static Fetch>,
    homebrew: &'static str,
    version: Version,
    scope: Scope,
    /// Whether only Unix needs it; on Windows the compiler's own set-up brings the like.
    unix_only: bool,
}

/// How the version of a tool is known.
enum Version {
    /// It says so when it is called with this.
    Argument(&'static str),
    /// It says nothing; that of what is fetched is known.
    Fetched,
}

const TOOLS: &[Tool] = &[
    Tool {
        purpose: "links Rust programs and compiles the TLS library",
        programs: &["cc"],
        folders: None,
        variable: Some("CC"),
        packages: &["gcc", "libc6-dev"],
        fetch: None,
        homebrew: "gcc",
        version: Version::Argument("--version"),
        scope: Scope::MemoryOnly,
        unix_only: true,
    },
    Tool {
        purpose: "the server of the Redis tests",
        programs: &["redis-server", "valkey-server"],
        folders: None,
        variable: Some("SESSION_TEST_REDIS_SERVER"),
        packages: &["redis-server"],
        fetch: None,
        homebrew: "redis",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "the server of the PostgreSQL tests",
        programs: &["postgres"],
        folders: Some(("/usr/lib/postgresql", "bin")),
        variable: Some("SESSION_TEST_POSTGRES_SERVER"),
        packages: &["postgresql"],
        fetch: None,
        homebrew: "postgresql",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "the pooler of the PostgreSQL tests",
        programs: &["pgbouncer"],
        folders: None,
        variable: None,
        packages: &["pgbouncer"],
        fetch: None,
        homebrew: "pgbouncer",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "the server of the MongoDB tests",
        programs: &["mongod"],
        folders: None,
        variable: Some("SESSION_TEST_MONGO_SERVER"),
        packages: &["libcurl4", "libssl3", "liblzma5"],
        fetch: Some(&fetch::MONGOD),
        homebrew: "mongodb/brew/mongodb-community",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "the server of the DynamoDB tests",
        programs: &["DynamoDBLocal.jar"],
        folders: None,
        variable: Some("SESSION_TEST_DYNAMO_SERVER"),
        packages: &[],
        fetch: Some(&fetch::DYNAMODB_LOCAL),
        homebrew: "dynamodb-local",
        version: Version::Fetched,
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "runs the server of the DynamoDB tests",
        programs: &["java"],
        folders: None,
        variable: None,
        packages: &["default-jre-headless"],
        fetch: None,
        homebrew: "openjdk",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "makes certificates for the TLS tests",
        programs: &["openssl"],
        folders: None,
        variable: None,
        packages: &["openssl"],
        fetch: None,
        homebrew: "openssl",
        version: Version::Argument("version"),
        scope: Scope::Everything,
        unix_only: false,
    },
    Tool {
        purpose: "runs the Node example",
        programs: &["node"],
        folders: None,
        variable: None,
        packages: &["nodejs"],
        fetch: None,
        homebrew: "node",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: true,
    },
    Tool {
        purpose: "installs the packages of the Node example",
        programs: &["npm"],
        folders: None,
        variable: None,
        packages: &["npm"],
        fetch: None,
        homebrew: "node",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: true,
    },
    Tool {
        purpose: "runs the Python example",
        programs: &["python3"],
        folders: None,
        variable: Some("SESSION_TEST_PYTHON"),
        packages: &["python3", "python3-venv"],
        fetch: None,
        homebrew: "python",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: true,
    },
    Tool {
        purpose: "the browser of the demo's tests",
        programs: &["chromium", "google-chrome"],
        folders: None,
        variable: None,
        packages: &["chromium"],
        fetch: None,
        homebrew: "chromium",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: true,
    },
    Tool {
        purpose: "drives the browser of the demo's tests",
        programs: &["chromedriver"],
        folders: None,
        variable: Some("SESSION_TEST_CHROMEDRIVER"),
        packages: &["chromium-driver"],
        fetch: None,
        homebrew: "chromedriver",
        version: Version::Argument("--version"),
        scope: Scope::Everything,
        unix_only: true,
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
    let can_install = cfg!(target_os = "linux") && find_program("apt-get").is_some();
    if !options.install || !can_install || !missing.iter().all(|tool| tool.fits()) {
        return Err(instructions(&missing));
    }
    let packages = packages(&missing);
    if !packages.is_empty() {
        println!("To be installed with apt-get: {}", packages.join(" "));
        install(&packages)?;
    }
    for fetch in missing.iter().filter_map(|tool| tool.fetch) {
        fetch.provide()?;
    }
    let missing = self::missing(options.scope, &find);
    if missing.is_empty() { Ok(()) } else { Err(instructions(&missing)) }
}

/// Makes sure that a program is there, by installing its Debian package if that is allowed.
pub(crate) fn provide_program(
    program: &str,
    package: &'static str,
    may_install: bool,
) -> Result<(), String> {
    if find_program(program).is_some() || is_file_in_sbin(program) {
        return Ok(());
    }
    if !may_install {
        return Err(format!("{program} is missing: sudo apt-get install {package}"));
    }
    println!("To be installed with apt-get: {package}");
    install(&[package])
}

/// Where programs of root's are, which is not in everybody's `PATH`.
fn is_file_in_sbin(program: &str) -> bool {
    ["/usr/sbin", "/sbin"].iter().any(|folder| Path::new(folder).join(program).is_file())
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
            lines.push(format!("{} ({})", tool.version(&program), program.to_string_lossy()));
        }
    }
    for (kind, variable) in [
        ("Redis", "SESSION_TEST_REDIS_URL"),
        ("PostgreSQL", "SESSION_TEST_POSTGRES_URL"),
        ("MongoDB", "SESSION_TEST_MONGO_URL"),
        ("DynamoDB", "SESSION_TEST_DYNAMO_URL"),
    ] {
        if env::var_os(variable).is_some_and(|url| !url.is_empty()) {
            lines.push(format!("shared {kind} tests: the server named by {variable}"));
        }
    }
    lines
}

impl Tool {
    /// Whether it can be had here at all.
    fn fits(&self) -> bool {
        self.fetch.is_none_or(Fetch::fits)
    }

    fn version(&self, program: &OsString) -> String {
        match (&self.version, self.fetch) {
            (Version::Argument(argument), _) => command::version(program, argument),
            (Version::Fetched, Some(fetch)) if fetch.find().as_ref() == Some(program) => {
                fetch.title.to_owned()
            }
            (Version::Fetched, _) => format!("version unknown: {}", self.programs[0]),
        }
    }
}

fn report(scope: Scope, find: Lookup<'_>) {
    for tool in needed(scope) {
        let found = find(tool).map_or("missing".into(), |it| it.to_string_lossy().into_owned());
        println!("  {:<30} {}: {found}", tool.programs.join(" or "), tool.purpose);
    }
}

fn needed(scope: Scope) -> impl Iterator<Item = &'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| cfg!(unix) || !tool.unix_only)
        .filter(move |tool| tool.scope <= scope)
}

fn missing(scope: Scope, find: Lookup<'_>) -> Vec<&'static Tool> {
    needed(scope).filter(|tool| find(tool).is_none()).collect()
}

/// What is to be installed, each package once.
fn packages(missing: &[&'static Tool]) -> Vec<&'static str> {
    let clients = missing.iter().filter_map(|tool| tool.fetch).flat_map(Fetch::missing_packages);
    let own = missing.iter().flat_map(|tool| tool.packages);
    let mut packages: Vec<&str> = own.chain(clients).copied().collect();
    let mut seen = BTreeSet::new();
    packages.retain(|package| seen.insert(*package));
    packages
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
    let packages = packages(missing);
    if !packages.is_empty() {
        lines.push(format!("Debian, Ubuntu: sudo apt-get install {}", packages.join(" ")));
    }
    for fetch in missing.iter().filter_map(|tool| tool.fetch).filter(|fetch| fetch.fits()) {
        lines.push(format!("{}: `cargo xtask test` fetches it", fetch.title));
    }
    lines.push(format!("macOS: brew install {}", homebrew.join(" ")));
    lines.push(
        "Without servers (Windows, or nothing to install): cargo xtask test --memory-only. \
         Single crates can be tested on a server elsewhere: \
         SESSION_TEST_REDIS_URL=redis://host:6379 cargo test -p session-redis"
            .to_owned(),
    );
    lines.join("\n")
}

pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let mut command = as_root("sh")
        .map_err(|error| format!("{error}; run as root: apt-get install {}", packages.join(" ")))?;
    command.args(["-c", INSTALL, "install"]).args(packages);
    command::run(command, &format!("apt-get install {}", packages.join(" ")))
}

/// The program, run as root.
pub(crate) fn as_root(program: &str) -> Result<Command, String> {
    if id("-u")? == "0" {
        return Ok(Command::new(program));
    }
    let sudo = find_program("sudo").ok_or("not root, and no sudo")?;
    let mut command = Command::new(sudo);
    if !io::stdin().is_terminal() {
        // Nobody is there to type a password: fail instead of waiting for one.
        command.arg("-n");
    }
    command.arg(program);
    Ok(command)
}

/// Our group, as a number.
pub(crate) fn group() -> Result<String, String> {
    id("-g")
}

fn id(what: &str) -> Result<String, String> {
    let mut command = Command::new("id");
    command.arg(what);
    command::output(command, "id").map(|id| id.trim().to_owned())
}

fn find(tool: &Tool) -> Option<OsString> {
    let named = tool.variable.and_then(env::var_os).filter(|path| !path.is_empty());
    named
        .or_else(|| tool.programs.iter().find_map(|program| find_program(program)))
        .or_else(|| tool.programs.iter().find_map(|program| find_in(tool.folders?, program)))
        .or_else(|| tool.fetch?.find())
}

/// The program in any version's folder; which one the tests take is theirs to say.
fn find_in((folder, inside): (&str, &str), program: &str) -> Option<OsString> {
    let versions = std::fs::read_dir(folder).ok()?.flatten();
    versions
        .map(|version| version.path().join(inside).join(program))
        .find(|candidate| candidate.is_file())
        .map(Into::into)
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
        // What fetches comes last, where it is missing too.
        let packages = packages(&missing);
        assert_eq!(packages[..3], ["redis-server", "postgresql", "pgbouncer"]);
        assert_eq!(packages[3..8], MONGO_AND_JAVA);
        let text = instructions(&missing);
        for part in [
            "sudo apt-get install redis-server postgresql pgbouncer",
            "brew install redis postgresql pgbouncer",
            "SESSION_TEST_REDIS_SERVER=/path/to/redis-server",
            "DynamoDB Local 1.11.478: `cargo xtask test` fetches it",
            "SESSION_TEST_REDIS_URL=",
            "--memory-only",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    const MONGO_AND_JAVA: [&str; 5] =
        ["libcurl4", "libssl3", "liblzma5", "default-jre-headless", "openssl"];

    #[test]
    fn a_program_is_found_in_the_folder_of_its_version() {
        let folder = env::temp_dir().join(format!("xtask-tools-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("15/bin")).unwrap();
        std::fs::write(folder.join("15/bin/server"), "").unwrap();
        let path = folder.to_str().unwrap();
        let found = find_in((path, "bin"), "server").unwrap();
        assert_eq!(found, folder.join("15/bin/server"));
        assert_eq!(find_in((path, "bin"), "other"), None);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(find_in((path, "bin"), "server"), None);
    }

    #[test]
    fn memory_alone_needs_no_server() {
        let missing = missing(Scope::MemoryOnly, &|_| None);
        assert_eq!(packages(&missing), ["gcc", "libc6-dev"]);
    }
}
