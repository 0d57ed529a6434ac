//! The HTTP suite for one framework crate, as a custom test main.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::ManualClock;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::cx::HttpCx;
use super::fixture::{AnyHttpFixture, HttpFixture, Of};
use super::rule::{HttpRule, http_rules};
use crate::cx::Cx;
use crate::fixture::{AnyFixture, Fixture};
use crate::rng::{Rng, mix};
use crate::run::{Settings, panic_text};
use crate::space::Space;
use crate::verdict::{Stop, Verdict};

/// How many rules run at once, where the caller does not say.
const AT_ONCE: usize = 4;

/// The HTTP rules for the framework crate that `H` serves with, on the stores that `F` opens.
///
/// Run by `cargo test` like [`Suite`](crate::Suite), with the same variables of the environment.
pub struct HttpSuite<H, F> {
    settings: Settings,
    fixtures: PhantomData<fn() -> (H, F)>,
}

/// The result of one HTTP rule.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpResult {
    /// The rule.
    pub rule: &'static HttpRule,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took, in microseconds.
    pub micros: u64,
}

impl<H: HttpFixture, F: Fixture> HttpSuite<H, F> {
    /// The suite, with the settings of the environment: see the crate's documentation.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a suite without fixtures' types means nothing")]
    pub fn new() -> Self {
        Self { settings: Settings::from_env(), fixtures: PhantomData }
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
            runner: OnceCell::new(),
            http: Of::<H>::new(),
            name: H::NAME,
            settings: self.settings,
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
            let backend = shared.runner.get().and_then(|runner| runner.as_ref().ok());
            let backend = backend.map_or("nothing".to_owned(), Runner::backend);
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
            http: Of::<H>::new(),
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
    runner: OnceCell<Result<Runner, String>>,
    http: Arc<dyn AnyHttpFixture>,
    name: &'static str,
    settings: Settings,
    passed: Mutex<usize>,
    fixture: PhantomData<fn() -> F>,
}

impl<F: Fixture> Shared<F> {
    fn conclude(&self, rule: &'static HttpRule) -> Result<Completion, Failed> {
        let result = self.runtime.block_on(async {
            let runner = self.runner.get_or_init(|| self.started()).await;
            Ok::<_, String>(runner.as_ref().map_err(Clone::clone)?.run(rule).await)
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

    async fn started(&self) -> Result<Runner, String> {
        let fixture = F::start().await;
        let fixture = fixture.map_err(|error| {
            format!("the fixture of the stores did not start: {}", crate::chain(error.as_ref()))
        })?;
        Ok(Runner {
            stores: Arc::new(fixture),
            http: Arc::clone(&self.http),
            name: self.name,
            settings: self.settings,
        })
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

    /// Runs the rule as a task of its own.
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
        let begun = Instant::now();
        let mut task = tokio::spawn(async move { rule.run(&cx).await });
        let ended = tokio::time::timeout(self.settings.timeout, &mut task).await;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let verdict = match ended {
            Ok(Ok(Ok(()))) => Verdict::Passed,
            Ok(Ok(Err(Stop::NotApplicable(reason)))) => Verdict::NotApplicable(reason),
            Ok(Ok(Err(Stop::Failed(failure)))) => self.failed(rule, &failure.to_string()),
            Ok(Err(error)) => self.failed(rule, &panic_text(error)),
            Err(_) => {
                task.abort();
                let limit = self.settings.timeout;
                self.failed(rule, &format!("the rule did not end within {limit:?}"))
            }
        };
        HttpResult { rule, verdict, micros }
    }

    fn failed(&self, rule: &HttpRule, message: &str) -> Verdict {
        Verdict::Failed(format!(
            "rule {} is broken by {}\nthe rules say: {}\n\n  {}\n\nbackend: {}\n\
             CONFORMANCE_SEED={:#x} makes the same choices again",
            rule.id(),
            self.name,
            rule.sentence(),
            message.replace('\n', "\n  "),
            self.backend(),
            self.settings.seed,
        ))
    }
}
