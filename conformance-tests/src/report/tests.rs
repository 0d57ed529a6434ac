//! Reports are written whole or not at all, and tell nothing that nobody should know.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, process};

use super::*;
use crate::endpoint::Endpoint;
use crate::profile::Profile;
use crate::rule::{Rule, rules};
use crate::run::Settings;
use crate::verdict::{RuleResult, Verdict};

const PROFILE: Profile = Profile::new("an adapter/of\\tests").version("1.2.3").driver("tokio");
const SETTINGS: Settings = Settings { seed: 0x5eed, timeout: Duration::from_secs(1), effort: 70 };

/// A folder that goes with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("session-reports-{name}-{}", process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn run(&self, name: &str) -> Folder {
        Folder::new(&self.0, name)
    }

    fn whole(&self) -> PathBuf {
        self.0.join("an-adapter-of-tests").join("container.json")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn endpoint() -> Endpoint {
    let image = "registry.example:5000/redis:7.4".to_owned();
    let server = Endpoint::parse("redis://a-user:a-password@a-host:6379/3").unwrap();
    server.described("Redis", "7.4.1").provided(Provision::Container { image })
}

fn ids() -> Vec<&'static str> {
    rules().iter().map(Rule::id).collect()
}

fn begin(folder: &Folder) -> Run {
    folder.begin(&PROFILE, &endpoint(), SETTINGS, ids()).unwrap()
}

fn result(rule: &'static Rule) -> RuleReport {
    let verdict = match rule.id() {
        "C02" => Verdict::Failed("what a-user saw at a-host".to_owned()),
        "C03" => Verdict::KnownFailure("some reason".to_owned()),
        "P01" => Verdict::NotApplicable("another reason".to_owned()),
        _ => Verdict::Passed,
    };
    let result = RuleResult {
        rule,
        reason: (verdict != Verdict::Passed).then(|| format!("in short: {}", rule.id())),
        verdict,
        micros: 7,
        seed: 1,
        backend: endpoint().description(),
        round_trips: if rule.id() == "W01" { vec![("load", 1), ("create", 2)] } else { vec![] },
    };
    RuleReport::of(&result, SETTINGS.seed)
}

fn add(run: &Run, rules: &'static [Rule]) {
    for rule in rules {
        run.add(result(rule)).unwrap();
    }
}

fn add_all(run: &Run) {
    add(run, rules());
}

#[test]
fn a_whole_run_is_one_report_that_reads_back_as_it_was_written() {
    let folder = Temporary::new("whole");
    let run = begin(&folder.run("one"));
    for rule in rules() {
        assert_eq!(run.whole(), None);
        run.add(result(rule)).unwrap();
    }
    assert_eq!(run.whole(), Some(&*folder.whole()));

    let report = Report::read(folder.whole()).unwrap();
    assert!(report.missing().is_empty());
    assert_eq!(Report::from_json(&report.to_json()).unwrap(), report);
    assert_eq!(fs::read_to_string(folder.whole()).unwrap(), report.to_json());

    assert_eq!((report.schema, report.run.as_str(), report.effort), (SCHEMA, "one", 70));
    assert_eq!((report.contract.as_str(), report.suite.as_str()), ("0.1", "0.1.0"));
    assert_eq!((report.flavour(), report.backend.product.as_deref()), ("container", Some("Redis")));
    assert_eq!(report.adapter.version.as_deref(), Some("1.2.3"));
    let driver = report.adapter.driver.as_ref().unwrap();
    assert!(driver.name == "tokio" && driver.version.is_some(), "{driver:?}");

    let ids: Vec<_> = report.rules.iter().map(|rule| rule.rule.as_str()).collect();
    assert!(ids.iter().eq(rules().iter().map(Rule::id).collect::<Vec<_>>().iter()));
    let of = |id: &str| report.rules.iter().find(|rule| rule.rule == id).unwrap();
    let passed = of("C01");
    assert_eq!((passed.verdict, &passed.reason), (VerdictKind::Passed, &None));
    assert_eq!((passed.chapter.as_str(), passed.seed.as_str()), ("create", "0x5eed"));
    assert_eq!(of("C02").verdict, VerdictKind::Failed);
    assert_eq!(of("C02").reason.as_deref(), Some("in short: C02"));
    assert_eq!(of("C03").verdict, VerdictKind::KnownFailure);
    assert_eq!(of("P01").verdict, VerdictKind::NotApplicable);
    let trips: Vec<_> =
        of("W01").round_trips.iter().map(|it| (it.operation.as_str(), it.count)).collect();
    assert_eq!(trips, [("load", 1), ("create", 2)]);
}

#[test]
fn nothing_tells_where_the_backend_is_or_how_it_is_entered() {
    let folder = Temporary::new("secrets");
    add_all(&begin(&folder.run("one")));
    let text = fs::read_to_string(folder.whole()).unwrap();
    for secret in ["a-user", "a-password", "a-host", "6379", "registry.example", "5000"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(text.contains("\"image\": \"redis:7.4\""), "{text}");
}

#[test]
fn rules_in_processes_of_their_own_make_one_report() {
    let folder = Temporary::new("processes");
    for rule in rules() {
        begin(&folder.run("one")).add(result(rule)).unwrap();
    }
    assert!(Report::read(folder.whole()).unwrap().missing().is_empty());
}

#[test]
fn rules_that_end_at_the_same_time_make_one_report() {
    let folder = Temporary::new("threads");
    let run = begin(&folder.run("one"));
    std::thread::scope(|scope| {
        for rule in rules() {
            let run = &run;
            scope.spawn(move || run.add(result(rule)).unwrap());
        }
    });
    assert!(Report::read(folder.whole()).unwrap().missing().is_empty());
}

#[test]
fn a_run_leaves_no_report_of_an_earlier_one() {
    let folder = Temporary::new("stale");
    add_all(&begin(&folder.run("one")));
    // It goes at once, and what the earlier run found of the other rules does not count.
    let second = begin(&folder.run("two"));
    assert!(!folder.whole().exists());
    add(&second, &rules()[1..]);
    assert!(!folder.whole().exists());
    // A process that joins the run late takes nothing away.
    add(&second, &rules()[..1]);
    begin(&folder.run("two"));
    assert_eq!(Report::read(folder.whole()).unwrap().run, "two");
}

#[test]
fn a_backend_that_is_not_reached_leaves_no_report() {
    let folder = Temporary::new("unreached");
    folder.run("none").discard(&PROFILE).unwrap();
    add_all(&begin(&folder.run("one")));
    folder.run("two").discard(&PROFILE).unwrap();
    assert!(!folder.whole().exists());
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let folder = Temporary::new("unwritable");
    let run = begin(&folder.run("one"));
    fs::write(folder.0.join("an-adapter-of-tests"), "a file where the folder should be").unwrap();
    let error = run.add(result(&rules()[0])).unwrap_err();
    assert!(matches!(error, ReportError::Write { .. }), "{error}");
    assert!(error.to_string().contains("C01.json cannot be written"), "{error}");
}

#[test]
fn what_is_no_report_is_refused() {
    let folder = Temporary::new("refused");
    add_all(&begin(&folder.run("one")));
    let good = fs::read_to_string(folder.whole()).unwrap();

    let later = good.replacen("\"schema\": 1,", "\"schema\": 2, \"rules\": \"as of then\",", 1);
    let error = Report::from_json(&later).unwrap_err();
    assert!(matches!(error, ReportError::Schema { found: 2 }), "{error}");
    let twice = good.replacen("\"rule\": \"C02\"", "\"rule\": \"C01\"", 1);
    let error = Report::from_json(&twice).unwrap_err();
    assert!(matches!(&error, ReportError::Twice { rule } if rule == "C01"), "{error}");
    for rubbish in ["", "{}", "[1]", "{\"schema\": 1}", &good[..good.len() / 2]] {
        assert!(matches!(Report::from_json(rubbish), Err(ReportError::Format(_))), "{rubbish}");
    }
    let error = Report::read(Path::new("no such file")).unwrap_err();
    assert!(matches!(error, ReportError::Read { .. }), "{error}");
    // A field that this version does not know is passed over.
    let more = good.replacen("\"effort\": 70", "\"effort\": 70, \"weather\": \"fine\"", 1);
    assert_eq!(Report::from_json(&more).unwrap(), Report::from_json(&good).unwrap());
}

#[test]
fn parts_of_different_runs_are_not_merged() {
    let folder = Temporary::new("mixed");
    add_all(&begin(&folder.run("one")));
    let whole = Report::read(folder.whole()).unwrap();
    let part = |rule: usize| Report { rules: vec![whole.rules[rule].clone()], ..whole.clone() };
    assert_eq!(Report::merge([part(0), part(1)]).unwrap().rules, whole.rules[..2]);
    let other = Report { run: "two".to_owned(), ..part(1) };
    assert!(matches!(Report::merge([part(0), other]), Err(ReportError::Mixed)));
    assert!(matches!(Report::merge([part(0), part(0)]), Err(ReportError::Twice { .. })));
}
