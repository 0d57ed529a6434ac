//! Proof that a test run leaves nothing behind: its temporary files have a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Servers end when the test process has ended, so shortly after the last test.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// The folder for the temporary files of one run; removed with all that is in it when dropped.
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    pub(crate) fn create() -> Result<Self, String> {
        let name = format!("session-xtask-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits a little for the last server to go, then tells what is still there.
    pub(crate) fn expect_empty(&self) -> Result<(), String> {
        self.expect_empty_within(PATIENCE)
    }

    fn expect_empty_within(&self, patience: Duration) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            let found = self.leftovers();
            if found.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("left behind:\n  {}", found.join("\n  ")));
            }
            thread::sleep(POLL);
        }
    }

    fn leftovers(&self) -> Vec<String> {
        let folders = entries(&self.0)
            .into_iter()
            .filter(|path| name(path).starts_with("session-"))
            .map(|path| format!("folder {}", path.display()));
        folders.chain(self.processes()).collect()
    }

    /// Processes that work in this folder, as our servers do, also after its removal. Only Linux
    /// tells; elsewhere a server shows by its folder alone.
    fn processes(&self) -> Vec<String> {
        entries(Path::new("/proc"))
            .into_iter()
            .filter(|process| {
                let home = fs::read_link(process.join("cwd"));
                home.is_ok_and(|home| home.starts_with(&self.0))
            })
            .map(|process| format!("process {}", name(&process)))
            .collect()
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What cannot be removed has been told by `expect_empty`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_told() {
        let folder = RunFolder(std::env::temp_dir().join(format!("xtask-{}", std::process::id())));
        fs::create_dir(folder.path()).unwrap();
        folder.expect_empty_within(Duration::ZERO).unwrap();

        let left = folder.path().join("session-tests-redis-1");
        fs::create_dir(&left).unwrap();
        let message = folder.expect_empty_within(Duration::ZERO).unwrap_err();
        assert!(message.contains("session-tests-redis-1"), "{message}");
        fs::remove_dir(left).unwrap();
        folder.expect_empty_within(Duration::ZERO).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_runs_on_is_told() {
        use std::process::{Command, Stdio};
        let path = std::env::temp_dir().join(format!("xtask-process-{}", std::process::id()));
        let folder = RunFolder(path);
        fs::create_dir(folder.path()).unwrap();
        let mut process =
            Command::new("cat").current_dir(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
        let message = folder.expect_empty_within(Duration::ZERO).unwrap_err();
        assert!(message.contains(&format!("process {}", process.id())), "{message}");
        process.kill().unwrap();
        process.wait().unwrap();
        folder.expect_empty_within(Duration::ZERO).unwrap();
    }
}
