//! Runs one rule.

use std::mem::take;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use session_core::{Clock, ManualClock, SessionStore};
use tokio::task::JoinError;

use crate::cx::{Cx, Setting};
use crate::endpoint::Endpoint;
use crate::fixture::{AnyFixture, KnownFailure};
use crate::profile::Profile;
use crate::rng::{entropy, mix};
use crate::rule::{Feature, Rule};
use crate::space::Space;
use crate::transcript::Transcript;
use crate::verdict::{Checked, RuleResult, Stop, Verdict};

/// The optional traits that an adapter claims to have.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "one flag for each optional trait")]
pub(crate) struct Claims {
    pub(crate) subject_index: bool,
    pub(crate) inspect: bool,
    pub(crate) purge: bool,
}

impl Claims {
    fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::SubjectIndex => self.subject_index,
            Feature::Inspect => self.inspect,
            Feature::Purge => self.purge,
        }
    }
}

/// How hard, how long and with which choices rules are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) timeout: Duration,
    pub(crate) effort: u32,
}

impl Settings {
    /// Read from `CONFORMANCE_SEED`, `CONFORMANCE_TIMEOUT` and `CONFORMANCE_EFFORT`.
    pub(crate) fn from_env() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| parse(&text));
        Self {
            seed: number("CONFORMANCE_SEED").unwrap_or_else(entropy),
            timeout: Duration::from_secs(number("CONFORMANCE_TIMEOUT").unwrap_or(60)),
            effort: number("CONFORMANCE_EFFORT")
                .and_then(|effort| u32::try_from(effort).ok())
                .unwrap_or(100),
        }
    }
}

fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A started fixture, and everything that is needed to run rules on it.
pub(crate) struct Runner {
    pub(crate) fixture: Arc<dyn AnyFixture>,
    pub(crate) profile: Profile,
    pub(crate) claims: Claims,
    pub(crate) known: &'static [KnownFailure],
    pub(crate) settings: Settings,
}

impl Runner {
    pub(crate) fn backend(&self) -> Endpoint {
        self.fixture.backend()
    }

    /// Runs the rule as a task of its own. Must be called on the runtime of the suite.
    pub(crate) async fn run(&self, rule: &'static Rule) -> RuleResult {
        let seed = mix(self.settings.seed, rule.id());
        let clock = ManualClock::starting_now();
        let transcript = Arc::new(Transcript::new(clock.now()));
        let setting = Setting {
            fixture: Arc::clone(&self.fixture),
            profile: self.profile,
            space: Space::new(format!("t_{}_{:08x}", rule.id().to_lowercase(), Cx::nonce())),
            clock,
            transcript: Arc::clone(&transcript),
            seed,
            effort: self.settings.effort,
            round_trips: Arc::default(),
        };
        let round_trips = Arc::clone(&setting.round_trips);
        let place = setting.space.name().to_owned();
        let claims = self.claims;
        let report = |message: &str| self.report(rule, seed, &place, &transcript, message);
        let test = run(rule, setting, claims);
        let Ended { verdict, reason, micros } = watch(test, self.settings.timeout, report).await;
        let (verdict, reason) = self.weigh(rule, verdict, reason);
        let round_trips = take(&mut *round_trips.lock().unwrap_or_else(PoisonError::into_inner));
        let backend = self.backend().description();
        RuleResult { rule, verdict, reason, micros, seed, backend, round_trips }
    }

    /// Turns the verdict round for a rule that is known to be broken.
    fn weigh(
        &self,
        rule: &Rule,
        verdict: Verdict,
        reason: Option<String>,
    ) -> (Verdict, Option<String>) {
        let Some(known) = self.known.iter().find(|known| known.rule == rule.id()) else {
            return (verdict, reason);
        };
        let because = known.because.to_owned();
        match verdict {
            Verdict::Failed(_) => (Verdict::KnownFailure(because.clone()), Some(because)),
            Verdict::Passed => {
                let report = format!(
                    "rule {} passes: take it off `known_failures()`, where it is listed because: {because}",
                    rule.id(),
                );
                (
                    Verdict::Failed(report),
                    Some("passes, and is listed as a known failure".to_owned()),
                )
            }
            other => (other, reason),
        }
    }

    fn report(
        &self,
        rule: &Rule,
        seed: u64,
        place: &str,
        transcript: &Transcript,
        message: &str,
    ) -> String {
        let message = transcript.labelled(message).replace('\n', "\n  ");
        let report = format!(
            "rule {id} is broken by {adapter}\n\
             the contract says: {sentence}\n\n  \
             {message}\n\n\
             backend: {backend}\n\
             namespace, kept: {place}\n\
             seed: {seed:#x}; CONFORMANCE_SEED={run_seed:#x} makes the same choices again\n\
             the last calls, times relative to the start of the rule:{transcript}",
            id = rule.id(),
            adapter = self.profile.name(),
            sentence = rule.sentence(),
            backend = self.backend().description(),
            run_seed = self.settings.seed,
        );
        transcript.without_ids(&report)
    }
}

/// How the test of a rule ended.
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    /// Why, in one line that shows nothing of what was seen, unless it passed.
    pub(crate) reason: Option<String>,
    pub(crate) micros: u64,
}

/// Runs the test of a rule as a task of its own, and gives it up when it takes too long. `report` makes the text of a
/// failure from what was seen.
pub(crate) async fn watch(
    test: impl Future<Output = Checked> + Send + 'static,
    limit: Duration,
    report: impl Fn(&str) -> String,
) -> Ended {
    let begun = Instant::now();
    let mut task = tokio::spawn(test);
    let ended = tokio::time::timeout(limit, &mut task).await;
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (verdict, reason) = match ended {
        Ok(Ok(Ok(()))) => (Verdict::Passed, None),
        Ok(Ok(Err(Stop::NotApplicable(reason)))) => {
            (Verdict::NotApplicable(reason.clone()), Some(reason))
        }
        Ok(Ok(Err(Stop::Failed(failure)))) => {
            let reason = format!("broken at {}", failure.place());
            (Verdict::Failed(report(&failure.to_string())), Some(reason))
        }
        Ok(Err(error)) => {
            (Verdict::Failed(report(&panic_text(error))), Some("panicked".to_owned()))
        }
        Err(_) => {
            task.abort();
            let reason = format!("the rule did not end within {limit:?}");
            (Verdict::Failed(report(&reason)), Some(reason))
        }
    };
    Ended { verdict, reason, micros }
}

async fn run(rule: &'static Rule, setting: Setting, claims: Claims) -> Checked {
    let cx = Cx::open_first(setting).await?;
    for handle in cx.both() {
        check_claims(handle.as_ref(), claims)?;
    }
    match rule.needs() {
        Some(feature) if !claims.has(feature) => {
            Err(Stop::not_applicable(format!("the adapter does not claim {feature:?}")))
        }
        _ => {
            rule.run(&cx).await?;
            cx.secrets().are_kept()
        }
    }
}

/// What is claimed must be there, and what is there must be claimed: else it would not be tested.
fn check_claims(store: &dyn SessionStore, claims: Claims) -> Checked {
    for (name, method, claimed, there) in [
        ("SubjectIndex", "subject_index", claims.subject_index, store.subject_index().is_some()),
        ("Inspect", "inspect", claims.inspect, store.inspect().is_some()),
        ("Purge", "purge", claims.purge, store.purger().is_some()),
    ] {
        match (claimed, there) {
            (true, false) => {
                return Err(Stop::failed(format!(
                    "{name} is claimed, but the store answers `None` when asked for it"
                )));
            }
            (false, true) => {
                return Err(Stop::failed(format!(
                    "the store answers `Some` when asked for {name}; claim it by `.{method}()` on the suite"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn panic_text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "the rule was cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("with a value that is no text"))
}
