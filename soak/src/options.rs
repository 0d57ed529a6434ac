//! What to run, on which backends, and how much of it.

use crate::backend::Backend;

pub(crate) const HELP: &str = "\
Long runs. Without names: all of them, on every backend that has what they need.

cargo xtask soak [fuzz] [histories] [kills] [load] [purge]
                 [--backend NAME]... [--percent N]

    fuzz        10,000,000 mutated tokens and payloads, on all cores
    histories   10,000 histories of concurrent calls, each with an order
    kills       500 kills of the server under load, every history checked
    load        an hour of load with an outage in the middle: memory stays flat,
                calls end in time, and the store recovers by itself
    purge       1,000,000 records that are over, beside traffic
    --backend   only this one: memory, redis
    --percent   of these counts; 100 where nothing is said
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Fuzz,
    Histories,
    Kills,
    Load,
    Purge,
}

impl Run {
    const ALL: [Self; 5] = [Self::Fuzz, Self::Histories, Self::Kills, Self::Load, Self::Purge];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fuzz => "fuzz",
            Self::Histories => "histories",
            Self::Kills => "kills",
            Self::Load => "load",
            Self::Purge => "purge",
        }
    }

    fn applies_to(self, backend: Backend) -> bool {
        match self {
            Self::Fuzz => false,
            Self::Histories => true,
            Self::Kills | Self::Load => backend.has_server(),
            Self::Purge => backend.purges(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    runs: Vec<Run>,
    backends: Vec<Backend>,
    pub(crate) percent: u64,
}

impl Options {
    /// `None` when the help was asked for.
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self { runs: Vec::new(), backends: Vec::new(), percent: 100 };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "help" | "--help" | "-h" => return Ok(None),
                "--percent" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let number = number.filter(|number| (1..=10_000).contains(number));
                    options.percent = number.ok_or("--percent takes a number from 1 to 10000")?;
                }
                "--backend" => {
                    let named = words.next().and_then(Backend::named);
                    options.backends.push(named.ok_or("--backend takes memory or redis")?);
                }
                name => {
                    let run = Run::ALL.into_iter().find(|run| run.name() == name);
                    options.runs.push(run.ok_or_else(|| format!("there is no run {name}"))?);
                }
            }
        }
        if options.runs.is_empty() {
            options.runs = Run::ALL.to_vec();
        }
        if options.backends.is_empty() {
            options.backends = Backend::ALL.to_vec();
        }
        match options.plan().is_empty() {
            true => Err("these runs need another backend".to_owned()),
            false => Ok(Some(options)),
        }
    }

    /// Every run, with every backend that has what it needs.
    pub(crate) fn plan(&self) -> Vec<(Run, Option<Backend>)> {
        let mut plan = Vec::new();
        for run in &self.runs {
            if *run == Run::Fuzz {
                plan.push((*run, None));
            }
            let fit = self.backends.iter().filter(|backend| run.applies_to(**backend));
            plan.extend(fit.map(|backend| (*run, Some(*backend))));
        }
        plan
    }

    /// This part of a full count; at least one.
    pub(crate) fn scaled(&self, full: u64) -> u64 {
        (full * self.percent / 100).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_understood_or_refused() {
        let all = parse("").unwrap().unwrap();
        assert_eq!((all.plan().len(), all.percent), (6, 100));
        let some = parse("kills --percent 10 --backend redis").unwrap().unwrap();
        assert_eq!(some.plan(), [(Run::Kills, Some(Backend::Redis))]);
        assert_eq!((some.scaled(500), some.scaled(3)), (50, 1));
        assert!(parse("--help").unwrap().is_none());
        for bad in ["nap", "--percent", "--percent 0", "--backend x", "kills --backend memory"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
