//! Docker: the daemon that answers, or one that is started for a run when that was asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tools;

const PATIENCE: Duration = Duration::from_secs(60);
/// Containers go when the test process has ended, so shortly after the last test.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Runs the daemon until the pipe on standard input closes: with us, however we end.
const SUPERVISOR: &str = r#"
log=$1
shift
PATH=$PATH:/usr/sbin:/sbin
exec 3<&0
dockerd "$@" </dev/null >"$log" 2>&1 3<&- &
daemon=$!
while read -r line; do :; done <&3
kill "$daemon"
wait "$daemon"
"#;

/// Whether a daemon may be started that nobody has started yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Never,
    IfNoneAnswers,
}

/// A daemon that answers. One that was started here ends when this is dropped.
pub(crate) struct Docker {
    own: Option<Daemon>,
    /// Containers of tests that were there before: somebody else's.
    others: Vec<String>,
}

struct Daemon {
    supervisor: Child,
    folder: PathBuf,
}

impl Docker {
    /// The daemon that answers; else one that is started, if that is allowed.
    pub(crate) fn provide(start: Start, may_install: bool) -> Result<Self, String> {
        let mut there = Self { own: None, others: Vec::new() };
        match there.run(&["version", "--format", "{{.Server.Version}}"]) {
            Ok(version) => {
                println!("Docker {version} answers");
                there.others = there.containers()?;
                Ok(there)
            }
            Err(error) if start == Start::Never => Err(format!(
                "no Docker daemon answers ({error}); start it, or name its socket: DOCKER_HOST=unix:///path/to/docker.sock"
            )),
            Err(_) => Self::start(may_install),
        }
    }

    fn start(may_install: bool) -> Result<Self, String> {
        tools::provide_program("dockerd", "docker.io", may_install)?;
        let folder = std::env::temp_dir().join(format!("xtask-docker-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut command = tools::as_root("sh")?;
        command.args(["-c", SUPERVISOR, "supervisor"]).arg(folder.join("log"));
        command.arg("--host").arg(host(&folder));
        command.arg("--exec-root").arg(folder.join("exec"));
        command.arg("--pidfile").arg(folder.join("pid"));
        command.args(["--group", &tools::group()?]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let supervisor = command.spawn().map_err(|error| format!("dockerd: {error}"))?;
        let own = Some(Daemon { supervisor, folder });
        let started = Self { own, others: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match started.run(&["version", "--format", "{{.Server.Version}}"]) {
                Ok(version) => {
                    println!("Docker {version} was started and ends with this run");
                    return Ok(started);
                }
                Err(error) if Instant::now() >= deadline => {
                    return Err(format!("dockerd does not answer: {error}\n{}", started.log()));
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// What `DOCKER_HOST` has to be, if it is not as it was.
    pub(crate) fn host(&self) -> Option<String> {
        self.own.as_ref().map(|daemon| host(&daemon.folder))
    }

    /// The client program, for this daemon.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.envs(self.host().map(|host| ("DOCKER_HOST", host))).stdin(Stdio::null());
        command
    }

    /// What the client prints, or what it complains of.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command().args(arguments).output();
        let output = output.map_err(|error| format!("docker: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("docker {}: {}", arguments.first().unwrap_or(&""), said.trim()))
    }

    /// Waits a little for the last container of the tests to go, then tells what is still there.
    pub(crate) fn expect_no_leftovers(&self) -> Result<(), String> {
        let deadline = Instant::now() + LEFTOVER_PATIENCE;
        loop {
            let mut found = self.containers()?;
            found.retain(|name| !self.others.contains(name));
            if found.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("left behind:\n  {}", found.join("\n  ")));
            }
            thread::sleep(POLL);
        }
    }

    /// The names of all containers that carry the label of tests.
    fn containers(&self) -> Result<Vec<String>, String> {
        let filter = "label=session-tests.for";
        let names = self.run(&["ps", "--all", "--filter", filter, "--format", "{{.Names}}"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn log(&self) -> String {
        let folder = self.own.as_ref().map(|daemon| daemon.folder.join("log"));
        let log = folder.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // A drop has no answer; what stays is told by the check for leftovers.
        let _ = self.supervisor.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn host(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}
