//! Every published crate packs, and carries what a reader of the registry needs.

use crate::command::{self, cargo, run_cargo};
use crate::metadata::Metadata;

/// Files that each published crate must contain.
const NEEDED: &[&str] = &["Cargo.toml", "README.md", "src/lib.rs"];

pub(crate) fn check() -> Result<(), String> {
    let metadata = Metadata::load()?;
    // All at once: a crate that the registry does not have yet is found among the others. What they
    // contain has been compiled and tested by the other steps.
    let mut arguments = command::words("package --quiet --no-verify --allow-dirty");
    for position in metadata.published() {
        let name = &metadata.packages[position].name;
        let files = list(name)?;
        for needed in NEEDED {
            if !files.lines().any(|file| file == *needed) {
                return Err(format!("the package {name} has no {needed}"));
            }
        }
        arguments.extend(["-p".to_owned(), name.clone()]);
    }
    run_cargo(&arguments)
}

fn list(name: &str) -> Result<String, String> {
    let mut cargo = cargo();
    cargo.args(["package", "--list", "--allow-dirty", "-p", name]);
    let files = command::output(cargo, &format!("cargo package --list -p {name}"))?;
    Ok(files.replace('\\', "/"))
}
