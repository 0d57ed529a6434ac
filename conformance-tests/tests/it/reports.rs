//! Reports of runs in several processes, as a runner makes them that gives each test its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use conformance_tests::report::{Report, VerdictKind};
use conformance_tests::{Rule, rules};

/// The rules as plain tests of this very program.
const TESTS: &str = "harness::as_plain_tests::";

/// Runs the rules whose names begin so, in a process of its own.
fn run(run: &str, folder: &Path, names: &str) -> Output {
    let output = Command::new(env::current_exe().unwrap())
        .args([&format!("{TESTS}{names}"), "--test-threads=4"])
        .env("CONFORMANCE_REPORT", folder)
        .env("CONFORMANCE_EFFORT", "1")
        .env("NEXTEST_RUN_ID", run)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_processes_of_one_run_make_one_report_and_of_another_none() {
    let name = format!("session-reports-it-{}", std::process::id());
    let folder = Temporary(env::temp_dir().join(name));
    let adapter = folder.0.join("the-store-of-these-tests");
    let whole = adapter.join("given.json");
    let chapters: BTreeSet<_> = rules().iter().map(Rule::group).collect();
    for chapter in &chapters {
        assert!(!whole.exists(), "before {chapter}");
        run("first", &folder.0, &format!("{chapter}::"));
    }
    let report = Report::read(&whole).unwrap();
    assert_eq!(report.run, "first");
    assert!(report.missing().is_empty());
    for rule in &report.rules {
        let expected = match rule.chapter.as_str() {
            "faults" | "round_trips" => VerdictKind::NotApplicable,
            _ => VerdictKind::Passed,
        };
        assert_eq!(rule.verdict, expected, "{rule:?}");
    }
    let text = fs::read_to_string(&whole).unwrap();
    assert!(!text.contains("t_c01_"), "a namespace is in {text}");

    let part = Report::read(adapter.join("given").join("E07.json")).unwrap();
    assert_eq!(part.rules.len(), 1);
    assert!(report.rules.contains(&part.rules[0]));

    run("second", &folder.0, "expiry::");
    assert!(!whole.exists(), "what remains of the first run is no report");
}
