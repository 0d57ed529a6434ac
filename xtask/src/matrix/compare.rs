//! Compares the committed document with what was found now, cell by cell.

use std::collections::{BTreeMap, BTreeSet};

use super::DOCUMENT;
use super::render::VERSIONS;

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// What must be equal.
    pub(super) differences: Vec<String>,
    /// What may differ from one machine to the next.
    pub(super) notes: Vec<String>,
}

impl Comparison {
    /// Tells what differs, and fails if it must not.
    pub(super) fn conclude(self) -> Result<(), String> {
        for note in self.notes {
            println!("other versions here: {note}");
        }
        if self.differences.is_empty() {
            println!("{DOCUMENT} says what was found");
            return Ok(());
        }
        Err(format!(
            "{DOCUMENT} does not say what was found:\n  {}\nIf that is right: cargo xtask matrix, and commit \
             {DOCUMENT}",
            self.differences.join("\n  ")
        ))
    }
}

/// Compares the two; where only a part of the columns was run, these.
pub(super) fn compare(committed: &str, now: &str, part: Option<&[String]>) -> Comparison {
    let (committed, now) = (Document::parse(committed), Document::parse(now));
    let mut comparison = Comparison::default();
    let places: BTreeSet<&Place> = committed.cells.keys().chain(now.cells.keys()).collect();
    for place in places {
        let (old, new) = (committed.cells.get(place), now.cells.get(place));
        if old == new {
            continue;
        }
        let Place { table, row, column } = place;
        let told = |cell: Option<&String>| cell.map_or("nothing", String::as_str).to_owned();
        let message = format!("{table}, {row}, {column}: {} there, {} now", told(old), told(new));
        if table.ends_with(VERSIONS) && old.is_some() && new.is_some() {
            comparison.notes.push(message);
        } else if part.is_none_or(|part| part.contains(column) || part.contains(row)) {
            comparison.differences.push(message);
        }
    }
    for line in &committed.lines - &now.lines {
        comparison.differences.push(format!("only there: {line}"));
    }
    for line in &now.lines - &committed.lines {
        comparison.differences.push(format!("only now: {line}"));
    }
    comparison
}

/// A document taken apart.
#[derive(Default)]
struct Document {
    /// With the notes in the place of their marks.
    cells: BTreeMap<Place, String>,
    /// Whatever stands in no table.
    lines: BTreeSet<String>,
}

/// Where a cell stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Its headings.
    table: String,
    row: String,
    column: String,
}

impl Document {
    fn parse(text: &str) -> Self {
        let notes: BTreeMap<&str, &str> = text.lines().filter_map(note).collect();
        let mut document = Self::default();
        let (mut chapter, mut section) = ("", "");
        let mut header: Vec<&str> = Vec::new();
        for line in text.lines().filter(|line| note(line).is_none()) {
            let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
                if let Some(heading) = line.strip_prefix("# ") {
                    chapter = heading;
                } else if let Some(heading) = line.strip_prefix("## ") {
                    section = heading;
                }
                if !line.starts_with("|---") {
                    header.clear();
                    document.lines.insert(line.to_owned());
                }
                continue;
            };
            let cells: Vec<&str> = row.split(" | ").collect();
            if header.is_empty() {
                header = cells;
                continue;
            }
            for (column, cell) in header.iter().zip(&cells).skip(1) {
                let table = format!("{chapter}, {section}");
                let place = Place { table, row: cells[0].to_owned(), column: (*column).to_owned() };
                document.cells.insert(place, explained(cell, &notes));
            }
        }
        document
    }
}

/// The mark of a note and its text.
fn note(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("[^")?.split_once("]: ")
}

/// The cell with each note in the place of its mark.
fn explained(cell: &str, notes: &BTreeMap<&str, &str>) -> String {
    let mut parts = cell.split("[^");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once(']') {
        Some((mark, rest)) => {
            format!("{text} ({}){rest}", notes.get(mark).copied().unwrap_or("no such note"))
        }
        None => text + part,
    })
}
