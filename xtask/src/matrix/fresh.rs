//! Whether results are of the code as it is.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::columns::FRAMEWORKS;

/// What is built into every suite, besides the adapter.
const SHARED: &[&str] = &["session-core", "conformance-tests/src"];

/// What is built into those of the HTTP rules, too.
const OF_FRAMEWORKS: &[&str] = &["session-http", "session-memory"];

/// Endings of files that are built in. Documents are not; the contract is looked at by itself.
const BUILT_IN: &[&str] = &["rs", "lua", "sql", "json", "toml"];
const CONTRACT: &str = "CONTRACT.md";

/// A file that is newer than the results, if there is one: they are of other code then.
pub(super) fn newer(root: &Path, adapter: &str, results: &Path) -> io::Result<Option<PathBuf>> {
    let written = results.metadata()?.modified()?;
    let mut folders: Vec<PathBuf> = SHARED.iter().map(|folder| root.join(folder)).collect();
    folders.push(root.join(adapter));
    if FRAMEWORKS.iter().any(|framework| framework.name == adapter) {
        folders.extend(OF_FRAMEWORKS.iter().map(|folder| root.join(folder)));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_built_in(&entry) && changed(&entry.path(), written)? {
                return Ok(Some(entry.path()));
            }
        }
    }
    let lock = root.join("Cargo.lock");
    Ok(changed(&lock, written)?.then_some(lock))
}

fn is_built_in(entry: &DirEntry) -> bool {
    let path = entry.path();
    let ending = path.extension().unwrap_or_default();
    BUILT_IN.iter().any(|built_in| ending == *built_in) || entry.file_name() == CONTRACT
}

fn changed(path: &Path, since: SystemTime) -> io::Result<bool> {
    Ok(path.metadata()?.modified()? > since)
}
