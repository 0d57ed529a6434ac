//! The fuzz tests of the crates, with ten times as many inputs as in the ordinary test run.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::meter::{Meter, is_stopped};

/// The crates with fuzz tests, and how many of these each has.
const CRATES: &[(&str, u64)] = &[("session-core", 2), ("session-http", 3)];

/// Each fuzz test says after so many inputs how far it is.
const STEP: u64 = 500_000;

pub(crate) async fn run(inputs: u64, seed: u64, meter: &Meter) -> Outcome {
    let meter = meter.clone();
    tokio::task::spawn_blocking(move || {
        let all = inputs * CRATES.iter().map(|(_, tests)| tests).sum::<u64>();
        let mut done = 0;
        let mut accepted = Vec::new();
        for (name, tests) in CRATES {
            if is_stopped() {
                break;
            }
            let said = fuzz(name, inputs, seed, |line| {
                if line.ends_with(" tried") {
                    done += STEP;
                    meter.show(done, all, "inputs");
                }
            })?;
            let results: Vec<_> =
                said.iter().filter_map(|line| line.strip_suffix(" accepted")).collect();
            if results.len() as u64 != *tests {
                return Err(format!("{name} has {} fuzz tests, not {tests}", results.len()).into());
            }
            accepted.push(format!("{name}: {}", results.join(", ")));
        }
        Ok(format!("accepted, and all promises kept, of {}", accepted.join("; ")))
    })
    .await?
}

/// Runs the fuzz tests of a crate, and answers the lines that they printed.
fn fuzz(
    name: &str,
    inputs: u64,
    seed: u64,
    mut hear: impl FnMut(&str),
) -> conformance_tests::Result<Vec<String>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["test", "--release", "--quiet", "--all-features", "--lib", "-p", name])
        .args(["fuzz", "--", "--nocapture"])
        .env("FUZZ_RUNS", inputs.to_string())
        .env("FUZZ_SEED", seed.to_string())
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        hear(&line);
        lines.push(line);
    }
    if child.wait()?.success() {
        return Ok(lines);
    }
    let last = lines.iter().rev().take(20).rev().cloned().collect::<Vec<_>>();
    Err(format!("the fuzz tests of {name} failed: {}", last.join(" / ")).into())
}
