//! `cargo xtask test`: everything that can be shown, in one command.

use std::cell::OnceCell;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::docker::Start;
use crate::leftovers::RunFolder;
use crate::matrix;
use crate::steps::{self, Context, Step};
use crate::tools;

/// What to run and what is allowed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) install: bool,
    pub(crate) scope: Scope,
    pub(crate) docker: Start,
}

/// Which tests run; each scope holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// What needs no server.
    MemoryOnly,
    /// Everything, with servers that run natively.
    Everything,
    /// The suites in containers as well.
    Containers,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { install: true, scope: Scope::Everything, docker: Start::Never };
        for argument in arguments {
            match *argument {
                "--no-install" => options.install = false,
                "--memory-only" => options.scope = Scope::MemoryOnly,
                "--containers" => options.scope = Scope::Containers,
                "--start-docker" => options.docker = Start::IfNoneAnswers,
                unknown => return Err(format!("unknown option: {unknown}")),
            }
        }
        if options.docker != Start::Never && options.scope != Scope::Containers {
            return Err("--start-docker is for --containers".to_owned());
        }
        Ok(options)
    }
}

/// Runs the steps in order, stops at the first that fails, and prints the summary in any case.
pub(crate) fn run(options: Options) -> Result<(), String> {
    let folder = RunFolder::create()?;
    matrix::clear()?;
    let context = Context { options, folder, docker: OnceCell::new() };
    let steps = steps::all(options.scope);
    let mut finished = Vec::new();
    let mut outcome = Ok(());
    for (index, step) in steps.iter().enumerate() {
        let label = format!("[{}/{}] {}", index + 1, steps.len(), step.name);
        say(&format!("\n{label}: {}", step.purpose));
        let start = Instant::now();
        let result = step.run(&context);
        let time = start.elapsed();
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        say(&format!("{label}: {word} in {}", seconds(time)));
        finished.push((word, time));
        if let Err(message) = result {
            outcome = Err(format!("step `{}`: {message}", step.name));
            break;
        }
    }
    // Most of all when something failed.
    if let Err(message) = matrix::write_junit(options.scope) {
        say(&message);
    }
    say(&summary(&steps, &finished, options.scope));
    outcome
}

/// Prints a line at once, so that it stands in order with what the steps print.
fn say(text: &str) {
    let mut stdout = io::stdout();
    // Nobody reads us any more: the exit code still tells the result.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn summary(steps: &[Step], finished: &[(&str, Duration)], scope: Scope) -> String {
    let mut lines = vec!["\nSummary".to_owned()];
    for (index, step) in steps.iter().enumerate() {
        lines.push(match finished.get(index) {
            Some((word, time)) => format!("  {:<14} {word:<8} {:>9}", step.name, seconds(*time)),
            None => format!("  {:<14} not run", step.name),
        });
    }
    let total = finished.iter().map(|(_, time)| *time).sum();
    lines.push(format!("  {:<14} {:<8} {:>9}", "total", "", seconds(total)));
    match scope {
        Scope::MemoryOnly => {
            lines.push("  Left out on request: everything that needs a server.".into());
        }
        Scope::Everything => {
            lines.push("  Not asked for: the suites in containers (--containers).".into());
        }
        Scope::Containers => {}
    }
    lines.push("Versions".to_owned());
    lines.extend(tools::versions().into_iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let parsed = Options::parse(&["--no-install", "--memory-only"]).unwrap();
        let (scope, docker) = (Scope::MemoryOnly, Start::Never);
        assert_eq!(parsed, Options { install: false, scope, docker });
        let parsed = Options::parse(&["--containers", "--start-docker"]).unwrap();
        assert_eq!((parsed.scope, parsed.docker), (Scope::Containers, Start::IfNoneAnswers));
        assert!(Options::parse(&["--start-docker"]).is_err(), "nothing would use it");
        assert!(Options::parse(&[]).unwrap().install);
        assert!(Options::parse(&["--no-instal"]).unwrap_err().contains("--no-instal"));
    }

    #[test]
    fn the_summary_shows_every_step_and_what_did_not_run() {
        let steps = steps::all(Scope::Containers);
        let finished = [("ok", Duration::from_millis(1234)), ("FAILED", Duration::from_secs(2))];
        let text = summary(&steps, &finished, Scope::Containers);
        for step in &steps {
            assert!(text.contains(step.name), "{text}");
        }
        assert!(text.contains("1.2 s") && text.contains("FAILED") && text.contains("not run"));
        assert!(text.contains("rustc") && text.contains("cargo"));
    }
}
