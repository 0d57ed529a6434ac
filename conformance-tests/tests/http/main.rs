//! Servers that do something wrong: each is found, and each HTTP rule finds one.

mod defects;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use conformance_tests::Verdict;
use conformance_tests::http::{HttpResult, HttpRule, HttpSuite, InProcess, http_rules};
use session_memory::MemoryStore;

use self::defects::{ALL, Defect};
use self::server::Faulty;

/// A rule that waits for what never comes is given up after this time.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs rules on a server with this defect, or with none.
async fn run(
    defect: Option<&'static Defect>,
    wanted: impl Fn(&HttpRule) -> bool,
) -> Vec<HttpResult> {
    let suite =
        HttpSuite::<_, InProcess<MemoryStore>>::new(Faulty(defect)).effort(20).timeout(LIMIT);
    suite.run(InProcess::default(), wanted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_defects_passes() {
    let failed: Vec<_> =
        run(None, |_| true).await.into_iter().filter(|it| it.verdict != Verdict::Passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_by_its_rule_and_every_rule_finds_one() {
    let mut missed = Vec::new();
    for defect in ALL {
        let results = run(Some(defect), |rule| rule.id() == defect.rule).await;
        let found =
            matches!(results.as_slice(), [only] if matches!(only.verdict, Verdict::Failed(_)));
        println!("{}  {}", defect.rule, defect.what);
        if !found {
            missed.push(format!("{}: {}", defect.rule, defect.what));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
    let finding: BTreeSet<_> = ALL.iter().map(|defect| defect.rule).collect();
    let all: BTreeSet<_> = http_rules().iter().map(HttpRule::id).collect();
    assert_eq!(finding, all);
}
