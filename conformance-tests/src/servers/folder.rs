//! Temporary folders that go when their owner goes, also when it is killed.

use std::fs::DirBuilder;
use std::io;
use std::path::{Path, PathBuf};

use super::guard::Guard;
use super::port;

/// Removes the folder. A server that is ended at the same moment may still create a file in it, so the
/// removal is repeated until it succeeds.
const REMOVE: &str = r#"
tries=0
until rm -rf -- "$1" 2>/dev/null || [ "$tries" -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// A temporary folder that only this user can read.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held, never read.
    _guard: Guard,
}

impl Folder {
    pub(super) fn create(label: &str) -> io::Result<Self> {
        let name = format!("session-tests-{label}-{}-{:016x}", std::process::id(), port::random());
        let path = std::env::temp_dir().join(name);
        private(&mut DirBuilder::new()).create(&path)?;
        let guard = Guard::start(REMOVE, &[&path]).inspect_err(|_| {
            // Without a guard there is no folder; the first error is the one to tell.
            let _ = std::fs::remove_dir(&path);
        })?;
        Ok(Self { path, _guard: guard })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700)
}

#[cfg(not(unix))]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}
