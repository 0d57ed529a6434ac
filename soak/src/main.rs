//! Long runs, for a night or a release: `cargo xtask soak`.

mod backend;
mod fuzz;
mod histories;
mod kills;
mod load;
mod memory_use;
mod meter;
mod options;
mod purge;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use backend::Backend;
use clap::Parser as _;
use meter::Meter;
use options::{Options, Run};

/// How a run ended: what was done, in words.
type Outcome = conformance_tests::Result<String>;

/// What stands in one line of the summary.
struct Finished {
    run: Run,
    backend: Option<Backend>,
    time: Duration,
    outcome: Outcome,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let plan = options.plan();
    if plan.is_empty() {
        eprintln!("error: these runs need another backend");
        return ExitCode::FAILURE;
    }
    meter::stop_on_ctrl_c();
    let mut finished = Vec::new();
    for (run, backend) in plan {
        if meter::is_stopped() {
            break;
        }
        let meter = Meter::new(run, backend);
        let begun = Instant::now();
        let seed = options.seed();
        let outcome = match backend {
            None => fuzz::run(options.scaled(10_000_000), seed, &meter).await,
            Some(backend) => go(run, backend, &options, seed, &meter).await,
        };
        meter.end();
        // The seed tells how to make the same choices again.
        let outcome = outcome
            .map(|text| format!("{text}; seed {seed}"))
            .map_err(|error| format!("{error}; again with --seed {seed}").into());
        finished.push(Finished { run, backend, time: begun.elapsed(), outcome });
    }
    print!("{}", summary(&options, &finished));
    if finished.iter().any(|it| it.outcome.is_err()) {
        return ExitCode::FAILURE;
    }
    if meter::is_stopped() { ExitCode::from(130) } else { ExitCode::SUCCESS }
}

async fn go(run: Run, backend: Backend, options: &Options, seed: u64, meter: &Meter) -> Outcome {
    let running = backend.start().await?;
    match run {
        Run::Fuzz => Err("it needs no backend".into()),
        Run::Histories => histories::run(&running, options.scaled(10_000), seed, meter).await,
        Run::Kills => kills::run(&running, options.scaled(500), seed, meter).await,
        Run::Load => {
            let length = Duration::from_secs(options.scaled(3_600));
            load::run(&running, length, seed, meter).await
        }
        Run::Purge => purge::run(&running, options.scaled(1_000_000), meter).await,
    }
}

/// A table, in Markdown.
fn summary(options: &Options, finished: &[Finished]) -> String {
    let mut lines = vec![
        format!("{} percent of the full counts and times:\n", options.percent),
        "| run | backend | | time | what was done |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for Finished { run, backend, time, outcome } in finished {
        let (word, text) = match outcome {
            Ok(text) => ("ok", text.clone()),
            Err(error) => ("**FAILED**", error.to_string()),
        };
        let (run, time) = (run.name(), time.as_secs_f64());
        let backend = backend.map_or("", Backend::name);
        lines.push(format!("| {run} | {backend} | {word} | {time:.0} s | {text} |"));
    }
    if meter::is_stopped() {
        lines.push("\nStopped by Ctrl-C: what stands above is all that was done.".to_owned());
    }
    lines.join("\n") + "\n"
}
