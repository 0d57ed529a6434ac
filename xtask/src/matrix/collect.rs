//! Reads the reports of all columns, and refuses what says nothing about the code as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conformance_tests::http::{HttpRule, http_rules};
use conformance_tests::report::Report;
use conformance_tests::{Rule, rules};

use super::columns::{self, Column, Place};
use super::fresh;
use crate::test::Scope;

/// The reports that make the document.
pub(super) struct Collected {
    /// Of the adapters of this workspace, in the order of the table of columns.
    pub(super) ours: Vec<Report>,
    /// Of the framework crates of this workspace, on the HTTP rules.
    pub(super) frameworks: Vec<Report>,
    /// As they were handed in, in the order of their names.
    pub(super) others: Vec<Report>,
}

impl Collected {
    /// All of these columns of adapters and of framework crates, and what others have handed in.
    pub(super) fn read(
        place: &Place,
        adapters: impl IntoIterator<Item = Column>,
        frameworks: impl IntoIterator<Item = Column>,
    ) -> Result<Self, String> {
        let mut wrong = Vec::new();
        let mut take = |columns: &mut dyn Iterator<Item = Column>, ids: &[&str]| {
            let mut reports = Vec::new();
            for column in columns {
                match own(place, column, ids) {
                    Ok(report) => reports.push(report),
                    Err(message) => wrong.push(message),
                }
            }
            reports
        };
        let ours = take(&mut adapters.into_iter(), &ids());
        let frameworks = take(&mut frameworks.into_iter(), &http_ids());
        for path in unexpected(place) {
            println!("not a column: {}", path.display());
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        Ok(Self { ours, frameworks, others: others(&place.others)? })
    }

    /// Those of these columns whose results count.
    pub(super) fn present(
        place: &Place,
        adapters: impl IntoIterator<Item = Column>,
        frameworks: impl IntoIterator<Item = Column>,
    ) -> Vec<Report> {
        let of = |column, ids: &[&str]| own(place, column, ids).ok();
        let adapters = adapters.into_iter().filter_map(|column| of(column, &ids()));
        let frameworks = frameworks.into_iter().filter_map(|column| of(column, &http_ids()));
        adapters.chain(frameworks).collect()
    }
}

/// The numbers of the rules of the contract.
fn ids() -> Vec<&'static str> {
    rules().iter().map(Rule::id).collect()
}

/// The numbers of the HTTP rules.
fn http_ids() -> Vec<&'static str> {
    http_rules().iter().map(HttpRule::id).collect()
}

/// The report of a column, which must tell of all these rules.
fn own(place: &Place, column: Column, ids: &[&str]) -> Result<Report, String> {
    let path = place.report(column);
    let Column { adapter, flavour } = column;
    let again = format!(
        "run it: CONFORMANCE_REPORT=\"$PWD/target/conformance\" SESSION_TEST_BACKEND={flavour} cargo {}\n  \
         or all: cargo xtask matrix --run",
        column.command()
    );
    if !path.exists() {
        return Err(format!(
            "{adapter} {flavour}: no results of a whole run\n  {again}\n  \
             (without a URL of a server in the environment, which would be another column)"
        ));
    }
    let report = read(&path)?;
    let newer = fresh::newer(&place.root, adapter, &path);
    if let Some(newer) = newer.map_err(|error| format!("{adapter} {flavour}: {error}"))? {
        let newer = newer.strip_prefix(&place.root).unwrap_or(&newer).display();
        return Err(format!(
            "{adapter} {flavour}: {newer} has changed since the results were written\n  {again}"
        ));
    }
    effort(&report).map_err(|error| format!("{adapter} {flavour}: {error}"))?;
    if (report.adapter.name.as_str(), report.flavour()) != (adapter, flavour) {
        return Err(format!("{adapter} {flavour}: the report is of another column"));
    }
    let is_there = |id: &&str| report.rules.iter().any(|rule| rule.rule == *id);
    let missing: Vec<_> = ids.iter().copied().filter(|id| !is_there(id)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "{adapter} {flavour}: no result for {}\n  {again}",
            missing.join(", ")
        ));
    }
    Ok(report)
}

/// Whole reports of runs that are in no column: of an adapter that is none, or of another flavour.
fn unexpected(place: &Place) -> Vec<PathBuf> {
    let expected: BTreeSet<_> = columns::all(Scope::Containers)
        .chain(columns::frameworks())
        .map(|column| place.report(column))
        .collect();
    let adapters = entries(&place.results).into_iter().filter(|path| path.is_dir());
    let reports = adapters.flat_map(|folder| entries(&folder)).filter(|path| is_json(path));
    reports.filter(|path| !expected.contains(path)).collect()
}

/// The reports that others have handed in for the contract of this version, in the order of their names.
fn others(folder: &Path) -> Result<Vec<Report>, String> {
    let (major, minor) = session_core::CONTRACT_VERSION;
    let contract = format!("{major}.{minor}");
    let mut reports = Vec::new();
    for path in entries(&folder.join(&contract)).into_iter().filter(|path| is_json(path)) {
        let report = read(&path)?;
        check(&report, &path, &contract).map_err(|error| format!("{}: {error}", path.display()))?;
        reports.push(report);
    }
    Ok(reports)
}

/// What the suite of this contract can have written.
fn check(report: &Report, path: &Path, contract: &str) -> Result<(), String> {
    if report.contract != contract {
        return Err(format!("a report on the contract {}", report.contract));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    if report.adapter.name != name {
        return Err(format!("a report of {}", report.adapter.name));
    }
    if columns::ADAPTERS.iter().any(|adapter| adapter.name == name) {
        return Err("an adapter of this workspace has no report here".to_owned());
    }
    effort(report)?;
    let known = |id: &str, chapter: &str| {
        rules().iter().any(|rule| rule.id() == id && rule.group() == chapter)
    };
    match report.rules.iter().find(|rule| !known(&rule.rule, &rule.chapter)) {
        Some(rule) => Err(format!("there is no rule {} in {}", rule.rule, rule.chapter)),
        None => Ok(()),
    }
}

/// Races that were hardly repeated prove little.
fn effort(report: &Report) -> Result<(), String> {
    const USUAL: u32 = 100;

    match report.effort {
        USUAL.. => Ok(()),
        less => Err(format!("an effort of {less} percent; {USUAL} is the least")),
    }
}

fn read(path: &Path) -> Result<Report, String> {
    Report::read(path).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{}: {error}{}", path.display(), source.unwrap_or_default())
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}
