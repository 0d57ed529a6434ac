//! The whole run.

use std::fs;
use std::time::SystemTime;

use session_core::BoxError;
use tokio::runtime::Builder;

use crate::backend::{BACKENDS, Backend};
use crate::options::{Options, Part, Settings, help};
use crate::payload::Payloads;
use crate::report::{BackendReport, Cell, FORMAT, Machine, Report};
use crate::{race, scale, sessions, table, token};

/// The program `bench`: measures, prints the tables, writes the file. Progress goes to standard error.
///
/// # Errors
///
/// For arguments that are not understood, for a server that cannot be had, and for a store that does not
/// do what it should. That ends the run; printed and written is then what was measured of stores before it.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), BoxError> {
    let arguments: Vec<String> = arguments.collect();
    let options = Options::parse(arguments.iter().cloned())?;
    if options.help {
        print!("{}", help());
        return Ok(());
    }
    let machine = machine();
    let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let (report, path, end) = runtime.block_on(async {
        let settings = Settings::new(options, Payloads::new().await?);
        let wants_tokens = settings.options.wants(Part::Tokens);
        let tokens = if wants_tokens { token::measure(&settings)? } else { Vec::new() };
        let (backends, end) = measure_all(&settings).await;
        let report = Report {
            format: FORMAT,
            command: command(&arguments),
            version: env!("CARGO_PKG_VERSION"),
            started_at,
            quick: settings.options.quick,
            optimised: !cfg!(debug_assertions),
            rounds: settings.options.rounds,
            seconds: settings.options.seconds,
            machine,
            payload: settings.payloads.lengths()?,
            subject_length: sessions::SUBJECT_LEN,
            population: settings.population,
            backends,
            tokens,
        };
        Ok::<_, BoxError>((report, settings.options.json, end))
    })?;
    if end.is_err() && report.backends.is_empty() {
        return end;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")?;
    let path = fs::canonicalize(&path)?;
    println!("{}\nThe same for machines: {}", table::render(&report), path.display());
    end
}

/// The stores that were measured before one failed, if one did, and how it failed.
async fn measure_all(settings: &Settings) -> (Vec<BackendReport>, Result<(), BoxError>) {
    let mut reports = Vec::new();
    for name in &settings.options.backends {
        match measure(name, settings).await {
            Ok(report) => reports.push(report),
            Err(error) => return (reports, Err(error)),
        }
    }
    (reports, Ok(()))
}

async fn measure(name: &str, settings: &Settings) -> Result<BackendReport, BoxError> {
    let known = BACKENDS.iter().find(|backend| backend.name() == name);
    let backend = *known.ok_or("unknown backend")?;
    let (server, cells) = operations(backend, settings).await?;
    let (mut sizes, mut scale) = (Vec::new(), Vec::new());
    if settings.options.wants(Part::Sizes) {
        eprintln!("{}: bytes per session", backend.name());
        sizes = backend.sizes(settings).await?;
    }
    if settings.options.wants(Part::Scale) && backend.has_scale() {
        scale = scale::measure(backend, settings).await?;
    }
    Ok(BackendReport { name: backend.name(), server, cells, sizes, scale })
}

/// What was measured, and on which server. That one ends here: it would idle beside those of the other parts.
async fn operations(
    backend: &dyn Backend,
    settings: &Settings,
) -> Result<(String, Vec<Cell>), BoxError> {
    let arena = backend.open(settings).await?;
    let server = arena.server.home().description();
    let cells = race::measure(backend, &arena, settings).await?;
    drop(arena.contestants);
    arena.server.close().await?;
    Ok((server, cells))
}

/// For the report: without the value of a URL, which may hold a password.
fn command(arguments: &[String]) -> String {
    let mut line = "cargo run --release -p bench --".to_owned();
    let mut previous = "";
    for argument in arguments {
        line.push(' ');
        line.push_str(if previous.ends_with("-url") { "(url)" } else { argument });
        previous = argument;
    }
    line
}

fn machine() -> Machine {
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
    Machine {
        system: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        load_before: load,
    }
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_command_in_the_report_has_no_password() {
        let arguments = ["--redis-url", "redis://:canary@host", "redis"].map(str::to_owned);
        assert_eq!(command(&arguments), "cargo run --release -p bench -- --redis-url (url) redis");
    }
}
