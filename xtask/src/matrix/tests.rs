//! On made-up results of the rules of the first chapters.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use conformance_tests::http::{HttpRule, http_rules};
use conformance_tests::report::{Report, VerdictKind};
use conformance_tests::{Rule, rules};

use super::collect::Collected;
use super::columns::{self, Column, Place};
use super::compare::compare;
use super::*;

const MEMORY: Column = Column { adapter: "session-memory", flavour: "in-process" };
const TOWER: Column = Column { adapter: "session-tower", flavour: "in-process" };
const REDIS: Column = Column { adapter: "session-redis", flavour: "native" };

/// Every rule has passed.
fn report(adapter: &str, provision: &str) -> Report {
    let rules: Vec<String> = rules()
        .iter()
        .map(|rule| {
            format!(
                r#"{{"rule": "{}", "chapter": "{}", "name": "{}", "verdict": "passed", "micros": 12000, "seed": "0x1"}}"#,
                rule.id(),
                rule.group(),
                rule.name()
            )
        })
        .collect();
    let text = format!(
        r#"{{"schema": 1, "run": "one", "contract": "0.1", "suite": "0.1.0",
            "adapter": {{"name": "{adapter}", "version": "0.1.0"}},
            "backend": {{"provision": {provision}}},
            "system": "linux x86_64", "effort": 100, "rules": [{}]}}"#,
        rules.join(",")
    );
    Report::from_json(&text).unwrap()
}

fn memory() -> Report {
    let mut report = report("session-memory", r#"{"how": "in_process"}"#);
    for rule in ["R03", "R04"] {
        set(&mut report, rule, VerdictKind::NotApplicable, "nobody else is there");
    }
    report
}

fn redis(provision: &str) -> Report {
    let mut report = report("session-redis", provision);
    let text = report.to_json().replacen(
        "\"version\": \"0.1.0\"",
        "\"version\": \"0.1.0\", \"driver\": {\"name\": \"redis\", \"version\": \"1.8.1\"}",
        1,
    );
    let text = text.replacen(
        "\"provision\"",
        "\"product\": \"Redis\", \"version\": \"7.0.15\", \"provision\"",
        1,
    );
    report = Report::from_json(&text).unwrap();
    set_trips(&mut report, &[("create", 1), ("create with an index entry", 2)]);
    report
}

fn set(report: &mut Report, id: &str, verdict: VerdictKind, reason: &str) {
    let rule = report.rules.iter_mut().find(|rule| rule.rule == id).unwrap();
    (rule.verdict, rule.reason) = (verdict, Some(reason.to_owned()));
}

fn set_trips(report: &mut Report, trips: &[(&str, u64)]) {
    let last = report.rules.last_mut().unwrap();
    let trips: Vec<String> = trips
        .iter()
        .map(|(name, count)| format!(r#"{{"operation": "{name}", "count": {count}}}"#))
        .collect();
    last.round_trips = serde_json::from_str(&format!("[{}]", trips.join(","))).unwrap();
}

/// The rules that the golden file shows: those of the first two chapters.
fn first_chapters() -> &'static [Rule] {
    let end = rules().iter().position(|rule| rule.group() == "update").unwrap();
    &rules()[..end]
}

fn document(ours: Vec<Report>, others: Vec<Report>) -> String {
    let collected = Collected { ours, frameworks: vec![tower()], others };
    render::document(&collected, first_chapters(), http_chapter())
}

/// The first chapter of the HTTP rules.
fn http_chapter() -> &'static [HttpRule] {
    let end = http_rules().iter().position(|rule| rule.group() == "cookies").unwrap();
    &http_rules()[..end]
}

/// Every HTTP rule has passed.
fn tower() -> Report {
    let mut tower = report("session-tower", r#"{"how": "in_process"}"#);
    let passed = |rule: &HttpRule| {
        let (id, chapter, name) = (rule.id(), rule.group(), rule.name());
        format!(
            r#"{{"rule": "{id}", "chapter": "{chapter}", "name": "{name}", "verdict": "passed", "micros": 1, "seed": "0x1"}}"#
        )
    };
    let rules: Vec<String> = http_rules().iter().map(passed).collect();
    tower.rules = serde_json::from_str(&format!("[{}]", rules.join(","))).unwrap();
    tower
}

fn usual() -> Vec<Report> {
    vec![memory(), redis(r#"{"how": "native"}"#)]
}

#[test]
fn the_document_looks_like_this() {
    let mut contained = redis(r#"{"how": "container", "image": "redis:7.4"}"#);
    set(&mut contained, "C02", VerdictKind::Failed, "broken at rules/create.rs:1");
    set(&mut contained, "C05", VerdictKind::KnownFailure, "a reason | of two lines\nand a bar");
    set_trips(&mut contained, &[("create", 1)]);
    let mut foreign = report("session-valkey", r#"{"how": "given"}"#);
    foreign.rules.retain(|rule| rule.chapter != "load");
    for rule in rules().iter().filter(|rule| rule.group() == "create") {
        set(&mut foreign, rule.id(), VerdictKind::NotApplicable, "nobody else is there");
    }
    let mut ours = usual();
    ours.push(contained);
    let text = document(ours, vec![foreign]);
    let golden = include_str!("golden.md");
    assert_eq!(text, golden, "as it should be:\n{golden}\nas it is:\n{text}");
}

#[test]
fn what_differs_from_run_to_run_does_not_show() {
    let mut later = usual();
    for report in &mut later {
        "two".clone_into(&mut report.run);
        for rule in &mut report.rules {
            rule.micros += 1;
            "0x2".clone_into(&mut rule.seed);
        }
    }
    assert_eq!(document(usual(), vec![]), document(later, vec![]));
}

/// The differences that a change of the results makes, and the notes.
fn changes(change: impl FnOnce(&mut Vec<Report>)) -> (Vec<String>, Vec<String>) {
    let mut now = usual();
    change(&mut now);
    let comparison = compare(&document(usual(), vec![]), &document(now, vec![]), None);
    let failed = !comparison.differences.is_empty();
    let (differences, notes) = (comparison.differences.clone(), comparison.notes.clone());
    assert_eq!(comparison.conclude().is_err(), failed);
    (differences, notes)
}

#[test]
fn equal_results_do_not_differ() {
    assert_eq!(changes(|_| {}), (vec![], vec![]));
}

#[test]
fn another_verdict_is_a_difference() {
    let (differences, _) =
        changes(|now| set(&mut now[1], "C03", VerdictKind::Failed, "broken at rules/create.rs:1"));
    assert_eq!(
        differences,
        [
            "Compatibility, Rules, **all**, session-redis native: 11/11 there, 10/11 now",
            "Compatibility, Rules, Create (C01–C07), session-redis native: 7/7 there, 6/7, **failed: C03** now",
        ]
    );
    let (differences, _) =
        changes(|now| set(&mut now[0], "R03", VerdictKind::NotApplicable, "another reason"));
    assert_eq!(
        differences,
        [
            "Compatibility, Rules, Load (R01–R04), session-memory in process: 2/2, 2 n.a. (R03 R04: nobody else is there) \
          there, 2/2, 2 n.a. (R03: another reason) (R04: nobody else is there) now"
        ]
    );
    let (differences, _) =
        changes(|now| set(&mut now[1], "R01", VerdictKind::KnownFailure, "it is so"));
    assert!(differences[1].ends_with("4/4 there, 3/4, known failure: R01 (R01: it is so) now"));
}

#[test]
fn another_count_of_round_trips_is_a_difference() {
    let (differences, _) = changes(|now| {
        set_trips(&mut now[1], &[("create", 2), ("create with an index entry", 2), ("load", 1)]);
    });
    assert_eq!(
        differences,
        [
            "Compatibility, Round trips, create, session-redis native: 1 there, 2 now",
            "Compatibility, Round trips, load, session-redis native: not counted there, 1 now",
        ]
    );
}

#[test]
fn a_column_more_or_less_is_a_difference() {
    let told = |differences: &[String], ending: &str| {
        assert!(!differences.is_empty());
        for line in differences {
            assert!(line.contains("session-redis") && line.contains(ending), "{line}");
        }
    };
    let (differences, _) = changes(|now| {
        now.remove(1);
    });
    told(&differences, ", nothing now");
    let (differences, _) =
        changes(|now| now.push(redis(r#"{"how": "container", "image": "redis:7"}"#)));
    told(&differences, ": nothing there");
}

#[test]
fn a_rule_more_or_less_is_a_difference() {
    let collected = |rules| {
        let collected = Collected { ours: usual(), frameworks: vec![], others: vec![] };
        render::document(&collected, rules, http_chapter())
    };
    let (some, all) = (&first_chapters()[1..], first_chapters());
    let comparison = compare(&collected(some), &collected(all), None);
    let gone = "Create (C02–C07), session-redis native: 6/6 there, nothing now";
    let come = "Create (C01–C07), session-redis native: nothing there, 7/7 now";
    for expected in [gone, come] {
        assert!(
            comparison.differences.iter().any(|line| line.ends_with(expected)),
            "{comparison:?}"
        );
    }
}

#[test]
fn a_report_of_others_more_is_a_difference() {
    let foreign = report("session-valkey", r#"{"how": "given"}"#);
    let comparison =
        compare(&document(usual(), vec![]), &document(usual(), vec![foreign]), None).differences;
    assert!(comparison.iter().any(|line| line.starts_with("Reported by others, Rules")));
    assert!(comparison.iter().any(|line| line == "only there: None so far."));
}

#[test]
fn a_document_that_was_edited_is_a_difference() {
    let edited = document(usual(), vec![]).replace("made, not written", "written, not made");
    let comparison = compare(&edited, &document(usual(), vec![]), None);
    assert_eq!(comparison.differences.len(), 2, "{comparison:?}");
}

#[test]
fn other_versions_are_told_and_are_no_difference() {
    let (differences, notes) = changes(|now| {
        now[1].backend.version = Some("7.2.4".to_owned());
        "macos aarch64".clone_into(&mut now[0].system);
    });
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(
        notes,
        [
            "Compatibility, Versions, session-memory in process, system: linux x86_64 there, macos aarch64 now",
            "Compatibility, Versions, session-redis native, backend: Redis 7.0.15 there, Redis 7.2.4 now",
        ]
    );
}

#[test]
fn where_only_a_part_was_run_only_that_is_compared() {
    let committed = document(usual(), vec![]);
    let part = ["session-memory in process".to_owned()];
    let now = |report: Report| document(vec![report], vec![]);
    let comparison = compare(&committed, &now(memory()), Some(&part));
    assert_eq!(comparison.differences, Vec::<String>::new());
    let mut broken = memory();
    set(&mut broken, "C01", VerdictKind::Failed, "broken at rules/create.rs:1");
    assert_eq!(compare(&committed, &now(broken), Some(&part)).differences.len(), 2);
}

/// A workspace with nothing in it but results.
struct Workspace(PathBuf);

impl Workspace {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("session-matrix-{name}-{}", std::process::id()));
        for folder in [
            "session-core",
            "session-memory",
            "session-redis",
            "session-http",
            "session-tower",
            "conformance-tests/src",
        ] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        let workspace = Self(path);
        for file in ["Cargo.lock", "session-core/CONTRACT.md", "session-redis/layout.lua"] {
            workspace.write(file, "");
        }
        workspace.add(MEMORY, &memory());
        workspace.add(REDIS, &redis(r#"{"how": "native"}"#));
        workspace.add(TOWER, &tower());
        workspace
    }

    fn place(&self) -> Place {
        let (root, results, others) =
            (self.0.clone(), self.0.join("target"), self.0.join("reports"));
        Place { root, results, others }
    }

    /// Sources are ten hours old, results are new.
    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.set_age(file, Duration::from_secs(36_000));
    }

    fn set_age(&self, file: &str, age: Duration) {
        let file = File::options().append(true).open(self.0.join(file)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn add(&self, column: Column, report: &Report) {
        let path = self.place().report(column);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, report.to_json()).unwrap();
    }

    fn hand_in(&self, report: &Report) {
        self.write(&format!("reports/0.1/{}.json", report.adapter.name), &report.to_json());
    }

    fn read(&self) -> Result<Collected, String> {
        Collected::read(&self.place(), [MEMORY, REDIS], [TOWER])
    }

    fn refusal(&self) -> String {
        match self.read() {
            Ok(_) => panic!("taken as results of the code as it is"),
            Err(message) => message,
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn results_of_all_columns_are_read_in_the_order_of_the_table() {
    let workspace = Workspace::new("read");
    let collected = workspace.read().unwrap();
    assert_eq!(collected.ours, usual());
    assert_eq!(collected.frameworks, [tower()]);
    assert!(collected.others.is_empty());
}

#[test]
fn a_column_without_results_is_refused_with_what_to_do() {
    let workspace = Workspace::new("missing");
    fs::remove_file(workspace.place().report(REDIS)).unwrap();
    // What another way of providing it has left is another column.
    let given = Column { flavour: "given", ..REDIS };
    workspace.add(given, &redis(r#"{"how": "given"}"#));
    let message = workspace.refusal();
    for part in [
        "session-redis native: no results of a whole run",
        "SESSION_TEST_BACKEND=native cargo test --quiet -p session-redis --test conformance",
        "cargo xtask matrix --run",
    ] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert!(!message.contains("session-memory"), "{message}");
    let present = Collected::present(&workspace.place(), [MEMORY, REDIS], [TOWER]);
    assert_eq!(present, [memory(), tower()]);
}

#[test]
fn stale_results_are_refused() {
    for file in [
        "Cargo.lock",
        "session-core/CONTRACT.md",
        "session-core/src/record.rs",
        "conformance-tests/src/rule.rs",
        "session-redis/src/scripts/update.lua",
        "session-redis/tests/conformance.rs",
    ] {
        let workspace = Workspace::new("stale");
        workspace.write(file, "");
        workspace.read().unwrap();
        let report = workspace.place().report(REDIS);
        let report = report.strip_prefix(&workspace.0).unwrap().to_str().unwrap();
        workspace.set_age(report, Duration::from_secs(7200));
        workspace.set_age(file, Duration::from_secs(60));
        let message = workspace.refusal();
        let expected = format!("session-redis native: {file} has changed since");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn results_over_http_are_stale_when_the_http_crate_is_newer() {
    let workspace = Workspace::new("stale-http");
    workspace.write("session-http/src/lib.rs", "");
    workspace.read().unwrap();
    workspace.set_age("target/session-tower/in-process.json", Duration::from_secs(7200));
    workspace.set_age("session-http/src/lib.rs", Duration::from_secs(60));
    let message = workspace.refusal();
    assert!(message.contains("session-tower in-process: session-http/src/lib.rs has"), "{message}");
    assert!(message.contains("cargo test --quiet -p session-tower --all-features"), "{message}");
}

#[test]
fn a_framework_that_skipped_a_rule_is_refused() {
    let workspace = Workspace::new("http");
    let mut report = tower();
    report.rules.retain(|rule| rule.rule != "H07");
    workspace.add(TOWER, &report);
    assert!(workspace.refusal().contains("no result for H07"));
}

#[test]
fn results_that_are_not_those_of_the_column_are_refused() {
    let workspace = Workspace::new("wrong");
    let mut report = redis(r#"{"how": "native"}"#);
    report.rules.retain(|rule| rule.rule != "U07");
    workspace.add(REDIS, &report);
    assert!(workspace.refusal().contains("no result for U07"));

    workspace.add(REDIS, &redis(r#"{"how": "given"}"#));
    assert!(workspace.refusal().contains("of another column"));

    let mut report = redis(r#"{"how": "native"}"#);
    report.effort = 20;
    workspace.add(REDIS, &report);
    assert!(workspace.refusal().contains("an effort of 20 percent"));

    workspace.write(&format!("target/{}/native.json", REDIS.adapter), "{}");
    assert!(workspace.refusal().contains("native.json: not a report of the suite: "));
}

#[test]
fn what_others_hand_in_is_shown_as_it_is() {
    let workspace = Workspace::new("others");
    let mut foreign = report("session-valkey", r#"{"how": "container", "image": "valkey:8"}"#);
    set_trips(&mut foreign, &[("create", 1)]);
    workspace.hand_in(&foreign);
    workspace.write("reports/README.md", "how to hand one in");
    let collected = workspace.read().unwrap();
    assert_eq!(collected.others, [foreign]);
    let text = render::document(&collected, rules(), http_rules());
    let others = text.split("# Reported by others").nth(1).unwrap();
    assert!(others.contains("| session-valkey container | 0.1.0 | – | – | valkey:8 |"), "{others}");
}

#[test]
fn what_the_suite_did_not_write_is_not_taken_from_others() {
    let refused = |report: &Report, expected: &str| {
        let workspace = Workspace::new("unfit");
        workspace.hand_in(report);
        let message = workspace.refusal();
        assert!(message.contains(expected), "{expected}: {message}");
    };
    let valkey = || report("session-valkey", r#"{"how": "given"}"#);

    let mut of_later = valkey();
    "0.2".clone_into(&mut of_later.contract);
    refused(&of_later, "a report on the contract 0.2");
    let mut invented = valkey();
    "C99".clone_into(&mut invented.rules[0].rule);
    refused(&invented, "there is no rule C99 in create");
    let mut easy = valkey();
    easy.effort = 1;
    refused(&easy, "an effort of 1 percent");
    refused(&redis(r#"{"how": "native"}"#), "an adapter of this workspace");

    let workspace = Workspace::new("renamed");
    workspace.write("reports/0.1/session-other.json", &valkey().to_json());
    assert!(workspace.refusal().contains("a report of session-valkey"));
}

#[test]
fn continuous_integration_reads_every_verdict() {
    let mut report = redis(r#"{"how": "native"}"#);
    set(&mut report, "C02", VerdictKind::Failed, "broken at rules/create.rs:1");
    set(&mut report, "C03", VerdictKind::KnownFailure, "it is <so>");
    set(&mut report, "C04", VerdictKind::NotApplicable, "for no reason");
    let text = junit::text(&[memory(), report]).unwrap();
    let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let names: Vec<_> = read.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["session-memory in process", "session-redis native"]);
    let suite = &read.test_suites[1];
    let count = rules().len();
    assert_eq!((suite.tests, suite.failures), (count, 1));
    assert_eq!(text.matches("<skipped").count(), 2 + 2);
    let case = &suite.test_cases[1];
    assert_eq!(case.name.as_str(), "C02 live_id_is_refused");
    assert_eq!(case.classname.as_ref().unwrap().as_str(), "session-redis.create");
    assert_eq!(case.time, Some(Duration::from_millis(12)));
    for expected in [
        "broken at rules/create.rs:1",
        "Creating under the id of a live record answers `Exists`",
        "it is &lt;so&gt;",
        "for no reason",
    ] {
        assert!(text.contains(expected), "{expected} is missing in: {text}");
    }
}

#[test]
fn the_adapters_of_this_workspace_have_their_lines() {
    columns::complete().unwrap();
    let adapters = ["session-memory", "session-new"];
    assert_eq!(columns::without_line(adapters.into_iter()).collect::<Vec<_>>(), ["session-new"]);
}

#[test]
fn options_are_understood_or_refused() {
    let parsed = Options::parse(&["--run", "--check", "--memory-only"]).unwrap();
    let (results, mode, scope) = (Results::New, Mode::Check, Scope::MemoryOnly);
    assert_eq!(parsed, Options { results, mode, scope });
    assert!(Options::parse(&["--memory-only"]).unwrap_err().contains("--check"));
    assert!(Options::parse(&["--rum"]).unwrap_err().contains("--rum"));
}
