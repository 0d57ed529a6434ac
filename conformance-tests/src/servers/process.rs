//! One supervised server process: ended when this process ends, however it ends.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::user::User;

/// Runs the server, tells its process id, and ends it when the pipe on standard input closes.
///
/// A second shell watches the pipe, because the first one waits for the server: it alone may collect
/// the server's end, so the process id stays ours until then, and its own end tells ours of it.
const SUPERVISOR: &str = r#"
end_signal=$1
log=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
{
    while read -r line; do :; done
    kill -CONT "$server"
    kill -"$end_signal" "$server"
} <&3 >/dev/null 2>&1 &
lifeline=$!
echo "$server"
wait "$server"
status=$?
kill "$lifeline" 2>/dev/null
exit "$status"
"#;

const POLL: Duration = Duration::from_millis(2);
/// A process is frozen at its next step; this is for one that ends meanwhile.
const FREEZES_WITHIN: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug)]
pub(super) struct Launch {
    /// The program, its arguments, environment and working folder.
    pub(super) command: Command,
    /// Whom it runs as, if not as we do.
    pub(super) user: Option<User>,
    /// Receives what the server prints.
    pub(super) log: PathBuf,
    /// Ends the server at once when our process is gone. For most servers `Kill`; one that has
    /// children of its own needs the signal on which it ends them too.
    pub(super) end_signal: Signal,
}

/// The signals that are sent to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends a process that has no say in it.
    Kill,
    /// Asks for the end.
    Terminate,
    /// Asks for the end without waiting for clients; PostgreSQL tells the two apart.
    Interrupt,
    /// Asks for the end at once; a PostgreSQL server ends its own processes first.
    Quit,
    /// Freezes.
    Stop,
    /// Undoes `Stop`.
    Continue,
}

/// A running server process. Dropping it ends the server and waits for that.
#[derive(Debug)]
pub(super) struct Process {
    supervisor: Child,
    pid: u32,
}

impl Process {
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(SUPERVISOR).arg("supervisor");
        command.arg(launch.end_signal.to_string()).arg(&launch.log);
        command.arg(launch.command.get_program()).args(launch.command.get_args());
        for (name, value) in launch.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = launch.command.get_current_dir() {
            command.current_dir(folder);
        }
        if let Some(user) = &launch.user {
            user.run(&mut command);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = detach(&mut command).spawn()?;
        match read_pid(&mut supervisor) {
            Ok(pid) => Ok(Self { supervisor, pid }),
            Err(error) => {
                drop(supervisor.stdin.take());
                let _ = supervisor.wait();
                Err(error)
            }
        }
    }

    /// The process id of the server itself, not of the shell around it.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.supervisor.try_wait()?.is_some())
    }

    /// Sends a signal: one that needs the server's help to it alone, one that it cannot resist to the
    /// processes that it started too. A server that has already ended is left alone, and so is whoever
    /// has its process id now.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.has_ended()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the server is not running"));
        }
        match signal {
            // Frozen, it starts no more while they are counted.
            Signal::Kill | Signal::Stop => {
                self.send(Signal::Stop, &[self.pid])?;
                self.wait_until_frozen();
            }
            Signal::Continue => {}
            Signal::Terminate | Signal::Interrupt | Signal::Quit => {
                return self.send(signal, &[self.pid]);
            }
        }
        self.send(signal, &family(self.pid))
    }

    /// Sends a signal to the server, which comes first, and to others of its family.
    fn send(&mut self, signal: Signal, family: &[u32]) -> io::Result<()> {
        // The shell's own `kill`: the program of that name is missing on small systems. A child that has
        // just ended is no failure.
        let status = Command::new("sh")
            .args([
                "-c",
                r#"signal=$1; server=$2; shift 2
                kill -"$signal" "$server" || exit
                for child in "$@"; do kill -"$signal" "$child" 2>/dev/null; done; exit 0"#,
                "signal",
            ])
            .arg(signal.to_string())
            .args(family.iter().map(u32::to_string))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() || self.has_ended()? {
            return Ok(());
        }
        Err(io::Error::other(format!("the signal {signal} could not be sent")))
    }

    /// The signal has been sent, and may not have arrived: a process that is being started may still appear.
    fn wait_until_frozen(&self) {
        let deadline = Instant::now() + FREEZES_WITHIN;
        while state(self.pid) != Some('T') && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end of the server; `false` if it still runs after `patience`.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        while !self.has_ended()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // The supervisor ends with the server. A drop has no answer.
        let _ = self.supervisor.wait();
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        })
    }
}

/// Puts the command in a process group of its own, so that Ctrl-C and a test runner that ends a whole
/// group reach us first and the shells can still clean up.
#[cfg(unix)]
pub(super) fn detach(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}

#[cfg(not(unix))]
pub(super) fn detach(command: &mut Command) -> &mut Command {
    command
}

/// What a process does, as `ps` says it: `T` is frozen. Nothing if there is none, or nobody tells.
fn state(pid: u32) -> Option<char> {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        let pid = pid.to_string();
        let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid]).stdin(Stdio::null()).output();
        return String::from_utf8_lossy(&ps.ok()?.stdout).trim().chars().next();
    };
    // `pid (name) state …`, where a name may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A process and all that it started, itself first.
fn family(pid: u32) -> Vec<u32> {
    let all = processes();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(all.iter().filter(|(_, its)| *its == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// Every process of this machine with its parent. Where there is no `/proc`, `ps` tells.
fn processes() -> Vec<(u32, u32)> {
    let numbers: Vec<String> = match std::fs::read_dir("/proc/self").and(std::fs::read_dir("/proc"))
    {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
            .filter_map(|stat| {
                // `pid (name) state parent …`, where a name may hold anything.
                let (pid, rest) = stat.split_once(' ')?;
                let (_, rest) = rest.rsplit_once(") ")?;
                Some(format!("{pid} {}", rest.split(' ').nth(1)?))
            })
            .collect(),
        Err(_) => Command::new("ps")
            .args(["-A", "-o", "pid=,ppid="])
            .stdin(Stdio::null())
            .output()
            .map(|output| {
                String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
            })
            .unwrap_or_default(),
    };
    numbers
        .iter()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect()
}

fn read_pid(supervisor: &mut Child) -> io::Result<u32> {
    let stdout =
        supervisor.stdout.take().ok_or_else(|| io::Error::other("no pipe to the shell"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other("the shell did not start the server"))
}
