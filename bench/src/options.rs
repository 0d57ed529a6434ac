//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use session_core::BoxError;

use crate::backend::BACKENDS;
use crate::payload::Payloads;

pub(crate) const HELP: &str = "\
The session stores beside the raw drivers.

cargo run --release -p bench -- [OPTIONS] [BACKEND]...

BACKEND is memory or redis; none means all of them. A Redis server is started for
the run, unless one is named.

  --rounds N        rounds; the figures are medians of them (default 9)
  --seconds S       time of each contestant in a round (default 0.4)
  --quick           tiny numbers, to see that it works
  --json PATH       where the result goes (default target/bench.json)
  --redis-url URL   a server to use; keys under prefixes of our own, removed at the
                    end. Load in a small and a large store is then left out.
  --heap-program P  the program `heap`, if cargo is not to build it
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    /// Names of [`BACKENDS`], each at most once.
    pub(crate) backends: Vec<&'static str>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) quick: bool,
    pub(crate) json: PathBuf,
    /// By the name of the backend.
    pub(crate) urls: BTreeMap<&'static str, String>,
    pub(crate) heap_program: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut arguments = arguments;
        let (mut rounds, mut seconds) = (None, None);
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
        let mut options = Self {
            help: false,
            backends: Vec::new(),
            rounds: 0,
            seconds: 0.0,
            quick: false,
            json: folder.join("bench.json"),
            urls: BTreeMap::new(),
            heap_program: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" | "-h" => options.help = true,
                "--quick" => options.quick = true,
                "--rounds" => rounds = Some(value()?.parse().map_err(|_| "--rounds is no number")?),
                "--seconds" => {
                    seconds = Some(value()?.parse().map_err(|_| "--seconds is no number")?);
                }
                "--json" => options.json = value()?.into(),
                "--heap-program" => options.heap_program = Some(value()?.into()),
                _ => {
                    let is_url_of = |name: &str| argument == format!("--{name}-url");
                    let mut names = BACKENDS.iter().map(|backend| backend.name());
                    let name = names
                        .find(|name| argument == *name || is_url_of(name))
                        .ok_or_else(|| format!("unknown: {argument}\n\n{HELP}"))?;
                    if argument != name {
                        options.urls.insert(name, value()?);
                    } else if !options.backends.contains(&name) {
                        options.backends.push(name);
                    }
                }
            }
        }
        if options.backends.is_empty() {
            options.backends = BACKENDS.iter().map(|backend| backend.name()).collect();
        }
        options.rounds = rounds.unwrap_or(if options.quick { 2 } else { 9 });
        options.seconds = seconds.unwrap_or(if options.quick { 0.005 } else { 0.4 });
        if options.rounds == 0 || !options.seconds.is_finite() || options.seconds <= 0.0 {
            return Err("--rounds and --seconds are above zero".into());
        }
        Ok(options)
    }
}

/// What everything that measures gets to know.
pub(crate) struct Settings {
    pub(crate) options: Options,
    pub(crate) payloads: Payloads,
    /// Sessions that each contestant holds while operations are measured.
    pub(crate) population: usize,
    /// Sessions of the small and of the large store.
    pub(crate) scale: [usize; 2],
    /// Sessions whose size the server is asked for.
    pub(crate) sized: usize,
    /// About the time of the operations that are prepared in one go, and how many they are at most: what is
    /// prepared should still be in the caches when it is used.
    pub(crate) phase: Duration,
    pub(crate) phase_operations: usize,
    /// The same for loads, which need little preparation.
    pub(crate) scale_operations: usize,
    /// Tokens of one round.
    pub(crate) tokens: u64,
}

impl Settings {
    pub(crate) fn new(options: Options, payloads: Payloads) -> Self {
        if options.quick {
            Self {
                options,
                payloads,
                population: 500,
                scale: [100, 1_000],
                sized: 20,
                phase: Duration::from_millis(2),
                phase_operations: 256,
                scale_operations: 256,
                tokens: 100,
            }
        } else {
            Self {
                options,
                payloads,
                population: 100_000,
                scale: [1_000, 1_000_000],
                sized: 1_000,
                phase: Duration::from_millis(100),
                phase_operations: 1 << 13,
                scale_operations: 1 << 14,
                tokens: 100_000,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BoxError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_understood() {
        let options =
            parse("redis --rounds 3 --seconds 0.5 --redis-url redis://h:1 --json x redis").unwrap();
        assert_eq!(options.backends, ["redis"]);
        assert_eq!((options.rounds, options.quick), (3, false));
        assert_eq!(options.urls["redis"], "redis://h:1");
        assert_eq!(options.json, PathBuf::from("x"));
        assert_eq!(parse("").unwrap().backends.len(), BACKENDS.len());
        assert!(parse("--quick").unwrap().rounds < parse("").unwrap().rounds);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "mongodb",
            "--round 3",
            "--rounds",
            "--rounds x",
            "--rounds 0",
            "--seconds -1",
            "--seconds NaN",
            "--redis-url",
            "--mongodb-url u",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
