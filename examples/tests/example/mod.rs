//! The programs that cargo builds beside these tests.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

/// The example of this name.
pub(crate) fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(2).expect("the target folder");
    let program = target.join("examples").join(format!("{name}{EXE_SUFFIX}"));
    assert!(program.exists(), "build it first: cargo build --package examples --examples");
    program
}
