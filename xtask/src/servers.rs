//! `cargo xtask servers up|down|status`: real servers for people to try things on.
//!
//! They are the servers that tests would get, held by the program `servers` of the suite in the background. Its file is
//! there as long as they are; that it is removed ends them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{self, root, words};

const KINDS: &[&str] = &["redis", "postgres", "mongo", "dynamo"];

const END_PATIENCE: Duration = Duration::from_secs(30);
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

const BUILD: &str = "build --quiet -p conformance-tests --features containers --example servers";
const RUN: &str = "run --quiet -p conformance-tests --features containers --example servers --";

/// Which servers, and in what they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    kinds: Vec<&'static str>,
    /// `native` or `container`; else what is there.
    backend: Option<&'static str>,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { kinds: Vec::new(), backend: None };
        for argument in arguments {
            let backend = match *argument {
                "--native" => "native",
                "--containers" => "container",
                name => {
                    let kind = KINDS.iter().find(|kind| **kind == name).ok_or_else(|| {
                        format!("no such server: {name}; there are {}", KINDS.join(", "))
                    })?;
                    if !options.kinds.contains(kind) {
                        options.kinds.push(kind);
                    }
                    continue;
                }
            };
            if options.backend.is_some_and(|other| other != backend) {
                return Err("--native and --containers exclude each other".to_owned());
            }
            options.backend = Some(backend);
        }
        if options.kinds.is_empty() {
            options.kinds = KINDS.to_vec();
        }
        Ok(options)
    }
}

/// Where the program in the background says what runs.
struct Holder {
    folder: PathBuf,
}

/// One server, as the program tells of it.
#[derive(Debug)]
struct Up {
    kind: String,
    what: String,
    url: String,
    variable: String,
    address: Option<SocketAddr>,
}

/// Starts the servers, and returns when they serve.
pub(crate) fn up(options: &Options) -> Result<(), String> {
    Holder::of_this_workspace().start(options, &[])
}

/// Ends what `up` has started.
pub(crate) fn down() -> Result<(), String> {
    Holder::of_this_workspace().end()
}

/// Tells what `up` has started, and fails if a part of it does not answer.
pub(crate) fn status() -> Result<(), String> {
    Holder::of_this_workspace().tell()
}

/// All three, in a folder of the run's own: for `cargo xtask test`.
pub(crate) fn check(environment: &[(&'static str, PathBuf)], folder: &Path) -> Result<(), String> {
    let holder = Holder { folder: folder.join("servers-for-people") };
    let options = Options::parse(&["redis", "postgres"])?;
    holder.start(&options, environment)?;
    let servers = holder.read()?;
    let outcome = if servers.len() == 2 { holder.tell() } else { Err(format!("{servers:?}")) };
    let twice = holder.start(&options, environment);
    holder.end()?;
    outcome?;
    if twice.is_ok() {
        return Err("servers were started over others".to_owned());
    }
    match servers.iter().find(|server| server.answers()) {
        Some(server) => Err(format!("{} answers after its end", server.what)),
        None => fs::remove_dir_all(&holder.folder).map_err(|error| error.to_string()),
    }
}

impl Holder {
    fn of_this_workspace() -> Self {
        Self { folder: root().join("target").join("servers") }
    }

    /// There as long as the servers are to run.
    fn file(&self) -> PathBuf {
        self.folder.join("up.jsonl")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn start(
        &self,
        options: &Options,
        environment: &[(&'static str, PathBuf)],
    ) -> Result<(), String> {
        if self.read()?.iter().any(Up::answers) {
            self.tell()?;
            return Err("these run already; `cargo xtask servers down` ends them".to_owned());
        }
        // Of servers that a crash of the machine has ended.
        self.remove_file()?;
        command::run_cargo(&words(BUILD))?;
        fs::create_dir_all(&self.folder).map_err(|error| self.told(&error))?;
        let mut child = self.spawn(options, environment)?;
        println!("starting {} ...", options.kinds.join(", "));
        // Each server has its own patience, and an image that is pulled may take as long as it likes.
        while !self.file().exists() {
            if child.try_wait().map_err(|error| error.to_string())?.is_some() {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                return Err(format!("the servers did not start\n{}", log.trim()));
            }
            thread::sleep(POLL);
        }
        self.tell()?;
        println!("\nFor tests and examples:");
        for server in self.read()? {
            println!("  export {}='{}'", server.variable, server.url);
        }
        println!("\nThey run until `cargo xtask servers down`.");
        Ok(())
    }

    /// The program that holds the servers. It lives on after us, and no signal of our terminal reaches it.
    fn spawn(
        &self,
        options: &Options,
        environment: &[(&'static str, PathBuf)],
    ) -> Result<Child, String> {
        let log = File::create(self.log()).map_err(|error| self.told(&error))?;
        let errors = log.try_clone().map_err(|error| self.told(&error))?;
        let mut command = command::cargo();
        command.args(words(RUN)).arg(self.file()).args(&options.kinds);
        command.envs(environment.iter().cloned());
        command.envs(options.backend.map(|backend| ("SESSION_TEST_BACKEND", backend)));
        for kind in KINDS {
            // What is given there is not ours to start.
            command.env_remove(format!("SESSION_TEST_{}_URL", kind.to_uppercase()));
        }
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        in_the_background(&mut command);
        command.spawn().map_err(|error| format!("cargo: {error}"))
    }

    fn end(&self) -> Result<(), String> {
        let servers = self.read()?;
        if servers.is_empty() {
            println!("no servers are up");
        }
        self.remove_file()?;
        let deadline = Instant::now() + END_PATIENCE;
        for server in servers {
            while server.answers() {
                if Instant::now() >= deadline {
                    return Err(format!("{}: {} does not end", server.kind, server.what));
                }
                thread::sleep(POLL);
            }
            println!("{}: ended", server.kind);
        }
        Ok(())
    }

    fn tell(&self) -> Result<(), String> {
        let servers = self.read()?;
        if servers.is_empty() {
            println!("no servers are up");
        }
        let mut silent = Vec::new();
        for server in servers {
            let answers = server.answers();
            let word = if answers { "answers" } else { "DOES NOT ANSWER" };
            println!("{:<9} {word}  {}  {}", server.kind, server.url, server.what);
            silent.extend((!answers).then_some(server.kind));
        }
        if silent.is_empty() {
            return Ok(());
        }
        let silent = silent.join(", ");
        Err(format!("no answer from {silent}; `cargo xtask servers down` clears them away"))
    }

    fn read(&self) -> Result<Vec<Up>, String> {
        match fs::read_to_string(self.file()) {
            Ok(text) => text
                .lines()
                .map(|line| {
                    Up::parse(line)
                        .ok_or_else(|| format!("{}: cannot be read: {line}", self.file().display()))
                })
                .collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.told(&error)),
        }
    }

    fn remove_file(&self) -> Result<(), String> {
        match fs::remove_file(self.file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.told(&error)),
            _ => Ok(()),
        }
    }

    fn told(&self, error: &std::io::Error) -> String {
        format!("{}: {error}", self.folder.display())
    }
}

impl Up {
    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| Some(line.get(name)?.as_str()?.to_owned());
        let address = text("address").and_then(|address| address.parse().ok());
        Some(Self {
            kind: text("kind")?,
            what: text("what")?,
            url: text("url")?,
            variable: text("variable")?,
            address,
        })
    }

    fn answers(&self) -> bool {
        let connect = |address| TcpStream::connect_timeout(&address, CONNECT_PATIENCE);
        self.address.is_some_and(|address| connect(address).is_ok())
    }
}

#[cfg(unix)]
fn in_the_background(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn in_the_background(_: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let all = Options::parse(&[]).unwrap();
        assert_eq!((all.kinds.as_slice(), all.backend), (KINDS, None));
        let some = Options::parse(&["mongo", "--native", "mongo"]).unwrap();
        assert_eq!(some, Options { kinds: vec!["mongo"], backend: Some("native") });
        for (bad, word) in [("rediss", "rediss"), ("--native --containers", "exclude")] {
            let bad: Vec<&str> = bad.split(' ').collect();
            assert!(Options::parse(&bad).unwrap_err().contains(word), "{bad:?}");
        }
    }

    #[test]
    fn what_does_not_answer_is_told_and_cleared_away() {
        let folder = std::env::temp_dir().join(format!("xtask-servers-{}", std::process::id()));
        let holder = Holder { folder: folder.clone() };
        holder.tell().unwrap();
        holder.end().unwrap();

        fs::create_dir_all(&folder).unwrap();
        // A port that nobody listens on: it was ours until this line.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let line = serde_json::json!({
            "kind": "redis", "what": "Redis 7", "url": format!("redis://{port}"),
            "variable": "SESSION_TEST_REDIS_URL", "address": port.to_string(),
        });
        fs::write(holder.file(), format!("{line}\n")).unwrap();
        assert!(holder.tell().unwrap_err().contains("redis"));
        holder.end().unwrap();
        assert!(!holder.file().exists());

        fs::write(holder.file(), "torn").unwrap();
        assert!(holder.tell().unwrap_err().contains("torn"));
        fs::remove_dir_all(folder).unwrap();
    }
}
