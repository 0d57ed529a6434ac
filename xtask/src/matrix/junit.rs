//! The results in the format that systems for continuous integration read.

use std::fs;
use std::path::Path;
use std::time::Duration;

use conformance_tests::http::{HttpRule, http_rules};
use conformance_tests::report::{Report, VerdictKind};
use conformance_tests::{Rule, rules};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::render;

const FILE: &str = "junit.xml";

/// Writes `junit.xml` into the folder: a suite for each column, a case for each rule.
pub(super) fn write(folder: &Path, reports: &[Report]) -> Result<(), String> {
    let path = folder.join(FILE);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    fs::write(&path, text(reports)?).map_err(|error| failed(&error))
}

pub(super) fn text(reports: &[Report]) -> Result<String, String> {
    let mut document = quick_junit::Report::new("conformance");
    document.add_test_suites(reports.iter().map(suite));
    document.to_string().map_err(|error| format!("{FILE}: {error}"))
}

fn suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(render::name(report));
    for rule in &report.rules {
        let reason = rule.reason.as_deref().unwrap_or_default();
        let mut status = match rule.verdict {
            VerdictKind::Passed => TestCaseStatus::success(),
            VerdictKind::NotApplicable => TestCaseStatus::skipped(),
            VerdictKind::KnownFailure => {
                let mut status = TestCaseStatus::skipped();
                status.set_type("known failure");
                status
            }
            _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if rule.verdict != VerdictKind::Passed {
            status.set_message(reason);
        }
        if rule.verdict == VerdictKind::Failed {
            status.set_description(sentence(&rule.rule));
        }
        let mut case = TestCase::new(format!("{} {}", rule.rule, rule.name), status);
        case.set_classname(format!("{}.{}", report.adapter.name, rule.chapter));
        case.set_time(Duration::from_micros(rule.micros));
        suite.add_test_case(case);
    }
    suite
}

/// What the contract says, or the rules of sessions over HTTP.
fn sentence(id: &str) -> &'static str {
    let rule = rules().iter().find(|rule| rule.id() == id).map(Rule::sentence);
    let http = || http_rules().iter().find(|rule| rule.id() == id).map(HttpRule::sentence);
    rule.or_else(http).unwrap_or_default()
}
