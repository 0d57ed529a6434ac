//! Which version of a driver the tests were built with.

use std::path::Path;
use std::{env, fs};

use super::model::Driver;

/// The driver, with the version that stands in the `Cargo.lock` of the package under test.
pub(super) fn find(name: &str) -> Driver {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let lock = Path::new(&package)
        .ancestors()
        .find_map(|folder| fs::read_to_string(folder.join("Cargo.lock")).ok());
    Driver { name: name.to_owned(), version: lock.and_then(|lock| version(&lock, name)) }
}

/// Every version of the package in this `Cargo.lock`, usually one; cargo writes name and version on lines that
/// follow each other.
fn version(lock: &str, name: &str) -> Option<String> {
    let named = format!("name = \"{name}\"");
    let versions: Vec<_> = lock
        .lines()
        .zip(lock.lines().skip(1))
        .filter(|(line, _)| *line == named)
        .filter_map(|(_, next)| next.strip_prefix("version = \"")?.strip_suffix('"'))
        .collect();
    (!versions.is_empty()).then(|| versions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"redis\"\nversion = \"1.8.1\"\n\n\
         [[package]]\nname = \"redis-protocol\"\nversion = \"6.0.0\"\ndependencies = [\n \"redis\",\n]\n\n\
         [[package]]\nname = \"hyper\"\nversion = \"0.14.1\"\n\n[[package]]\nname = \"hyper\"\nversion = \"1.9.0\"\n";

    #[test]
    fn a_version_is_found_by_the_whole_name() {
        assert_eq!(version(LOCK, "redis").as_deref(), Some("1.8.1"));
        assert_eq!(version(LOCK, "hyper").as_deref(), Some("0.14.1, 1.9.0"));
        assert_eq!(version(LOCK, "redi"), None);
    }

    #[test]
    fn the_lock_file_of_this_workspace_is_found() {
        let version = find("tokio").version.unwrap_or_default();
        assert!(version.starts_with("1."), "{version}");
    }
}
