//! The suite for one adapter, and its two front ends.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::{Inspect, Purge, SubjectIndex};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::fixture::Fixture;
use crate::profile::Profile;
use crate::report::{Folder, RuleReport, Run};
use crate::rule::{Rule, rules};
use crate::run::{Claims, Runner, Settings};
use crate::verdict::{RuleResult, Verdict};
use crate::{BoxError, Result};

/// How many rules run at once, where the caller does not say.
const AT_ONCE: usize = 16;

/// The conformance suite for the adapter that the fixture `F` leads to.
///
/// Name every optional trait that the store has. A claim that the type does not support does not compile;
/// a claim that the store does not keep, and a trait that it has without a claim, fail every rule.
pub struct Suite<F> {
    claims: Claims,
    settings: Settings,
    at_once: usize,
    fixture: PhantomData<fn() -> F>,
}

impl<F: Fixture> Suite<F> {
    /// The suite, with the settings of the environment: see the crate's documentation.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a suite without a fixture's type means nothing")]
    pub fn new() -> Self {
        Self {
            claims: Claims::default(),
            settings: Settings::from_env(),
            at_once: AT_ONCE,
            fixture: PhantomData,
        }
    }

    /// Claims that the store has a [`SubjectIndex`].
    #[must_use]
    pub const fn subject_index(mut self) -> Self
    where
        F::Store: SubjectIndex,
    {
        self.claims.subject_index = true;
        self
    }

    /// Claims that the store has [`Inspect`].
    #[must_use]
    pub const fn inspect(mut self) -> Self
    where
        F::Store: Inspect,
    {
        self.claims.inspect = true;
        self
    }

    /// Claims that the store has [`Purge`].
    #[must_use]
    pub const fn purge(mut self) -> Self
    where
        F::Store: Purge,
    {
        self.claims.purge = true;
        self
    }

    /// The choices of the run. By default from `CONFORMANCE_SEED`, else new in every run.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// The longest that a single rule may take. By default `CONFORMANCE_TIMEOUT` in seconds, else 60.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How often races are repeated, in percent. By default `CONFORMANCE_EFFORT`, else 100.
    #[must_use]
    pub const fn effort(mut self, percent: u32) -> Self {
        self.settings.effort = percent;
        self
    }

    /// How many rules run at the same time. By default 16; fewer where the backend is slow, since a rule may have
    /// a hundred calls under way.
    #[must_use]
    pub const fn at_once(mut self, rules: usize) -> Self {
        self.at_once = rules;
        self
    }

    /// The `main` of a test target without harness: each rule is a test of its own, with the arguments and
    /// the output of `cargo test`; `cargo nextest` works too.
    ///
    /// Starts the fixture when the first rule needs it, and drops it after the last.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(self.at_once);
        let shared = match Shared::new(self) {
            Ok(shared) => Arc::new(shared),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        let trials = rules().iter().map(|rule| {
            let shared = Arc::clone(&shared);
            Trial::ignorable_test(rule.path(), move || conclude(shared.run(rule)?))
        });
        let conclusion = libtest_mimic::run(&arguments, trials.collect());
        if !arguments.list {
            shared.print_summary();
        }
        shared.finish();
        conclusion.exit_code()
    }

    /// Runs the rules that `wanted` picks on a fixture that has been started already, and answers with
    /// their results in the order of the contract. For tests of the suite itself; writes no
    /// [report](crate::report).
    pub async fn run(&self, fixture: F, wanted: impl Fn(&Rule) -> bool) -> Vec<RuleResult> {
        let runner = self.runner(fixture);
        let wanted = rules().iter().filter(|rule| wanted(rule));
        let runs: Vec<_> = wanted.map(|rule| runner.run(rule)).collect();
        stream::iter(runs).buffered(self.at_once).collect().await
    }

    /// The state behind the tests of [`tests!`](crate::tests).
    ///
    /// # Errors
    ///
    /// When no runtime can be built, or a known failure names no rule.
    #[doc(hidden)]
    pub fn shared(self) -> Result<Shared> {
        Shared::new(self)
    }

    fn runner(&self, fixture: F) -> Runner {
        Runner {
            fixture: Arc::new(fixture),
            profile: F::PROFILE,
            claims: self.claims,
            known: F::known_failures(),
            settings: self.settings,
        }
    }
}

impl<F> std::fmt::Debug for Suite<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("claims", &self.claims)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A runtime and a fixture that all rules of a process share.
#[doc(hidden)]
pub struct Shared {
    runtime: Mutex<Option<Arc<Runtime>>>,
    start: Box<dyn Fn() -> BoxFuture<'static, Result<Runner>> + Send + Sync>,
    started: OnceCell<Result<Started, String>>,
    results: Mutex<Vec<RuleResult>>,
    profile: Profile,
    settings: Settings,
    reports: Option<Folder>,
}

/// What runs rules, and where it is written down if that is asked for.
struct Started {
    runner: Runner,
    report: Option<Run>,
}

impl Shared {
    fn new<F: Fixture>(suite: Suite<F>) -> Result<Self> {
        for known in F::known_failures() {
            if !rules().iter().any(|rule| rule.id() == known.rule) {
                return Err(format!("known_failures() names no rule: {}", known.rule).into());
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let settings = suite.settings;
        let suite = Arc::new(suite);
        Ok(Self {
            runtime: Mutex::new(Some(Arc::new(runtime))),
            start: Box::new(move || {
                let suite = Arc::clone(&suite);
                Box::pin(async move { Ok(suite.runner(F::start().await?)) })
            }),
            started: OnceCell::new(),
            results: Mutex::default(),
            profile: F::PROFILE,
            settings,
            reports: Folder::from_env(),
        })
    }

    /// Runs one rule to its end, and starts the fixture before if it is the first.
    fn run(&self, rule: &'static Rule) -> Result<RuleResult, String> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runtime = runtime.ok_or("the run is over")?;
        runtime.block_on(async {
            let started = self.started.get_or_init(|| self.started()).await;
            let Started { runner, report } = started.as_ref().map_err(Clone::clone)?;
            let result = runner.run(rule).await;
            self.results.lock().unwrap_or_else(PoisonError::into_inner).push(result.clone());
            let written = RuleReport::of(&result, self.settings.seed);
            match report.as_ref().map_or(Ok(()), |report| report.add(written)) {
                // A broken rule is told first.
                Err(error) if !result.is_failure() => Err(crate::chain(&error)),
                _ => Ok(result),
            }
        })
    }

    async fn started(&self) -> Result<Started, String> {
        let started = tokio::spawn((self.start)()).await;
        let runner = started.map_err(BoxError::from).and_then(|started| started);
        let runner = runner.map_err(|error| {
            // It fails in any case; what cannot be removed changes nothing about that.
            let _ = self.reports.as_ref().map(|reports| reports.discard(&self.profile));
            format!("the fixture did not start: {}", crate::chain(error.as_ref()))
        })?;
        let begin = |reports: &Folder| {
            let ids = rules().iter().map(Rule::id).collect();
            reports.begin(&self.profile, &runner.backend(), self.settings, ids)
        };
        let report = self.reports.as_ref().map(begin).transpose();
        let report = report.map_err(|error| crate::chain(&error))?;
        let (adapter, backend) = (self.profile.name(), runner.backend().description());
        eprintln!("conformance: {adapter} on {backend}, seed {:#x}", self.settings.seed);
        Ok(Started { runner, report })
    }

    /// Runs the rule with this number as a plain test. For [`tests!`](crate::tests).
    ///
    /// # Panics
    ///
    /// When the store breaks the rule.
    pub fn test(&self, id: &str) {
        let rule = rules().iter().find(|rule| rule.id() == id).expect("the table has the rule");
        match self.run(rule).and_then(|result| conclude(result).map_err(|failed| text(&failed))) {
            Ok(Completion::Ignored { reason }) => {
                eprintln!("{id}: {}", reason.unwrap_or_default());
            }
            Ok(Completion::Completed) => {}
            Err(message) => panic!("{message}"),
        }
    }

    fn print_summary(&self) {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = results.first() else { return };
        let count = |wanted: fn(&Verdict) -> bool| {
            results.iter().filter(|result| wanted(&result.verdict)).count()
        };
        eprintln!(
            "conformance: {} on {}: {} passed, {} failed, {} known failures, {} not applicable, seed {:#x}",
            results.len(),
            first.backend,
            count(|verdict| matches!(verdict, Verdict::Passed)),
            count(|verdict| matches!(verdict, Verdict::Failed(_))),
            count(|verdict| matches!(verdict, Verdict::KnownFailure(_))),
            count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
            self.settings.seed,
        );
        let report = self.started.get().and_then(|started| started.as_ref().ok()?.report.as_ref());
        match report.map(Run::whole) {
            Some(Some(path)) => eprintln!("conformance: the report is {}", path.display()),
            Some(None) => eprintln!("conformance: no report, since not every rule was run"),
            None => {}
        }
    }

    /// Drops the fixture inside its runtime, then ends the runtime.
    fn finish(self: Arc<Self>) {
        /// More than any server takes to be told to end.
        const PATIENCE: Duration = Duration::from_secs(10);

        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime.and_then(Arc::into_inner) else { return };
        if let Some(shared) = Arc::into_inner(self) {
            let entered = runtime.enter();
            drop(shared);
            drop(entered);
        }
        runtime.shutdown_timeout(PATIENCE);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn conclude(result: RuleResult) -> Result<Completion, Failed> {
    match result.verdict {
        Verdict::Passed => Ok(Completion::Completed),
        Verdict::Failed(report) => Err(Failed::from(report)),
        Verdict::KnownFailure(because) => {
            Ok(Completion::ignored_with(format!("known failure: {because}")))
        }
        Verdict::NotApplicable(reason) => {
            Ok(Completion::ignored_with(format!("not applicable: {reason}")))
        }
    }
}

fn text(failed: &Failed) -> String {
    failed.message().unwrap_or_default().to_owned()
}

/// Makes an ordinary `#[test]` function of every rule, for a test binary with other tests in it.
///
/// Takes the fixture and the optional traits that its store has. Prefer
/// [`Suite::main`] where you can: it drops the fixture at the end, which the plain tests cannot.
///
/// ```rs
/// mod conformance {
///     conformance_tests::tests!(super::MyFixture, subject_index, inspect);
/// }
/// ```
#[macro_export]
macro_rules! tests {
    ($fixture:ty $(, $claim:ident)* $(,)?) => {
        fn __conformance() -> &'static $crate::Shared {
            static SHARED: ::std::sync::OnceLock<$crate::Shared> = ::std::sync::OnceLock::new();
            SHARED.get_or_init(|| {
                $crate::Suite::<$fixture>::new()
                    $(.$claim())*
                    .shared()
                    .expect("the suite is set up")
            })
        }

        $crate::__rule_table!($crate::__plain_tests);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plain_tests {
    ($($group:ident { $($name:ident = $id:literal,)* })*) => {$(
        mod $group {$(
            #[test]
            fn $name() {
                super::__conformance().test($id);
            }
        )*}
    )*};
}
