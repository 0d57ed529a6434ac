//! Every broken store is found, and every rule finds one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conformance_tests::{Suite, Verdict, rules};
use tokio::task::JoinSet;

use crate::defects::{ALL, Defect};
use crate::store::Backend;

/// The rules that the defect breaks.
async fn killers(defect: Defect) -> BTreeSet<&'static str> {
    let suite = Suite::<Backend>::new()
        .subject_index()
        .inspect()
        .purge()
        .timeout(Duration::from_secs(10))
        .effort(20);
    let mut killers = BTreeSet::new();
    for result in suite.run(Backend::new(Some(defect)), |_| true).await {
        match result.verdict {
            Verdict::Failed(report) => {
                let id = result.rule.id();
                assert!(report.contains(&format!("rule {id}")), "{report}");
                assert!(report.contains(result.rule.sentence()), "{report}");
                killers.insert(id);
            }
            Verdict::Passed => {}
            other => panic!("{:?} ended as {other:?}", result.rule),
        }
    }
    killers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_and_every_rule_finds_one() {
    let mut runs = JoinSet::new();
    for defect in ALL {
        runs.spawn(async move { (format!("{defect:?}"), killers(*defect).await) });
    }
    let kills: BTreeMap<_, _> = runs.join_all().await.into_iter().collect();
    for (defect, killers) in &kills {
        let killers: Vec<_> = killers.iter().copied().collect();
        println!("{defect:<32} {}", killers.join(" "));
    }
    let alive: Vec<_> = kills.iter().filter(|(_, k)| k.is_empty()).map(|(d, _)| d).collect();
    let idle: Vec<_> = rules()
        .iter()
        .filter(|rule| !kills.values().any(|killers| killers.contains(rule.id())))
        .collect();
    assert!(alive.is_empty(), "no rule finds {alive:?}");
    assert!(idle.is_empty(), "no defect breaks {idle:#?}");
}
