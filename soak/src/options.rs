//! What to run, on which backends, and how much of it.

use clap::{Parser, ValueEnum};

use crate::backend::Backend;

/// Long runs, for a night or a release. Without names: all of them, on every backend that has what they need.
///
/// Ctrl-C ends the run that is under way and shows what was done.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask soak", version)]
pub(crate) struct Options {
    /// What to run.
    #[arg(value_enum)]
    runs: Vec<Run>,

    /// On this backend only. May be given several times.
    #[arg(long = "backend", value_enum, value_name = "NAME")]
    backends: Vec<Backend>,

    /// How much of the full counts and times.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) percent: u64,

    /// Makes the choices of an earlier run again.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Run {
    /// 10,000,000 inputs for each fuzz test, such as damaged tokens, cookies and payloads.
    Fuzz,
    /// 10,000 histories of concurrent calls; each must have an order.
    Histories,
    /// 500 kills of the server under load; what was acknowledged must survive, in every history.
    Kills,
    /// An hour of load with an outage of a minute: memory stays flat, calls end in time, all recovers by itself.
    Load,
    /// 1,000,000 records that are over, purged beside traffic.
    Purge,
}

impl Run {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fuzz => "fuzz",
            Self::Histories => "histories",
            Self::Kills => "kills",
            Self::Load => "load",
            Self::Purge => "purge",
        }
    }

    const fn applies_to(self, backend: Backend) -> bool {
        match self {
            Self::Fuzz => false,
            Self::Histories => true,
            Self::Kills | Self::Load => backend.has_server(),
            Self::Purge => backend.purges(),
        }
    }
}

impl Options {
    /// Every run, with every backend that has what it needs; fuzzing needs none.
    pub(crate) fn plan(&self) -> Vec<(Run, Option<Backend>)> {
        let runs = or_all(&self.runs);
        let backends = or_all(&self.backends);
        let mut plan = Vec::new();
        for run in runs {
            plan.extend((*run == Run::Fuzz).then_some((*run, None)));
            let fit = backends.iter().filter(|backend| run.applies_to(**backend));
            plan.extend(fit.map(|backend| (*run, Some(*backend))));
        }
        plan
    }

    /// This part of a full count; at least one.
    pub(crate) fn scaled(&self, full: u64) -> u64 {
        (full * self.percent / 100).max(1)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(crate::backend::seed)
    }
}

fn or_all<T: ValueEnum>(chosen: &[T]) -> &[T] {
    if chosen.is_empty() { T::value_variants() } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("soak").chain(line.split_whitespace()))
    }

    #[test]
    fn options_are_understood_or_refused() {
        let all = parse("").unwrap();
        assert_eq!((all.plan().len(), all.percent), (1 + 3 + 2 + 2 + 2, 100));
        let some = parse("kills --percent 10 --backend redis --seed 7").unwrap();
        assert_eq!(some.plan(), [(Run::Kills, Some(Backend::Redis))]);
        assert_eq!((some.scaled(500), some.scaled(3), some.seed()), (50, 1, 7));
        assert!(parse("kills --backend memory").unwrap().plan().is_empty());
        for bad in ["nap", "--percent", "--percent 0", "--backend x", "--seed x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
