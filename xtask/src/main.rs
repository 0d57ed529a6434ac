//! The project's own commands, run as `cargo xtask <command>`.

mod check_deps;
mod command;
mod docker;
#[cfg(test)]
mod docs;
mod failures;
mod features;
mod fetch;
#[cfg(test)]
mod front_page;
mod images;
mod interop;
mod leftovers;
mod licence;
mod matrix;
mod metadata;
mod package;
mod policy;
mod programs;
mod servers;
mod side_by_side;
mod steps;
mod test;
mod tools;

use std::env;
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

cargo xtask test [--no-install] [--memory-only] [--containers [--start-docker]]
    Installs what the tests need (Debian and Ubuntu; it lists it first), runs all
    tests and checks on servers that run natively, and prints a summary with times
    and versions.
    --no-install   install nothing; if something is missing, say what, and fail
    --memory-only  only what runs without a server (any system)
    --containers   run the suites in containers, too; Docker must be running
    --start-docker if it is not, install and start it, and stop it at the end

cargo xtask tools [--no-install] [--memory-only]
    Only the first step of that: says what the tests need, and installs or fetches
    what is missing.

cargo xtask interop
    Installs the packages of the Node and Python examples, for their tests.

cargo xtask matrix [--run] [--check] [--native-only | --memory-only]
    Makes COMPATIBILITY.md of what the conformance suites found, and of the reports
    that others have handed in; and target/conformance/junit.xml.
    --run          run the suites first; without it, the results that are there count
    --check        write no COMPATIBILITY.md; fail if it says anything else
    --native-only  compare only what runs without containers
    --memory-only  compare only what runs without a server

cargo xtask servers images [--no-install] [--rebuild]
    Builds images of the test servers from Debian packages, for machines that reach
    no registry of images. Docker must be running. What is there is not built again.
    --rebuild      build everything anew, with the packages of today

cargo xtask servers up [--native | --containers] [redis] [postgres] [mongo] [dynamo]
cargo xtask servers status
cargo xtask servers down
    Starts servers to try things on, all or some, as tests would get them; tells their
    URLs and whether they answer; and ends them, with all that is in them.
    --native       their own programs, also where Docker answers
    --containers   containers, and nothing else if there are none

cargo xtask soak [fuzz] [histories] [kills] [load] [purge] [--backend NAME] [--percent N]
    Long runs, for a night or a release; `cargo xtask soak --help` says more.

cargo xtask check-deps
    Checks dependency directions, banned crates, licences, manifests and the
    declared Rust versions.
";

/// Optimised, and a program of its own, so that nobody else builds what it needs.
fn soak(options: &[&str]) -> Result<(), String> {
    let options = options.iter().map(|option| (*option).to_owned());
    let line = command::words("run --release --quiet -p soak --").into_iter().chain(options);
    command::run_cargo(&line.collect::<Vec<_>>())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.split_first() {
        Some((&"test", options)) => test::Options::parse(options).and_then(test::run),
        Some((&"tools", options)) => test::Options::parse(options).and_then(tools::provide),
        Some((&"interop", [])) => interop::prepare(true),
        Some((&"matrix", options)) => matrix::Options::parse(options).and_then(matrix::run),
        Some((&"servers", ["images", options @ ..])) => {
            images::Options::parse(options).and_then(images::run)
        }
        Some((&"servers", ["up", options @ ..])) => {
            servers::Options::parse(options).and_then(|options| servers::up(&options))
        }
        Some((&"servers", ["status"])) => servers::status(),
        Some((&"servers", ["down"])) => servers::down(),
        Some((&"soak", options)) => soak(options),
        Some((&"check-deps", [])) => check_deps::run(),
        Some((&("help" | "--help" | "-h"), _)) => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown command: {}\n\n{HELP}", arguments.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
