//! How a rule ended.

use std::fmt;
use std::panic::Location;

use session_core::StoreError;

use crate::BoxError;
use crate::rule::Rule;

/// The result of one rule against one backend.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuleResult {
    /// The rule.
    pub rule: &'static Rule,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, in one line, unless it passed. Nothing that a backend or a store said stands in it, so that it may
    /// be published; of a failure it says where in the suite it was seen.
    pub reason: Option<String>,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The seed of its choices.
    pub seed: u64,
    /// What it ran against.
    pub backend: String,
    /// Round trips that each operation took, where the rule counted them.
    pub round_trips: Vec<(&'static str, u64)>,
}

/// How a rule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store keeps the rule.
    Passed,
    /// The store breaks the rule, or is listed as breaking it and does not. The text says what
    /// happened, for a person.
    Failed(String),
    /// The store breaks the rule, as it is known to; the text is the reason that was given.
    KnownFailure(String),
    /// The rule says nothing about this store; the text says why.
    NotApplicable(String),
}

impl RuleResult {
    /// Whether the run fails by this.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }
}

/// How a rule's function returns.
pub(crate) type Checked<T = ()> = Result<T, Stop>;

/// Why a rule's function stopped early.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(Box<Failure>),
    NotApplicable(String),
}

/// A broken rule: what was seen, and where in the rule.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    at: &'static Location<'static>,
}

impl Stop {
    #[track_caller]
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure { message: message.into(), at: Location::caller() }))
    }

    /// The same, with what it is about before the message.
    pub(crate) fn about(self, what: &str) -> Self {
        match self {
            Self::Failed(failure) => {
                let Failure { message, at } = *failure;
                Self::Failed(Box::new(Failure { message: format!("{what}: {message}"), at }))
            }
            not_applicable @ Self::NotApplicable(_) => not_applicable,
        }
    }

    pub(crate) fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable(reason.into())
    }
}

impl Failure {
    /// Where in the suite it was seen, whatever folder that was compiled in.
    pub(crate) fn place(&self) -> String {
        let file = self.at.file().replace('\\', "/");
        let file = file.rsplit_once("/src/").map_or(file.as_str(), |(_, file)| file);
        format!("{file}:{}", self.at.line())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        write!(f, "checked at {}", self.at)
    }
}

/// An error of the store where the rule expects an answer.
impl From<StoreError> for Stop {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Self::failed(format!("expected an answer, got the error {}", chain(&error)))
    }
}

/// An error of the fixture.
impl From<BoxError> for Stop {
    #[track_caller]
    fn from(error: BoxError) -> Self {
        Self::failed(format!("the fixture failed: {}", chain(error.as_ref())))
    }
}

/// An error of the network that the suite puts in between.
impl From<std::io::Error> for Stop {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("the proxy failed: {error}"))
    }
}

/// The text of an error and of all its sources.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// Fails the rule unless the two are equal: first what was seen, then what is right.
macro_rules! ensure_eq {
    ($actual:expr, $expected:expr, $($what:tt)+) => {{
        let (actual, expected) = (&$actual, &$expected);
        if actual != expected {
            let what = format!($($what)+);
            return Err($crate::verdict::Stop::failed(format!(
                "{what}\n  expected {expected:?}\n  actual   {actual:?}"
            )));
        }
    }};
}

/// Fails the rule unless the condition holds; the text says what should have been.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {{
        let holds: bool = $condition;
        if !holds {
            return Err($crate::verdict::Stop::failed(format!($($what)+)));
        }
    }};
}

/// Fails the rule unless the call was refused with this kind of error.
macro_rules! ensure_error {
    ($answer:expr, $kind:expr, $($what:tt)+) => {{
        match $answer {
            Err(error) if error.kind() == $kind => {}
            other => {
                let what = format!($($what)+);
                return Err($crate::verdict::Stop::failed(format!(
                    "{what}\n  expected an error of kind {:?}\n  actual   {other:?}", $kind
                )));
            }
        }
    }};
}

pub(crate) use {ensure, ensure_eq, ensure_error};
