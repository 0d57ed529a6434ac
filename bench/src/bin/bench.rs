//! The session stores beside the raw drivers. `--help` says how.

use std::iter::successors;
use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            // Drivers tell why in what their error comes from.
            for cause in successors(error.source(), |cause| cause.source()) {
                eprintln!("  caused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
