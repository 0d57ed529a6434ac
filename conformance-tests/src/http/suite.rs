//! The HTTP suite for one framework crate, as a custom test main.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::ManualClock;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::cx::HttpCx;
use super::fixture::{AnyHttpFixture, HttpFixture};
use super::rule::{HttpRule, http_rules};
use crate::cx::Cx;
use crate::fixture::{AnyFixture, Fixture};
use crate::profile::Profile;
use crate::report::{Folder, RuleReport, Run};
use crate::rng::{Rng, mix};
use crate::run::{Ended, Settings, watch};
use crate::space::Space;
use crate::verdict::Verdict;

/// How many rules run at once, where the caller does not say.
const AT_ONCE: usize = 4;

/// The HTTP rules for the framework crate that `H` serves with, on the stores that `F` opens.
///
/// Run by `cargo test` like [`Suite`](crate::Suite), with the same variables of the environment.
pub struct HttpSuite<H, F> {
    http: Arc<H>,
    settings: Settings,
    stores: PhantomData<fn() -> F>,
}

/// The result of one HTTP rule.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpResult {
    /// The rule.
    pub rule: &'static HttpRule,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, in one line that shows nothing of what was seen, unless it passed.
    pub reason: Option<String>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

impl<H: HttpFixture, F: Fixture> HttpSuite<H, F> {
    /// The suite for what `http` serves, with the settings of the environment: see the crate's documentation.
    #[must_use]
    pub fn new(http: H) -> Self {
        Self { http: Arc::new(http), settings: Settings::from_env(), stores: PhantomData }
    }

    /// How often races are repeated, in percent. By default `CONFORMANCE_EFFORT`, else 100.
    #[must_use]
    pub const fn effort(mut self, percent: u32) -> Self {
        self.settings.effort = percent;
        self
    }

    /// The longest that a single rule may take. By default `CONFORMANCE_TIMEOUT` in seconds, else 60.
    #[must_use]
    pub const fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The `main` of a test target without harness: each rule is a test of its own.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(AT_ONCE);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        let shared = Arc::new(Shared::<F> {
            runtime,
            started: OnceCell::new(),
            http: self.http,
            profile: Profile::new(H::NAME).version(H::VERSION),
            settings: self.settings,
            reports: Folder::from_env(),
            passed: Mutex::new(0),
            fixture: PhantomData,
        });
        let trials = http_rules().iter().map(|rule| {
            let shared = Arc::clone(&shared);
            Trial::ignorable_test(rule.path(), move || shared.conclude(rule))
        });
        let conclusion = libtest_mimic::run(&arguments, trials.collect());
        if !arguments.list {
            let passed = *shared.passed.lock().unwrap_or_else(PoisonError::into_inner);
            let started = shared.started.get().and_then(|started| started.as_ref().ok());
            let backend = started.map_or("nothing".to_owned(), |it| it.runner.backend());
            eprintln!("conformance: {passed} HTTP rules passed by {} on {backend}", H::NAME);
        }
        let runtime = Arc::clone(&shared.runtime);
        let entered = runtime.enter();
        drop(shared);
        drop(entered);
        conclusion.exit_code()
    }

    /// Runs the rules that `wanted` picks on a fixture that has been started already. For tests of the suite itself.
    pub async fn run(&self, fixture: F, wanted: impl Fn(&HttpRule) -> bool) -> Vec<HttpResult> {
        let runner = Runner {
            stores: Arc::new(fixture),
            http: Arc::clone(&self.http) as _,
            name: H::NAME,
            settings: self.settings,
        };
        let wanted = http_rules().iter().filter(|rule| wanted(rule));
        let runs: Vec<_> = wanted.map(|rule| runner.run(rule)).collect();
        stream::iter(runs).buffered(AT_ONCE).collect().await
    }
}

impl<H, F> std::fmt::Debug for HttpSuite<H, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSuite").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What the rules of a process share.
struct Shared<F> {
    runtime: Arc<Runtime>,
    started: OnceCell<Result<Started, String>>,
    http: Arc<dyn AnyHttpFixture>,
    profile: Profile,
    settings: Settings,
    reports: Option<Folder>,
    passed: Mutex<usize>,
    fixture: PhantomData<fn() -> F>,
}

/// What runs rules, and where it is written down if that is asked for.
struct Started {
    runner: Runner,
    report: Option<Run>,
}

impl<F: Fixture> Shared<F> {
    fn conclude(&self, rule: &'static HttpRule) -> Result<Completion, Failed> {
        let result = self.runtime.block_on(async {
            let started = self.started.get_or_init(|| self.started()).await;
            let Started { runner, report } = started.as_ref().map_err(Clone::clone)?;
            let result = runner.run(rule).await;
            let written = result.report(self.settings.seed);
            match report.as_ref().map_or(Ok(()), |report| report.add(written)) {
                // A broken rule is told first.
                Err(error) if !matches!(result.verdict, Verdict::Failed(_)) => {
                    Err(crate::chain(&error))
                }
                _ => Ok(result),
            }
        })?;
        match result.verdict {
            Verdict::Passed => {
                *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                Ok(Completion::Completed)
            }
            Verdict::Failed(report) => Err(report.into()),
            Verdict::KnownFailure(reason) | Verdict::NotApplicable(reason) => {
                Ok(Completion::ignored_with(reason))
            }
        }
    }

    async fn started(&self) -> Result<Started, String> {
        let fixture = F::start().await.map_err(|error| {
            // It fails in any case; what cannot be removed changes nothing about that.
            let _ = self.reports.as_ref().map(|reports| reports.discard(&self.profile));
            format!("the fixture of the stores did not start: {}", crate::chain(error.as_ref()))
        })?;
        let begin = |reports: &Folder| {
            let ids = http_rules().iter().map(HttpRule::id).collect();
            reports.begin(&self.profile, &fixture.backend(), self.settings, ids)
        };
        let report = self.reports.as_ref().map(begin).transpose();
        let report = report.map_err(|error| crate::chain(&error))?;
        let (stores, http) = (Arc::new(fixture), Arc::clone(&self.http));
        let (name, settings) = (self.profile.name(), self.settings);
        Ok(Started { runner: Runner { stores, http, name, settings }, report })
    }
}

impl HttpResult {
    fn report(&self, seed: u64) -> RuleReport {
        RuleReport {
            rule: self.rule.id().to_owned(),
            chapter: self.rule.group().to_owned(),
            name: self.rule.name().to_owned(),
            verdict: (&self.verdict).into(),
            reason: self.reason.clone(),
            micros: self.micros,
            seed: format!("{seed:#x}"),
            round_trips: Vec::new(),
        }
    }
}

struct Runner {
    stores: Arc<dyn AnyFixture>,
    http: Arc<dyn AnyHttpFixture>,
    name: &'static str,
    settings: Settings,
}

impl Runner {
    fn backend(&self) -> String {
        self.stores.backend().description()
    }

    async fn run(&self, rule: &'static HttpRule) -> HttpResult {
        let seed = mix(self.settings.seed, rule.id());
        let cx = HttpCx {
            fixture: Arc::clone(&self.http),
            stores: Arc::clone(&self.stores),
            space: Space::new(format!("t_{}_{:08x}", rule.id().to_lowercase(), Cx::nonce())),
            clock: ManualClock::starting_now(),
            rng: Mutex::new(Rng::new(seed)),
            effort: self.settings.effort,
        };
        let test = async move { rule.run(&cx).await };
        let report = |message: &str| self.report(rule, message);
        let Ended { verdict, reason, micros } = watch(test, self.settings.timeout, report).await;
        HttpResult { rule, verdict, reason, micros }
    }

    fn report(&self, rule: &HttpRule, message: &str) -> String {
        format!(
            "rule {} is broken by {}\nthe rules say: {}\n\n  {}\n\nbackend: {}\n\
             CONFORMANCE_SEED={:#x} makes the same choices again",
            rule.id(),
            self.name,
            rule.sentence(),
            message.replace('\n', "\n  "),
            self.backend(),
            self.settings.seed,
        )
    }
}
