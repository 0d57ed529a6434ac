//! One supervised server process: ended when this process ends, however it ends.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// What to run.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Receives what the server prints.
    pub(super) log: PathBuf,
    /// Ends the server at once when our process is gone. For most servers `Kill`; one that has
    /// children of its own needs the signal on which it ends them too.
    pub(super) end_signal: Signal,
}

/// The signals that are sent to servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Kill,
    Terminate,
    Stop,
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
        command.arg(&launch.program).args(&launch.args);
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

    /// Sends a signal. A server that has already ended is left alone, and so is whoever has its
    /// process id now.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.has_ended()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the server is not running"));
        }
        // The shell's own `kill`: the program of that name is missing on small systems.
        let status = Command::new("sh")
            .args(["-c", r#"kill -"$1" "$2""#, "signal"])
            .arg(signal.to_string())
            .arg(self.pid.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() || self.has_ended()? {
            return Ok(());
        }
        Err(io::Error::other(format!("the signal {signal} could not be sent")))
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

fn read_pid(supervisor: &mut Child) -> io::Result<u32> {
    let stdout =
        supervisor.stdout.take().ok_or_else(|| io::Error::other("no pipe to the shell"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    line.trim().parse().map_err(|_| io::Error::other("the shell did not start the server"))
}
