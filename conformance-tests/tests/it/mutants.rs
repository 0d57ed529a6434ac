//! Every broken store is found, and every rule finds one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use conformance_tests::{Rule, Suite, Verdict, rules};
use futures_util::{StreamExt, stream};

use crate::ALONE;
use crate::backend::Backend;
use crate::defects::{ALL, Defect};

/// The rules that each defect breaks, by the name of the defect.
type Kills = BTreeMap<String, BTreeSet<&'static str>>;

/// A few at a time, and far more time than any rule needs: running out of it would prove nothing.
const AT_ONCE: usize = 2;
const TIMEOUT: Duration = Duration::from_secs(600);

/// Who breaks more than a third of the rules proves little about any of them.
const TOO_COARSE: usize = 3;

/// Chapters whose rules these stores cannot break, and who does. Printed with the table.
const ELSEWHERE: &[(&str, &str)] = &[
    ("faults", "they need a network; the stores of `network_mutants` break each of them"),
    ("round_trips", "it needs a network too"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_and_every_rule_finds_one() {
    let _alone = ALONE.lock().await;
    let runs =
        ALL.iter().map(|defect| async move { (format!("{defect:?}"), killers(*defect).await) });
    let kills: Kills = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
    print_table(&kills).unwrap();

    let alive: Vec<_> = kills.iter().filter(|(_, k)| k.is_empty()).map(|(d, _)| d).collect();
    assert!(alive.is_empty(), "no rule finds {alive:?}");
    let telling: BTreeSet<_> = kills.values().filter(|k| is_telling(k)).flatten().collect();
    let idle: Vec<_> = rules_here().filter(|rule| !telling.contains(&rule.id())).collect();
    assert!(idle.is_empty(), "no defect of its own breaks {idle:#?}");
}

/// The rules that the defect breaks.
async fn killers(defect: Defect) -> BTreeSet<&'static str> {
    let suite = Suite::<Backend>::new().subject_index().inspect().purge();
    let suite = suite.effort(20).timeout(TIMEOUT);
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
            Verdict::NotApplicable(_) if is_broken_elsewhere(result.rule) => {}
            other => panic!("{:?} ended as {other:?}", result.rule),
        }
    }
    killers
}

fn is_broken_elsewhere(rule: &Rule) -> bool {
    ELSEWHERE.iter().any(|(chapter, _)| rule.group() == *chapter)
}

fn is_telling(killers: &BTreeSet<&str>) -> bool {
    killers.len() * TOO_COARSE <= rules_here().count()
}

fn rules_here() -> impl Iterator<Item = &'static Rule> {
    rules().iter().filter(|rule| !is_broken_elsewhere(rule))
}

/// Written past the capture of test output, so that every run shows it.
fn print_table(kills: &Kills) -> std::io::Result<()> {
    let mut table = format!(
        "\n{} broken stores, and which of the {} rules found them; * breaks too many to count\n",
        kills.len(),
        rules_here().count()
    );
    for (defect, killers) in kills {
        let coarse = if is_telling(killers) { ' ' } else { '*' };
        let killers: Vec<_> = killers.iter().copied().collect();
        writeln!(table, "{coarse} {defect:<32} {}", killers.join(" "))
            .map_err(std::io::Error::other)?;
    }
    for (chapter, reason) in ELSEWHERE {
        writeln!(table, "  not the rules of `{chapter}`: {reason}")
            .map_err(std::io::Error::other)?;
    }
    std::io::stderr().write_all(table.as_bytes())
}
