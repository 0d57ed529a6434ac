//! Every broken store is found, and every rule finds one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use conformance_tests::{Suite, Verdict, rules};
use tokio::task::JoinSet;

use crate::defects::{ALL, Defect};
use crate::store::Backend;

/// The rules that the defect breaks.
async fn killers(defect: Defect) -> BTreeSet<&'static str> {
    let suite = Suite::<Backend>::new().subject_index().inspect().purge().effort(20);
    let mut killers = BTreeSet::new();
    for result in suite.run(Backend::new(Some(defect)), |_| true).await {
        match result.verdict {
            Verdict::Failed(report) => {
                let id = result.rule.id();
                assert!(report.contains(&format!("rule {id}")), "{report}");
                assert!(report.contains(result.rule.sentence()), "{report}");
                assert!(!report.contains("did not end"), "{defect:?} hangs:\n{report}");
                killers.insert(id);
            }
            Verdict::Passed => {}
            other => panic!("{:?} ended as {other:?}", result.rule),
        }
    }
    killers
}

/// Written past the capture of test output, so that every run shows it.
fn print_table(kills: &BTreeMap<String, BTreeSet<&'static str>>) -> std::io::Result<()> {
    let mut table = format!("\n{} broken stores, and the rules that found them\n", kills.len());
    for (defect, killers) in kills {
        let killers: Vec<_> = killers.iter().copied().collect();
        writeln!(table, "  {defect:<32} {}", killers.join(" ")).map_err(std::io::Error::other)?;
    }
    std::io::stderr().write_all(table.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_and_every_rule_finds_one() {
    let mut kills = BTreeMap::new();
    // A few at a time: a rule that only ran out of time would prove nothing.
    for batch in ALL.chunks(4) {
        let runs: JoinSet<_> = batch
            .iter()
            .map(|defect| async move { (format!("{defect:?}"), killers(*defect).await) })
            .collect();
        kills.extend(runs.join_all().await);
    }
    print_table(&kills).unwrap();
    let alive: Vec<_> = kills.iter().filter(|(_, k)| k.is_empty()).map(|(d, _)| d).collect();
    // Handles that see nothing of each other break nearly every rule; that proves little about any one.
    let telling: BTreeSet<_> = kills
        .iter()
        .filter(|(defect, _)| **defect != format!("{:?}", Defect::HandlesAreApart))
        .flat_map(|(_, killers)| killers)
        .collect();
    let idle: Vec<_> = rules().iter().filter(|rule| !telling.contains(&rule.id())).collect();
    assert!(alive.is_empty(), "no rule finds {alive:?}");
    assert!(idle.is_empty(), "no defect breaks {idle:#?}");
}
