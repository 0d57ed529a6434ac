//! `cargo xtask matrix`: what the conformance suites found, in `COMPATIBILITY.md` and for continuous integration.

mod collect;
mod columns;
mod compare;
mod fresh;
mod junit;
mod render;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;

use conformance_tests::http::http_rules;
use conformance_tests::rules;

use self::collect::Collected;
pub(crate) use self::columns::CONTAINER;
use self::columns::{Column, Place};
use crate::command::root;
use crate::programs;
use crate::side_by_side::{self, Job};
use crate::test::Scope;

/// The file for readers, in the folder of the workspace.
const DOCUMENT: &str = "COMPATIBILITY.md";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) results: Results,
    pub(crate) mode: Mode,
    pub(crate) scope: Scope,
}

/// Where the results come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// From the runs that have been.
    Present,
    /// From runs of all suites, made now.
    New,
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The document is written.
    Write,
    /// The document is compared.
    Check,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options =
            Self { results: Results::Present, mode: Mode::Write, scope: Scope::Containers };
        for argument in arguments {
            match *argument {
                "--run" => options.results = Results::New,
                "--check" => options.mode = Mode::Check,
                "--native-only" => options.scope = Scope::Everything,
                "--memory-only" => options.scope = Scope::MemoryOnly,
                unknown => return Err(format!("unknown option of `matrix`: {unknown}")),
            }
        }
        if options.mode == Mode::Write && options.scope != Scope::Containers {
            return Err(format!("a part of the columns makes no {DOCUMENT}; add --check"));
        }
        Ok(options)
    }
}

pub(crate) fn run(options: Options) -> Result<(), String> {
    columns::complete()?;
    if options.results == Results::New {
        clear()?;
        let columns = columns::all(options.scope).chain(columns::frameworks());
        side_by_side::run(suites(columns, &[])?)?;
    }
    let adapters = columns::all(options.scope);
    let collected = Collected::read(&Place::of_this_workspace(), adapters, columns::frameworks())?;
    junit::write(&results(), &[&collected.ours[..], &collected.frameworks].concat())?;
    let document = render::document(&collected, rules(), http_rules());
    let path = root().join(DOCUMENT);
    if options.mode == Mode::Write {
        let columns = collected.ours.len() + collected.frameworks.len();
        println!("{columns} columns, written to {DOCUMENT}");
        return fs::write(&path, document).map_err(|error| format!("{DOCUMENT}: {error}"));
    }
    let committed = fs::read_to_string(&path).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let run = collected.ours.iter().chain(&collected.frameworks);
    let names: Vec<String> = run.map(render::name).collect();
    let part = (options.scope != Scope::Containers).then_some(names.as_slice());
    compare::compare(&committed, &document, part).conclude()
}

/// Compares the document with the results that are there.
pub(crate) fn check(scope: Scope) -> Result<(), String> {
    run(Options { results: Results::Present, mode: Mode::Check, scope })
}

/// The folder that the suites write to.
pub(crate) fn results() -> PathBuf {
    root().join("target").join("conformance")
}

/// Removes the results of earlier runs.
pub(crate) fn clear() -> Result<(), String> {
    let folder = results();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Writes for continuous integration what has been found, whatever it is.
pub(crate) fn write_junit(scope: Scope) -> Result<(), String> {
    let (place, adapters) = (Place::of_this_workspace(), columns::all(scope));
    let present = Collected::present(&place, adapters, columns::frameworks());
    junit::write(&results(), &present)
}

/// The suites whose backends are containers, the slowest first.
pub(crate) fn in_containers(environment: &[(&str, PathBuf)]) -> Result<Vec<Job>, String> {
    let contained = |column: &Column| column.flavour == CONTAINER;
    let mut jobs = suites(columns::all(Scope::Containers).filter(contained), environment)?;
    jobs.reverse();
    Ok(jobs)
}

fn suites(
    columns: impl Iterator<Item = Column>,
    environment: &[(&str, PathBuf)],
) -> Result<Vec<Job>, String> {
    let programs = programs::build("--test conformance")?;
    let suite = |column: Column| {
        let program = programs.iter().find(|program| program.is_of(column.adapter));
        let mut command = program.ok_or(format!("{} has no suite", column.adapter))?.command();
        command.envs(environment.iter().cloned());
        command.env("CONFORMANCE_REPORT", results());
        // Where a backend can be had in several ways, this one is meant.
        command.env("SESSION_TEST_BACKEND", column.flavour);
        Ok(Job { name: format!("{} {}", column.adapter, column.flavour), command })
    };
    columns.map(suite).collect()
}
