//! Stores that keep the contract pass every rule.

use conformance_tests::{Suite, Verdict, rules};

use crate::backend::Backend;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_these_tests_passes_every_rule() {
    let suite = Suite::<Backend>::new().subject_index().inspect().purge();
    let results = suite.run(Backend::new(None), |_| true).await;
    assert_eq!(results.len(), rules().len());
    for result in &results {
        match &result.verdict {
            Verdict::Passed => {}
            // There is no network between this store and its data.
            Verdict::NotApplicable(reason)
                if ["faults", "round_trips"].contains(&result.rule.group()) =>
            {
                assert!(reason.contains("no network"), "{reason}");
            }
            other => panic!("{:?} ended as {other:?}", result.rule),
        }
        println!("{:>9} µs  {} {}", result.micros, result.rule.id(), result.rule.path());
    }
}
