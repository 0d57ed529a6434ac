//! Docker as a person sees it.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// What `docker` prints; fails when it fails.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the program `docker`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The containers of a process of tests, running or not.
pub(crate) fn containers_of(process: u32) -> Vec<String> {
    let filter = format!("label=session-tests.process={process}");
    let names = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    names.lines().map(str::to_owned).collect()
}

/// Whether a guard still looks after a container of this process of tests.
pub(crate) fn is_guarded(process: u32) -> bool {
    let name = format!("session-tests-redis-{process}-");
    if let Ok(processes) = std::fs::read_dir("/proc/self").and(std::fs::read_dir("/proc")) {
        let lines = processes.flatten().map(|it| std::fs::read(it.path().join("cmdline")));
        return lines.flatten().any(|line| String::from_utf8_lossy(&line).contains(&name));
    }
    let output = Command::new("ps").args(["-A", "-o", "args="]).output().expect("ps");
    String::from_utf8_lossy(&output.stdout).contains(&name)
}

pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {SOON:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
