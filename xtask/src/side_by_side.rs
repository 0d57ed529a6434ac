//! Suites that run side by side, since they wait as much as they work. What one prints is kept in a file and shown in
//! one piece when it has ended.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::command::root;
use crate::failures;

/// Few enough for the time limits of the rules, also on two cores.
const AT_ONCE: usize = 2;

/// A program, and what it is called.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// Runs all of them to their ends, whatever becomes of the others. The error repeats what tests printed of their
/// failures.
pub(crate) fn run(jobs: Vec<Job>) -> Result<(), String> {
    let logs = root().join("target").join("test-logs");
    fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let count = jobs.len();
    println!("{count} suites, {AT_ONCE} at a time; their output: target/test-logs");
    run_with(jobs, &logs, io::stdout())
}

fn run_with(jobs: Vec<Job>, logs: &Path, shown: impl Write + Send) -> Result<(), String> {
    let (jobs, shown) = (Mutex::new(jobs.into_iter()), Mutex::new(shown));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    if let Err(failure) = job.run(logs, &shown) {
                        locked(&failures).push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Not in the head of a loop, where the lock would be held while the job runs.
fn next(jobs: &Mutex<impl Iterator<Item = Job>>) -> Option<Job> {
    locked(jobs).next()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    fn run(mut self, logs: &Path, shown: &Mutex<impl Write>) -> Result<(), String> {
        let name = self.name;
        let path = logs.join(name.replace([' ', '/'], "-"));
        let told = |error: io::Error| format!("{name}: {error}");
        let log = File::create(&path).map_err(told)?;
        self.command.stdin(Stdio::null()).stderr(log.try_clone().map_err(told)?).stdout(log);
        let start = Instant::now();
        let status = self.command.status().map_err(told)?;
        let time = start.elapsed().as_secs_f64();
        let word = if status.success() { "ok" } else { "FAILED" };
        let printed = File::open(&path).map_err(told)?;
        // Held to the end, so that no other program comes between.
        let mut shown = locked(shown);
        let failures = failures::pass_on(printed, &mut *shown).map_err(told)?;
        // When nobody reads us any more, the exit code still tells the result.
        let _ = writeln!(shown, "--- {name}: {word} in {time:.1} s").and_then(|()| shown.flush());
        if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})\n{failures}")) }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn job(name: &str, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job { name: name.to_owned(), command }
    }

    /// A folder of one's own.
    fn folder(name: &str) -> PathBuf {
        let name = format!("session-xtask-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn several_run_at_the_same_time() {
        let folder = folder("pair");
        // Each ends well when the other begins while it runs.
        let meet = |own: &str, other: &str| {
            let (files, begun) = (folder.display(), format!("[ -e {other} ] && exit 0"));
            format!(
                "cd {files}; touch {own}; for i in $(seq 1000); do {begun}; sleep 0.01; done; exit 1"
            )
        };
        let pair = vec![job("a", &meet("1", "2")), job("b", &meet("2", "1"))];
        assert_eq!(run_with(pair, &folder, io::sink()), Ok(()));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn all_run_and_what_failed_is_told_at_the_end() {
        let folder = folder("failed");
        let failed = "echo one >&2; printf 'failures:\n    why\n\ntest result: FAILED\n'; exit 3";
        let jobs = vec![job("a b", failed), job("c", "echo two"), job("d", "exit 4")];
        let mut shown = Vec::new();
        let error = run_with(jobs, &folder, &mut shown).unwrap_err();
        for part in ["a b failed", "    why", "d failed"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("c failed") && !error.contains("one"), "{error}");
        let shown = String::from_utf8(shown).unwrap();
        for part in ["one\nfailures:", "--- a b: FAILED in ", "two\n--- c: ok in ", "--- d: FAILED"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(fs::read_to_string(folder.join("a-b")).unwrap().contains("why"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
