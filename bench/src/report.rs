//! The result, as it is written to the file.

use std::ops::AddAssign;

use serde::Serialize;

use crate::backend::{Contestant, Op, Standing};
use crate::payload::Lengths;
use crate::stats::Spread;

/// The version of the file's form.
pub(crate) const FORMAT: u32 = 2;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) format: u32,
    pub(crate) command: String,
    pub(crate) version: &'static str,
    /// Seconds since the Unix epoch.
    pub(crate) started_at: u64,
    pub(crate) quick: bool,
    /// Whether the compiler optimised.
    pub(crate) optimised: bool,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) machine: Machine,
    pub(crate) payload: Lengths,
    pub(crate) subject_length: usize,
    /// Sessions that each contestant holds while operations are measured.
    pub(crate) population: usize,
    pub(crate) backends: Vec<BackendReport>,
    pub(crate) tokens: Vec<TokenTime>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) system: &'static str,
    pub(crate) architecture: &'static str,
    pub(crate) processors: usize,
    /// Processes that ran or wanted to in the minute before, where the system says so: more than a few
    /// tenths spoil the figures.
    pub(crate) load_before: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BackendReport {
    pub(crate) name: &'static str,
    pub(crate) server: String,
    pub(crate) cells: Vec<Cell>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) scale: Vec<Scale>,
}

/// One operation of one contestant with so many tasks.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) operation: Op,
    pub(crate) tasks: usize,
    pub(crate) contestant: String,
    pub(crate) standing: Standing,
    pub(crate) operations_per_second: Spread,
    /// To the raw driver, paired by round.
    pub(crate) ratio: Option<Spread>,
    pub(crate) goal: Option<Bound>,
    /// Processor time of the server per operation, where it says so.
    pub(crate) server_microseconds: Option<Spread>,
    pub(crate) rounds: Vec<Sample>,
}

/// What was done in one round.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) operations: usize,
    pub(crate) seconds: f64,
    pub(crate) server_seconds: Option<f64>,
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
impl Sample {
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    pub(crate) fn server_microseconds(&self) -> Option<f64> {
        self.server_seconds.map(|seconds| seconds * 1e6 / self.operations as f64)
    }
}

impl AddAssign for Sample {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.seconds += other.seconds;
        let sum =
            self.server_seconds.unwrap_or_default() + other.server_seconds.unwrap_or_default();
        self.server_seconds = other.server_seconds.map(|_| sum);
    }
}

/// What one session takes, or one write of it.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    pub(crate) contestant: String,
    pub(crate) what: String,
    /// How many there were.
    pub(crate) sessions: usize,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    pub(crate) goal: Option<Bound>,
}

impl Size {
    /// Bytes, of which there may be so many at most.
    pub(crate) fn bytes(
        contestant: &dyn Contestant,
        what: String,
        sessions: usize,
        value: f64,
        most: Option<f64>,
    ) -> Self {
        let goal = most.map(|most| Bound::at_most(most, value));
        let contestant = contestant.name().into();
        Self { contestant, what, sessions, unit: Unit::Bytes, value, goal }
    }
}

/// What a size is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Bytes,
    /// A part of 1.
    Share,
}

/// Load with few and with many sessions.
#[derive(Debug, Serialize)]
pub(crate) struct Scale {
    pub(crate) contestant: String,
    pub(crate) tasks: usize,
    pub(crate) sessions: [usize; 2],
    pub(crate) loads_per_second: [f64; 2],
    /// The time of a load with many, in times of a load with few, paired by round.
    pub(crate) times_as_long: Spread,
    pub(crate) goal: Option<Bound>,
}

/// Nanoseconds of one step.
#[derive(Debug, Serialize)]
pub(crate) struct TokenTime {
    pub(crate) what: &'static str,
    pub(crate) nanoseconds: Spread,
    pub(crate) goal: Bound,
}

/// A goal beside what was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) is_upper: bool,
    pub(crate) is_met: bool,
    /// By how much it is missed: zero when it is met.
    pub(crate) missed_by: f64,
}

impl Bound {
    pub(crate) fn at_least(value: f64, measured: f64) -> Self {
        let missed_by = (value - measured).max(0.0);
        Self { value, is_upper: false, is_met: measured >= value, missed_by }
    }

    pub(crate) fn at_most(value: f64, measured: f64) -> Self {
        let missed_by = (measured - value).max(0.0);
        Self { value, is_upper: true, is_met: measured <= value, missed_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_missed_on_its_own_side_only() {
        assert!(Bound::at_least(0.5, 0.6).is_met && Bound::at_most(0.6, 0.5).is_met);
        let (slow, big) = (Bound::at_least(0.5, 0.25), Bound::at_most(700.0, 712.0));
        assert!(!slow.is_met && !big.is_met);
        assert!((slow.missed_by - 0.25).abs() < 1e-9 && (big.missed_by - 12.0).abs() < 1e-9);
    }

    #[test]
    fn a_sum_has_server_time_only_where_the_server_tells() {
        let told = Sample { operations: 2, seconds: 1.0, server_seconds: Some(0.5) };
        let mut sum = Sample::default();
        sum += told;
        sum += told;
        assert_eq!((sum.operations, sum.server_seconds), (4, Some(1.0)));
        assert!((sum.server_microseconds().unwrap() - 250_000.0).abs() < 1e-6);
        let mut silent = Sample::default();
        silent += Sample { server_seconds: None, ..told };
        assert_eq!(silent.server_microseconds(), None);
    }
}
