//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use session_core::BoxError;

use crate::backend::{BACKENDS, Op};
use crate::payload::Payloads;

/// What `--help` prints.
pub(crate) fn help() -> String {
    let names: Vec<_> = BACKENDS.iter().map(|backend| backend.name()).collect();
    HELP.replace("BACKENDS", &names.join(", "))
}

const HELP: &str = "\
The session stores beside the raw drivers.

cargo run --release -p bench -- [OPTIONS] [BACKEND]...

BACKEND is one of: BACKENDS. None means all of them. A server is started for the run,
unless one is named.

  --rounds N        rounds; the figures are medians of them (default 9)
  --seconds S       time of each contestant in a round (default 0.4)
  --quick           tiny numbers, to see that it works
  --only PART       a part of it: operations, sizes, scale or tokens, or one operation,
                    such as load or create-with-subject. May be given several times.
  --sessions N      sessions that each contestant holds (default 100000)
  --many N          sessions of the large store, of 1,000 or more (default 1000000)
  --json PATH       where the result goes (default target/bench.json)
  --BACKEND-url URL a server to use, say --redis-url. What is stored there has a prefix
                    of our own and is removed at the end. Load in a small and a large
                    store is then left out.
  --heap-program P  the program `heap`, if cargo is not to build it
";

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Operation(Op),
    Sizes,
    Scale,
    Tokens,
}

impl Part {
    /// The parts that `name` stands for.
    fn named(name: &str) -> Result<Vec<Self>, BoxError> {
        let operations = |wanted: &str| {
            let all = Op::ALL.into_iter();
            let ops =
                all.filter(|op| wanted.is_empty() || op.to_string().replace(' ', "-") == wanted);
            ops.map(Self::Operation).collect()
        };
        let parts: Vec<_> = match name {
            "operations" => operations(""),
            "sizes" => vec![Self::Sizes],
            "scale" => vec![Self::Scale],
            "tokens" => vec![Self::Tokens],
            operation => operations(operation),
        };
        if parts.is_empty() { Err(format!("no part of the run: {name}").into()) } else { Ok(parts) }
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) help: bool,
    /// Names of [`BACKENDS`], each at most once.
    pub(crate) backends: Vec<&'static str>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) quick: bool,
    /// All parts if empty.
    only: Vec<Part>,
    /// Sessions that each contestant holds while operations are measured.
    sessions: Option<usize>,
    /// Sessions of the large store.
    many: Option<usize>,
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
            only: Vec::new(),
            sessions: None,
            many: None,
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
                "--only" => options.only.extend(Part::named(&value()?)?),
                "--sessions" => options.sessions = Some(count(&argument, &value()?, 64)?),
                "--many" => options.many = Some(count(&argument, &value()?, 1_000)?),
                "--json" => options.json = value()?.into(),
                "--heap-program" => options.heap_program = Some(value()?.into()),
                _ => {
                    let is_url_of = |name: &str| argument == format!("--{name}-url");
                    let mut names = BACKENDS.iter().map(|backend| backend.name());
                    let name = names
                        .find(|name| argument == *name || is_url_of(name))
                        .ok_or_else(|| format!("unknown: {argument}\n\n{}", help()))?;
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

    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// The operations to measure.
    pub(crate) fn operations(&self) -> Vec<Op> {
        Op::ALL.into_iter().filter(|op| self.wants(Part::Operation(*op))).collect()
    }
}

/// A number of sessions.
fn count(option: &str, value: &str, least: usize) -> Result<usize, BoxError> {
    let number = value.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("{option} is a number from {least} on").into())
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
        let (sessions, many) = (options.sessions, options.many);
        if options.quick {
            Self {
                options,
                payloads,
                population: sessions.unwrap_or(500),
                scale: [100, many.unwrap_or(1_000)],
                sized: 20,
                phase: Duration::from_millis(2),
                phase_operations: 64,
                scale_operations: 64,
                tokens: 100,
            }
        } else {
            Self {
                options,
                payloads,
                population: sessions.unwrap_or(100_000),
                scale: [1_000, many.unwrap_or(1_000_000)],
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
        assert!(help().contains("memory, redis, postgres, mongo, dynamo, http"));
    }

    #[test]
    fn numbers_of_sessions_are_chosen() {
        let options = parse("--sessions 64 --many 2000 dynamo").unwrap();
        assert_eq!((options.sessions, options.many), (Some(64), Some(2_000)));
    }

    #[test]
    fn a_part_of_the_run_is_chosen_by_name() {
        let all = parse("").unwrap();
        assert_eq!(all.operations(), Op::ALL);
        assert!(all.wants(Part::Sizes) && all.wants(Part::Scale) && all.wants(Part::Tokens));
        let some = parse("--only create-with-subject --only tokens").unwrap();
        assert_eq!(some.operations(), [Op::CreateWithSubject]);
        assert!(some.wants(Part::Tokens) && !some.wants(Part::Sizes) && !some.wants(Part::Scale));
        assert_eq!(parse("--only operations").unwrap().operations(), Op::ALL);
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
            "--only",
            "--only saving",
            "--redis-url",
            "--mongodb-url u",
            "--sessions 63",
            "--many 1e6",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
