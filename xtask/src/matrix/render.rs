//! The document: no time, seed or date stands in it, so that the same results make the same text.

use std::collections::BTreeMap;

use conformance_tests::Rule;
use conformance_tests::http::HttpRule;
use conformance_tests::report::{Operation, Provision, Report, RuleReport, VerdictKind};

use super::collect::Collected;

/// The headings of the tables. What stands under [`VERSIONS`] may differ from one machine to the next.
pub(super) const VERSIONS: &str = "Versions";

/// In a cell about which there is nothing to say.
const NOTHING: &str = "–";

const INTRODUCTION: &str = "\
# Compatibility

What the conformance suite found, rule by rule, on every adapter and each way in which its backend was provided. The rules are those
of the [contract](session-core/CONTRACT.md). This file is made, not written:

```console
$ cargo xtask matrix --run
```

runs every suite and renders the results; `cargo xtask test` runs them too, and fails where they differ from what stands here.
";

const RULES: &str = "\
The rules of a chapter that passed, of those that apply. A rule that says nothing about an adapter is not applicable (n.a.); the reasons
are below. A known failure is run like any other rule.
";

const ROUND_TRIPS: &str = "\
Counted by a proxy between the store and its server, on the common path. *At most* is what rule W01 allows; where it says nothing, the
counts are of a subject with one session.
";

const SERVERS: &str = "\
What the results above were made with.
";

const HTTP: &str = "\
The [rules of sessions over HTTP](session-http/CONTRACT.md), found by requests over TCP to an application of each framework crate.
";

const OTHERS: &str = "\
# Reported by others

As the suite wrote them down, for adapters that live elsewhere. How to hand in a report:
[`conformance-tests/reports`](conformance-tests/reports/README.md).
";

/// The document on these reports.
pub(super) fn document(
    collected: &Collected,
    rules: &'static [Rule],
    http_rules: &'static [HttpRule],
) -> String {
    let mut notes = Notes::default();
    let mut text = INTRODUCTION.to_owned();
    text += &tables(&collected.ours, rules, [RULES, ROUND_TRIPS, SERVERS], &mut notes);
    let http = chapters(&collected.frameworks, http_rules, &mut notes);
    text += &["\n## Over HTTP\n\n", HTTP, "\n", &http.render()].concat();
    text += "\n";
    text += OTHERS;
    if collected.others.is_empty() {
        text += "\nNone so far.\n";
    } else {
        text += &tables(&collected.others, rules, [""; 3], &mut notes);
    }
    text + &notes.render()
}

/// The name of a column: the adapter, and how its backend was provided.
pub(super) fn name(report: &Report) -> String {
    format!("{} {}", report.adapter.name, report.flavour().replace('-', " "))
}

/// The three tables, each with what is to be said about it.
fn tables(
    reports: &[Report],
    rules: &'static [Rule],
    about: [&str; 3],
    notes: &mut Notes,
) -> String {
    let tables = [
        ("Rules", chapters(reports, rules, notes)),
        ("Round trips", round_trips(reports)),
        (VERSIONS, versions(reports)),
    ];
    let table = |((heading, table), about): ((_, Table), &str)| {
        let space = if about.is_empty() { "" } else { "\n" };
        format!("\n## {heading}\n{space}{about}\n{}", table.render())
    };
    tables.into_iter().zip(about).map(table).collect::<Vec<_>>().concat()
}

/// A row for each chapter.
fn chapters<R: Numbered>(reports: &[Report], rules: &'static [R], notes: &mut Notes) -> Table {
    let mut table = Table::new("chapter", reports);
    for chapter in rules.chunk_by(|one, next| one.chapter() == next.chapter()) {
        let cells = reports.iter().map(|report| Tally::of(report, chapter).cell(notes));
        table.row(&heading(chapter), cells);
    }
    table.row("**all**", reports.iter().map(|report| Tally::of(report, rules).sum()));
    table
}

/// A rule, of the contract or of sessions over HTTP.
trait Numbered {
    fn number(&self) -> &'static str;
    fn chapter(&self) -> &'static str;
}

impl Numbered for Rule {
    fn number(&self) -> &'static str {
        self.id()
    }

    fn chapter(&self) -> &'static str {
        self.group()
    }
}

impl Numbered for HttpRule {
    fn number(&self) -> &'static str {
        self.id()
    }

    fn chapter(&self) -> &'static str {
        self.group()
    }
}

fn heading(chapter: &[impl Numbered]) -> String {
    let ids: Vec<&str> = chapter.iter().map(Numbered::number).collect();
    let name = chapter[0].chapter().replace('_', " ");
    format!("{}{} ({})", name[..1].to_uppercase(), &name[1..], ranges(&ids))
}

/// How the rules of a chapter ended.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    known: Vec<(&'static str, String)>,
    not_applicable: Vec<(&'static str, String)>,
    /// Rules that are younger than the suite that was run, or verdicts that are younger than this one.
    unknown: Vec<&'static str>,
}

impl Tally {
    fn of(report: &Report, chapter: &'static [impl Numbered]) -> Self {
        let results: BTreeMap<&str, &RuleReport> =
            report.rules.iter().map(|result| (result.rule.as_str(), result)).collect();
        let mut tally = Self::default();
        for rule in chapter {
            let id = rule.number();
            let result = results.get(id);
            let reason = result.and_then(|result| result.reason.clone()).unwrap_or_default();
            match result.map(|result| result.verdict) {
                Some(VerdictKind::Passed) => tally.passed += 1,
                Some(VerdictKind::Failed) => tally.failed.push(id),
                Some(VerdictKind::KnownFailure) => tally.known.push((id, reason)),
                Some(VerdictKind::NotApplicable) => tally.not_applicable.push((id, reason)),
                _ => tally.unknown.push(id),
            }
        }
        tally
    }

    fn applicable(&self) -> usize {
        self.passed + self.failed.len() + self.known.len() + self.unknown.len()
    }

    fn sum(&self) -> String {
        format!("{}/{}", self.passed, self.applicable())
    }

    fn cell(&self, notes: &mut Notes) -> String {
        let mut parts = Vec::new();
        if self.applicable() > 0 {
            parts.push(self.sum());
        }
        if !self.failed.is_empty() {
            parts.push(format!("**failed: {}**", self.failed.join(" ")));
        }
        if !self.known.is_empty() {
            let ids: Vec<_> = self.known.iter().map(|(id, _)| *id).collect();
            parts.push(format!("known failure: {}{}", ids.join(" "), notes.about(&self.known)));
        }
        if !self.unknown.is_empty() {
            parts.push(format!("not run: {}", self.unknown.join(" ")));
        }
        if !self.not_applicable.is_empty() {
            let some = match self.applicable() {
                0 => "n.a.".to_owned(),
                _ => format!("{} n.a.", self.not_applicable.len()),
            };
            parts.push(format!("{some}{}", notes.about(&self.not_applicable)));
        }
        parts.join(", ")
    }
}

/// The reasons, each of them once, in the order in which they are first needed.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    /// The marks of the reasons for these rules.
    fn about(&mut self, rules: &[(&'static str, String)]) -> String {
        let same_reason = rules.chunk_by(|one, next| one.1 == next.1);
        let marks: Vec<_> = same_reason
            .map(|same| {
                let ids: Vec<&str> = same.iter().map(|(id, _)| *id).collect();
                let note = format!("{}: {}", ranges(&ids), plain(&same[0].1));
                let known = self.0.iter().position(|known| *known == note);
                let index = known.unwrap_or_else(|| {
                    self.0.push(note);
                    self.0.len() - 1
                });
                format!("[^{}]", index + 1)
            })
            .collect();
        marks.concat()
    }

    fn render(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let note = |(index, note)| format!("[^{}]: {note}", index + 1);
        let notes: Vec<String> = self.0.iter().enumerate().map(note).collect();
        format!("\n{}\n", notes.join("\n"))
    }
}

/// A row for each operation, in the order in which the suite counts them.
fn round_trips(reports: &[Report]) -> Table {
    let counts: Vec<BTreeMap<&str, u64>> = reports.iter().map(counts).collect();
    let names = std::iter::once("at most".to_owned()).chain(reports.iter().map(name));
    let mut table = Table::with_columns("operation", names);
    for operation in Operation::all() {
        let most = operation.most.map_or_else(|| NOTHING.to_owned(), |most| most.to_string());
        let counts = counts.iter().map(|counts| match counts.get(operation.name) {
            Some(count) => count.to_string(),
            None if counts.is_empty() => "none".to_owned(),
            None => "not counted".to_owned(),
        });
        table.row(operation.name, std::iter::once(most).chain(counts));
    }
    table
}

fn counts(report: &Report) -> BTreeMap<&str, u64> {
    let counted = report.rules.iter().flat_map(|rule| &rule.round_trips);
    counted.map(|counted| (counted.operation.as_str(), counted.count)).collect()
}

/// A row for each column.
fn versions(reports: &[Report]) -> Table {
    let mut table = Table::with_columns(
        "",
        ["adapter", "driver", "backend", "image", "system", "suite"].map(str::to_owned).into_iter(),
    );
    for report in reports {
        let driver = report.adapter.driver.as_ref();
        let driver = driver.map(|it| with_version(&it.name, it.version.as_deref()));
        let backend = report.backend.product.as_deref();
        let backend = backend.map(|it| with_version(it, report.backend.version.as_deref()));
        let image = match &report.backend.provision {
            Provision::Container { image } => Some(image.clone()),
            _ => None,
        };
        let none = || NOTHING.to_owned();
        table.row(
            &name(report),
            [
                report.adapter.version.clone().unwrap_or_else(none),
                driver.unwrap_or_else(none),
                backend.unwrap_or_else(none),
                image.unwrap_or_else(none),
                report.system.clone(),
                report.suite.clone(),
            ]
            .into_iter(),
        );
    }
    table
}

fn with_version(name: &str, version: Option<&str>) -> String {
    format!("{name} {}", version.unwrap_or("of unknown version"))
}

struct Table(Vec<String>);

impl Table {
    fn new(corner: &str, reports: &[Report]) -> Self {
        Self::with_columns(corner, reports.iter().map(name))
    }

    fn with_columns(corner: &str, names: impl Iterator<Item = String>) -> Self {
        let mut table = Self(Vec::new());
        table.row(corner, names);
        let bars = table.0[0].matches('|').count();
        table.0.push("|---".repeat(bars - 1) + "|");
        table
    }

    fn row(&mut self, name: &str, cells: impl Iterator<Item = String>) {
        let cells = std::iter::once(name.to_owned()).chain(cells);
        let cells: Vec<_> = cells.map(|cell| plain(&cell)).collect();
        self.0.push(format!("| {} |", cells.join(" | ")));
    }

    fn render(&self) -> String {
        self.0.join("\n") + "\n"
    }
}

/// A text that ends neither a cell nor a line.
fn plain(text: &str) -> String {
    text.replace(['|', '\n', '\r'], " ")
}

/// Numbers that follow each other are told by the first and the last: `F01–F08 W01`.
fn ranges(ids: &[&str]) -> String {
    let follows = |one: &&str, next: &&str| match (one.get(1..), next.get(1..)) {
        (Some(first), Some(second)) if one[..1] == next[..1] => {
            let number = |digits: &str| digits.parse::<u32>().ok();
            number(first).zip(number(second)).is_some_and(|(first, second)| first + 1 == second)
        }
        _ => false,
    };
    let runs = ids.chunk_by(follows).map(|run| match run {
        [only] => (*only).to_owned(),
        [first, second] => format!("{first} {second}"),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(" ")
}
