//! The result, as people read it: Markdown whose columns stand in line.

use std::fmt::Write as _;

use crate::backend::Standing;
use crate::report::{BackendReport, Bound, Cell, Report, Unit};
use crate::stats::Spread;

/// The whole report.
pub(crate) fn render(report: &Report) -> String {
    let mut text = heading(report);
    for backend in &report.backends {
        let _ = writeln!(text, "\n## {}: {}\n", backend.name, backend.server);
        if !backend.cells.is_empty() {
            text += &operations(backend);
        }
        if !backend.sizes.is_empty() {
            text += "\nBytes per session, and what else is counted:\n\n";
            text += &sizes(backend);
        }
        if !backend.scale.is_empty() {
            text += "\nLoad in a small and in a large store:\n\n";
            text += &scale(backend);
        }
    }
    if !report.tokens.is_empty() {
        text += "\n## tokens\n\n";
        text += &tokens(report);
    }
    let (missed, all) = count(report);
    let _ = writeln!(text, "\n{} of {all} goals met, {missed} missed.", all - missed);
    text
}

fn heading(report: &Report) -> String {
    let Report { machine, rounds, seconds, population, .. } = report;
    let mut text = format!(
        "{} {}, {} processors{}. Medians of {rounds} rounds of {seconds} s (lowest–highest); ratios are to the \
         raw driver in the same round. {population} sessions while operations are measured.\n",
        machine.system,
        machine.architecture,
        machine.processors,
        machine.load_before.map_or(String::new(), |load| format!(", load before {load:.2}")),
    );
    if !report.optimised {
        text += "\n**Built without optimisation: the figures mean nothing.**\n";
    }
    if report.quick {
        text += "\n**A quick run, to see that it works: the figures mean nothing.**\n";
    }
    text
}

fn operations(backend: &BackendReport) -> String {
    let mut table = Table::new([
        "operation",
        "tasks",
        "contestant",
        "per second",
        "ratio",
        "goal",
        "",
        "server µs",
    ]);
    for cell in &backend.cells {
        let Cell { operation, tasks, contestant, .. } = cell;
        let first = cell.standing == Standing::Raw;
        table.row([
            if first { operation.to_string() } else { String::new() },
            if first { tasks.to_string() } else { String::new() },
            contestant.clone(),
            grouped(cell.operations_per_second.median),
            cell.ratio.map_or_else(|| "1".into(), |ratio| spread(ratio, 2)),
            cell.goal.map_or(String::new(), |goal| value(goal, 2)),
            cell.goal.map_or(String::new(), |goal| mark(goal, 2)),
            cell.server_microseconds.map_or(String::new(), |time| format!("{:.1}", time.median)),
        ]);
    }
    table.render()
}

fn sizes(backend: &BackendReport) -> String {
    let mut table = Table::new(["contestant", "what", "sessions", "", "goal", ""]);
    for size in &backend.sizes {
        let digits = if size.unit == Unit::Share { 3 } else { 0 };
        let unit = if size.unit == Unit::Share { "" } else { " B" };
        table.row([
            size.contestant.clone(),
            size.what.clone(),
            size.sessions.to_string(),
            format!("{:.digits$}{unit}", size.value),
            size.goal.map_or(String::new(), |goal| value(goal, digits)),
            size.goal.map_or(String::new(), |goal| mark(goal, digits)),
        ]);
    }
    table.render()
}

fn scale(backend: &BackendReport) -> String {
    let [small, large] = backend.scale.first().map_or([0, 0], |scale| scale.sessions);
    let small = format!("per second at {small}");
    let large = format!("at {large}");
    let header = ["contestant", "tasks", &small, &large, "times as long", "goal", ""];
    let mut table = Table::new(header);
    for scale in &backend.scale {
        let [small, large] = scale.loads_per_second;
        table.row([
            scale.contestant.clone(),
            scale.tasks.to_string(),
            grouped(small),
            grouped(large),
            spread(scale.times_as_long, 2),
            scale.goal.map_or(String::new(), |goal| value(goal, 2)),
            scale.goal.map_or(String::new(), |goal| mark(goal, 2)),
        ]);
    }
    table.render()
}

fn tokens(report: &Report) -> String {
    let mut table = Table::new(["step", "nanoseconds", "goal", ""]);
    for token in &report.tokens {
        table.row([
            token.what.into(),
            spread(token.nanoseconds, 0),
            value(token.goal, 0),
            mark(token.goal, 0),
        ]);
    }
    table.render()
}

/// Goals missed, and goals in all.
fn count(report: &Report) -> (usize, usize) {
    let of_backend = |backend: &BackendReport| {
        let cells = backend.cells.iter().filter_map(|cell| cell.goal);
        let sizes = backend.sizes.iter().filter_map(|size| size.goal);
        let scale = backend.scale.iter().filter_map(|scale| scale.goal);
        cells.chain(sizes).chain(scale).collect::<Vec<_>>()
    };
    let goals: Vec<Bound> = report
        .backends
        .iter()
        .flat_map(of_backend)
        .chain(report.tokens.iter().map(|token| token.goal))
        .collect();
    (goals.iter().filter(|goal| !goal.is_met).count(), goals.len())
}

fn spread(Spread { median, lowest, highest }: Spread, digits: usize) -> String {
    format!("{median:.digits$} ({lowest:.digits$}–{highest:.digits$})")
}

fn value(goal: Bound, digits: usize) -> String {
    let sign = if goal.is_upper { '≤' } else { '≥' };
    format!("{sign} {:.digits$}", goal.value)
}

fn mark(goal: Bound, digits: usize) -> String {
    if goal.is_met { "ok".into() } else { format!("MISSED by {:.digits$}", goal.missed_by) }
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    fn new(header: [&str; N]) -> Self {
        Self(vec![header.map(str::to_owned)])
    }

    fn row(&mut self, cells: [String; N]) {
        self.0.push(cells);
    }

    fn render(&self) -> String {
        let length = |text: &String| text.chars().count();
        let width = |at: usize| self.0.iter().map(|row| length(&row[at])).max().unwrap_or(0).max(1);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text += "|\n";
            if number == 0 {
                for width in widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text += "|\n";
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let groups =
            [(7.4, "7"), (999.6, "1 000"), (1_234_567.0, "1 234 567"), (12_345.0, "12 345")];
        for (number, text) in groups {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn columns_stand_in_line() {
        let mut table = Table::new(["a", ""]);
        table.row(["é–".into(), "1".into()]);
        assert_eq!(table.render(), "| a  |   |\n|----|---|\n| é– | 1 |\n");
    }

    #[test]
    fn a_missed_goal_says_by_how_much() {
        assert_eq!(mark(Bound::at_least(0.5, 0.4), 2), "MISSED by 0.10");
        assert_eq!(mark(Bound::at_most(700.0, 650.0), 0), "ok");
        assert_eq!(value(Bound::at_most(700.0, 650.0), 0), "≤ 700");
    }
}
