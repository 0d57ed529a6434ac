//! Servers in containers, tried on a real Docker daemon.
//!
//! Not among the tests that plain `cargo test` runs, since Docker is nothing that the suite needs:
//! `cargo test -p conformance-tests --features containers --test containers`. Without a daemon it fails.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod docker;
#[cfg(unix)]
mod endpoint;
#[cfg(unix)]
mod leftovers;
#[cfg(unix)]
mod redis;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    if let Some(code) = child::play() {
        return code;
    }
    let trials = [redis::trials(), leftovers::trials(), endpoint::trials()];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("containers are started for tests on Unix only");
    ExitCode::FAILURE
}
