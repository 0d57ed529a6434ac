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
use meter::Meter;
use options::{HELP, Options, Run};

/// How a run that was not broken off ended: what was done, in words.
type Outcome = conformance_tests::Result<String>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(&arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("error: {message}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    meter::stop_on_ctrl_c();
    let mut finished = Vec::new();
    for (run, backend) in options.plan() {
        if meter::is_stopped() {
            break;
        }
        let meter = Meter::new(run, backend);
        let begun = Instant::now();
        let outcome = go(run, backend, &options, &meter).await;
        meter.end();
        finished.push((run, backend, begun.elapsed(), outcome));
    }
    println!("\n{}", summary(&options, &finished));
    if finished.iter().any(|(.., outcome)| outcome.is_err()) {
        return ExitCode::FAILURE;
    }
    if meter::is_stopped() { ExitCode::from(130) } else { ExitCode::SUCCESS }
}

async fn go(run: Run, backend: Option<Backend>, options: &Options, meter: &Meter) -> Outcome {
    match (run, backend) {
        (Run::Fuzz, _) => fuzz::run(options.scaled(10_000_000), meter).await,
        (_, None) => Err("this run needs a backend".into()),
        (Run::Histories, Some(backend)) => {
            histories::run(backend, options.scaled(10_000), meter).await
        }
        (Run::Kills, Some(backend)) => kills::run(backend, options.scaled(500), meter).await,
        (Run::Load, Some(backend)) => {
            let length = Duration::from_secs(options.scaled(3_600));
            load::run(backend, length, meter).await
        }
        (Run::Purge, Some(backend)) => {
            purge::run(backend, options.scaled(1_000_000), meter).await
        }
    }
}

fn summary(
    options: &Options,
    finished: &[(Run, Option<Backend>, Duration, Outcome)],
) -> String {
    let mut lines = vec![format!("soak, {} percent of the full counts", options.percent)];
    for (run, backend, time, outcome) in finished {
        let backend = backend.map_or("", Backend::name);
        let (word, text) = match outcome {
            Ok(text) => ("ok", text.clone()),
            Err(error) => ("FAILED", error.to_string()),
        };
        let time = time.as_secs_f64();
        lines.push(format!("  {:<10} {backend:<8} {word:<7} {time:>8.1} s  {text}", run.name()));
    }
    if meter::is_stopped() {
        lines.push("  stopped by Ctrl-C: what stands above is all that was done".to_owned());
    }
    lines.join("\n")
}
