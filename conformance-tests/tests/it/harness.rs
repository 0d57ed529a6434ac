//! Claims, known failures, time-outs and reports.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance_tests::{
    Fixture, KnownFailure, Profile, Result, RuleResult, Space, Suite, Verdict,
};
use session_core::SessionId;

use crate::backend::Backend;
use crate::defects::Defect;
use crate::store::TestStore;

fn report(result: &RuleResult) -> &str {
    match &result.verdict {
        Verdict::Failed(report) => report,
        other => panic!("{:?} ended as {other:?}", result.rule),
    }
}

#[tokio::test]
async fn a_trait_that_is_not_claimed_fails_every_rule() {
    let suite = Suite::<Backend>::new().subject_index().inspect();
    let wanted = ["C01", "P01"];
    let results = suite.run(Backend::new(None), |rule| wanted.contains(&rule.id())).await;
    assert_eq!(results.len(), 2);
    for result in &results {
        assert!(report(result).contains("claim it by `.purge()`"), "{}", report(result));
    }
}

#[tokio::test]
async fn a_report_names_rule_sentence_seed_and_calls_and_no_secret() {
    let suite = Suite::<Backend>::new().subject_index().inspect().purge().seed(0x5eed);
    let backend = Backend::new(Some(Defect::CreateOverwrites));
    let results = suite.run(backend, |rule| rule.id() == "C02").await;
    let report = report(&results[0]);
    for expected in [
        "rule C02 is broken by the store of these tests",
        "Creating under the id of a live record answers `Exists`",
        "expected Exists",
        "actual   Created",
        "rules/create.rs:",
        "namespace, kept: t_c02_",
        "CONFORMANCE_SEED=0x5eed",
        "handle 1  create(id#1 rev#1 idle +3600000 ms deadline +86400000 ms",
        "-> Created",
        "µs]",
    ] {
        assert!(report.contains(expected), "{expected:?} is not in\n{report}");
    }
    for secret in ["alice", "SessionId(", "Revision(", "payload 0"] {
        assert!(!report.contains(secret), "{secret:?} is in\n{report}");
    }
    // What is published says where it was seen, and nothing of what.
    let reason = results[0].reason.as_deref().unwrap();
    let line = reason.strip_prefix("broken at rules/create.rs:").unwrap();
    assert!(line.parse::<u32>().is_ok(), "{reason}");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_choices() {
    let suite = Suite::<Backend>::new().subject_index().inspect().purge().seed(7);
    let run = async || {
        let backend = Backend::new(Some(Defect::ListsWhatIsOver));
        let results = suite.run(backend, |rule| rule.id() == "S11").await;
        let report = report(&results[0]).to_owned();
        let calls = report.split("the last calls").nth(1).unwrap_or_default().to_owned();
        // The time of each call differs.
        calls.lines().map(|line| line.split("  [").next().unwrap_or_default().to_owned()).collect()
    };
    let (first, second): (Vec<_>, Vec<_>) = (run().await, run().await);
    assert_eq!(first, second);
    assert!(first.len() > 3);
}

/// A fixture that changes one thing about another.
struct Changed<const HANGS: bool, const VOLATILE: bool>(Backend);

impl<const HANGS: bool, const VOLATILE: bool> Fixture for Changed<HANGS, VOLATILE> {
    type Store = TestStore;
    const PROFILE: Profile = match VOLATILE {
        true => Profile::new("volatile").volatile(),
        false => Profile::new("lasting"),
    };

    async fn start() -> Result<Self> {
        Err("not started in these tests".into())
    }

    async fn open(&self, space: &Space) -> Result<TestStore> {
        if HANGS {
            std::future::pending::<()>().await;
        }
        self.0.open(space).await
    }

    fn known_failures() -> &'static [KnownFailure] {
        &[
            KnownFailure { rule: "C02", because: "it overwrites" },
            KnownFailure { rule: "R02", because: "it has been mended" },
        ]
    }
}

#[tokio::test]
async fn a_rule_that_hangs_ends_with_a_clear_failure() {
    let suite = Suite::<Changed<true, false>>::new()
        .subject_index()
        .inspect()
        .purge()
        .timeout(Duration::from_millis(50));
    let results = suite.run(Changed(Backend::new(None)), |rule| rule.id() == "C01").await;
    assert!(report(&results[0]).contains("did not end within 50ms"), "{}", report(&results[0]));
    assert_eq!(results[0].reason.as_deref(), Some("the rule did not end within 50ms"));
}

#[tokio::test]
async fn known_failures_must_fail_and_what_does_not_apply_says_why() {
    let suite = Suite::<Changed<false, true>>::new().subject_index().inspect().purge();
    let wanted = ["C02", "R02", "I03", "X04"];
    let backend = Changed(Backend::new(Some(Defect::CreateOverwrites)));
    let results = suite.run(backend, |rule| wanted.contains(&rule.id())).await;
    let verdict = |id| &results.iter().find(|result| result.rule.id() == id).unwrap().verdict;
    assert_eq!(*verdict("C02"), Verdict::KnownFailure("it overwrites".to_owned()));
    assert!(matches!(verdict("R02"), Verdict::Failed(text) if text.contains("take it off")));
    assert!(matches!(verdict("I03"), Verdict::NotApplicable(text) if text.contains("process")));
    assert!(matches!(verdict("X04"), Verdict::NotApplicable(text) if text.contains("damage")));
    for result in &results {
        let reason = result.reason.as_deref().unwrap();
        match &result.verdict {
            Verdict::KnownFailure(text) | Verdict::NotApplicable(text) => assert_eq!(reason, text),
            other => assert_eq!(reason, "passes, and is listed as a known failure", "{other:?}"),
        }
    }
}

mod as_plain_tests {
    conformance_tests::tests!(crate::backend::Backend, subject_index, inspect, purge);
}

/// A fixture with nothing but what is required, which remembers the space that it was given.
struct Bare(Backend, Arc<Mutex<Option<Space>>>);

impl Fixture for Bare {
    type Store = TestStore;
    const PROFILE: Profile = Profile::new("bare");

    async fn start() -> Result<Self> {
        Err("not started in these tests".into())
    }

    async fn open(&self, space: &Space) -> Result<TestStore> {
        *self.1.lock().unwrap() = Some(space.clone());
        self.0.open(space).await
    }
}

#[tokio::test]
async fn a_fixture_need_not_tell_more_than_it_can() {
    let space = Arc::default();
    let suite = Suite::<Bare>::new().subject_index().inspect().purge();
    let bare = Bare(Backend::new(None), Arc::clone(&space));
    suite.run(bare, |rule| rule.id() == "E07").await;
    let space = space.lock().unwrap().clone().unwrap();
    assert!(space.name().starts_with("t_e07_") && space.name().len() == 14, "{space:?}");
    let bare = Bare(Backend::new(None), Arc::default());
    let id = SessionId::from_bytes([1; 16]).unwrap();
    assert_eq!(bare.physical_rows(&space).await.unwrap(), None);
    assert_eq!(bare.corrupt(&space, &id).await.unwrap(), None);
    assert_eq!(bare.backend().description(), "an unnamed backend");
}
