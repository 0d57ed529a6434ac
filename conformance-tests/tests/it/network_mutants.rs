//! Stores that do something wrong when the network fails: each is found, and each rule finds one.

mod client;
mod server;

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{
    Endpoint, Fixture, Profile, Rule, RuleResult, Space, Suite, Verdict, rules,
};
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use self::client::NetStore;
use self::server::Desk;
use crate::ALONE;
use crate::backend::Backend;

/// After this time a call is given up.
const LIMIT: Duration = Duration::from_millis(1_500);

/// What can be wrong with the store behind a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A load without a reply answers `None`.
    LossIsNone,
    /// A touch without a reply answers `Missing`.
    LossIsMissing,
    /// A delete without a reply answers `false`.
    LossIsFalse,
    /// An update without a reply answers `Conflict`.
    LossIsConflict,
    /// An update without a reply answers `Updated`.
    LossIsUpdated,
    /// Nothing is given up.
    HangsForEver,
    /// A write without a reply says that nothing happened.
    LossIsUnavailable,
    /// A `delete_all` without a reply does not say that it may have been partial.
    PartialIsNotSaid,
    /// After the first trouble nothing is tried any more.
    NeverReconnects,
    /// A create without a reply is sent again.
    CreateIsSentAgain,
    /// The same, and the answer is always `Created`.
    CreateIsSentAgainInSilence,
    /// A connection is used again whose reply nobody has read.
    KeepsConnectionOfDroppedCall,
    /// Errors show the payload, in their source.
    ErrorShowsPayload,
    /// Errors show the password of the server.
    ErrorShowsPassword,
    /// A create looks first and writes later.
    CreateChecksThenWrites,
    /// An update looks first and writes later.
    UpdateChecksThenWrites,
    /// `delete_all` spares what was written since it looked.
    DeleteAllSparesWhatChanges,
    /// `delete_all` removes entries of the index whose records are not there yet.
    DeleteAllTidiesTheUnborn,
    /// Who waits for a connection is not given up.
    WaitsForEver,
    /// A call that is given up keeps its place in the pool.
    LateCallKeepsItsPlace,
    /// A call that is given up leaves its connection to the next one.
    LateCallLeavesItsConnection,
    /// An update that was sent again answers as if it had been sent once.
    ResentUpdateForgetsItsFirstSend,
    /// So does a touch.
    ResentTouchForgetsItsFirstSend,
    /// Before each call the server is asked whether it is there.
    AsksBeforeEachCall,
    /// A create with a subject looks at the record and at the index before it writes.
    EntryTakesThree,
    /// A touch of what was loaded is answered without asking.
    TouchIsNotSent,
}

/// Every defect, and the rule that is made to find it.
const ALL: &[(Defect, &str)] = &[
    (Defect::LossIsNone, "F01"),
    (Defect::LossIsMissing, "F01"),
    (Defect::LossIsFalse, "F01"),
    (Defect::LossIsConflict, "F01"),
    (Defect::LossIsUpdated, "F01"),
    (Defect::HangsForEver, "F02"),
    (Defect::LossIsUnavailable, "F03"),
    (Defect::PartialIsNotSaid, "F03"),
    (Defect::NeverReconnects, "F04"),
    (Defect::CreateIsSentAgain, "F05"),
    (Defect::CreateIsSentAgainInSilence, "F05"),
    (Defect::KeepsConnectionOfDroppedCall, "F06"),
    (Defect::ErrorShowsPayload, "F07"),
    (Defect::ErrorShowsPassword, "F07"),
    (Defect::CreateChecksThenWrites, "F08"),
    (Defect::UpdateChecksThenWrites, "F08"),
    (Defect::DeleteAllSparesWhatChanges, "F08"),
    (Defect::DeleteAllTidiesTheUnborn, "F08"),
    (Defect::WaitsForEver, "F09"),
    (Defect::LateCallKeepsItsPlace, "F09"),
    (Defect::LateCallLeavesItsConnection, "F10"),
    (Defect::ResentUpdateForgetsItsFirstSend, "F11"),
    (Defect::ResentTouchForgetsItsFirstSend, "F11"),
    (Defect::AsksBeforeEachCall, "W01"),
    (Defect::EntryTakesThree, "W01"),
    (Defect::TouchIsNotSent, "W01"),
];

/// A backend, a server before it, and the one thing that is wrong with the stores that use them.
struct Net {
    backend: Backend,
    desk: Arc<Desk>,
    server: Endpoint,
    defect: Option<Defect>,
}

impl Net {
    async fn new(defect: Option<Defect>) -> conformance_tests::Result<Self> {
        let desk = Arc::default();
        let address = server::serve(Arc::clone(&desk)).await?;
        let server = Endpoint::parse(&format!("net://user:canary-password@{address}"))?;
        Ok(Self { backend: Backend::new(None), desk, server, defect })
    }
}

impl Fixture for Net {
    type Store = NetStore;
    const PROFILE: Profile =
        Profile::new("the networked store of these tests").op_timeout(Duration::from_secs(5));

    async fn start() -> conformance_tests::Result<Self> {
        Self::new(None).await
    }

    async fn open(&self, space: &Space) -> conformance_tests::Result<NetStore> {
        Ok(NetStore {
            behind: Arc::new(self.backend.open(space).await?),
            desk: Arc::clone(&self.desk),
            url: space.route_url(&self.server).await?,
            address: space.route(&self.server).await?,
            idle: None.into(),
            places: Semaphore::new(Semaphore::MAX_PERMITS),
            broken: false.into(),
            defect: self.defect,
        })
    }

    async fn open_narrow(&self, space: &Space) -> conformance_tests::Result<NetStore> {
        Ok(NetStore { places: Semaphore::new(1), ..self.open(space).await? })
    }
}

fn needs_network(rule: &Rule) -> bool {
    ["faults", "round_trips"].contains(&rule.group())
}

async fn run(defect: Option<Defect>, wanted: impl Fn(&Rule) -> bool) -> Vec<RuleResult> {
    let suite = Suite::<Net>::new().subject_index().inspect().purge();
    suite.run(Net::new(defect).await.unwrap(), wanted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_networked_store_passes_every_rule_about_the_network() {
    let _alone = ALONE.lock().await;
    let results = run(None, needs_network).await;
    for result in &results {
        assert_eq!(result.verdict, Verdict::Passed, "{:?}", result.rule);
        println!("{:>9} µs  {} {}", result.micros, result.rule.id(), result.rule.path());
    }
    let trips = &results.iter().find(|result| result.rule.id() == "W01").unwrap().round_trips;
    assert_eq!(trips.len(), 10, "{trips:?}");
    assert!(trips.iter().all(|(_, count)| *count == 1), "{trips:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_defect_is_found_by_its_rule() {
    /// A few at a time, so that none only runs out of time.
    const AT_ONCE: usize = 4;

    let _alone = ALONE.lock().await;
    let runs = ALL.iter().map(|(defect, expected)| async move {
        (defect, expected, run(Some(*defect), |rule| rule.id() == *expected).await)
    });
    let runs: Vec<_> = stream::iter(runs).buffered(AT_ONCE).collect().await;
    for (defect, expected, results) in &runs {
        let [RuleResult { verdict: Verdict::Failed(report), .. }] = results.as_slice() else {
            panic!("{defect:?} is not found by {expected}: {results:?}");
        };
        assert!(report.contains(&format!("rule {expected}")), "{report}");
        println!("{:<32} {expected}  {}", format!("{defect:?}"), message(report));
    }
    let idle: Vec<_> = rules()
        .iter()
        .filter(|rule| needs_network(rule) && !ALL.iter().any(|(_, id)| *id == rule.id()))
        .collect();
    assert!(idle.is_empty(), "no defect breaks {idle:?}");
}

/// What the rule saw, without the rest of the report.
fn message(report: &str) -> &str {
    report.lines().nth(3).unwrap_or_default().trim()
}
