//! What stands in a report.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ReportError;
use crate::endpoint::Provision;
use crate::rule::{Rule, rules};
use crate::verdict::{RuleResult, Verdict};

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// The results of a run, or of a part of it, against one adapter on one backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of the format: [`SCHEMA`].
    pub schema: u32,
    /// The name of the run, another one each time.
    pub run: String,
    /// The version of the contract that was tested: major and minor version of `session-core`.
    pub contract: String,
    /// The version of the suite.
    pub suite: String,
    /// The adapter.
    pub adapter: Adapter,
    /// What it ran against.
    pub backend: Backend,
    /// Operating system and processor of the machine on which the suite ran, say `linux x86_64`.
    pub system: String,
    /// How often races and histories were repeated, in percent.
    pub effort: u32,
    /// The rules, in the order of the contract.
    pub rules: Vec<RuleReport>,
}

/// The adapter that was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adapter {
    /// The name in its [`Profile`](crate::Profile), usually that of its crate.
    pub name: String,
    /// Its version, where the profile says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The driver that it is built on, where the profile names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
}

/// The crate that speaks to the backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Driver {
    /// The name of the crate.
    pub name: String,
    /// The version in the `Cargo.lock` that the run was built with; `None` where none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The backend that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Backend {
    /// What it is, say `Redis`, where the fixture says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The version that it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it came to be there.
    pub provision: Provision,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// The number of the rule.
    pub rule: String,
    /// The chapter of the contract, as a path segment.
    pub chapter: String,
    /// The name of the rule's test.
    pub name: String,
    /// How it ended.
    pub verdict: VerdictKind,
    /// Why, in one line, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The value of `CONFORMANCE_SEED` that makes the same choices again.
    pub seed: String,
    /// What operations cost on the common path, where the rule counted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub round_trips: Vec<RoundTrips>,
}

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerdictKind {
    /// The adapter keeps the rule.
    Passed,
    /// The adapter breaks the rule, or is listed as breaking it and does not.
    Failed,
    /// The adapter breaks the rule, as it is known to.
    KnownFailure,
    /// The rule says nothing about this adapter.
    NotApplicable,
}

impl From<&Verdict> for VerdictKind {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed(_) => Self::Failed,
            Verdict::KnownFailure(_) => Self::KnownFailure,
            Verdict::NotApplicable(_) => Self::NotApplicable,
        }
    }
}

impl RuleReport {
    pub(crate) fn of(result: &RuleResult, seed: u64) -> Self {
        let trips = result.round_trips.iter();
        Self {
            rule: result.rule.id().to_owned(),
            chapter: result.rule.group().to_owned(),
            name: result.rule.name().to_owned(),
            verdict: (&result.verdict).into(),
            reason: result.reason.clone(),
            micros: result.micros,
            seed: format!("{seed:#x}"),
            round_trips: trips
                .map(|(operation, count)| RoundTrips {
                    operation: (*operation).to_owned(),
                    count: *count,
                })
                .collect(),
        }
    }
}

/// An operation whose round trips are counted, on a session that is as the operation expects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// Its name in reports.
    pub name: &'static str,
    /// The most round trips that rule W01 allows; `None` where it says nothing, and the count is for information.
    pub most: Option<u64>,
}

impl Operation {
    pub(crate) const fn new(name: &'static str, most: Option<u64>) -> Self {
        Self { name, most }
    }

    /// Every operation that is counted, in the order of reports.
    ///
    /// ```
    /// use conformance_tests::report::Operation;
    ///
    /// let first = Operation::all().next().unwrap();
    /// assert_eq!((first.name, first.most), ("create", Some(1)));
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        crate::rules::round_trips::operations()
    }
}

/// What an operation costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoundTrips {
    /// The name of the [`Operation`].
    pub operation: String,
    /// How many round trips it takes.
    pub count: u64,
}

impl Report {
    /// Reads a report from a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or as [`Report::from_json`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReportError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)
            .map_err(|source| ReportError::Read { path: path.to_owned(), source })?;
        Self::from_json(&text)
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// When the text is no report, is one of another [`SCHEMA`], or has a rule twice.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }

        let Head { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(ReportError::Schema { found: schema });
        }
        let report: Self = serde_json::from_str(text)?;
        report.has_each_rule_once()?;
        Ok(report)
    }

    /// The report as text, the same for the same report.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "texts and numbers can always be written")]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("texts and numbers can be written");
        json + "\n"
    }

    /// How the backend was provided, in one word: see [`Provision::flavour`].
    #[must_use]
    pub const fn flavour(&self) -> &'static str {
        self.backend.provision.flavour()
    }

    /// The rules of this suite that are not in it. None is missing in the report of a whole run of the same suite.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static Rule> {
        let there: BTreeSet<&str> = self.rules.iter().map(|rule| rule.rule.as_str()).collect();
        rules().iter().filter(|rule| !there.contains(rule.id())).collect()
    }

    /// One report of several parts, which must be of one run.
    pub(super) fn merge(parts: impl IntoIterator<Item = Self>) -> Result<Self, ReportError> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().ok_or(ReportError::Mixed)?;
        for mut part in parts {
            whole.rules.append(&mut part.rules);
            let head = Self { rules: Vec::new(), ..whole.clone() };
            if part != head {
                return Err(ReportError::Mixed);
            }
        }
        whole.has_each_rule_once()?;
        Ok(whole)
    }

    fn has_each_rule_once(&self) -> Result<(), ReportError> {
        let mut seen = BTreeSet::new();
        match self.rules.iter().find(|rule| !seen.insert(rule.rule.as_str())) {
            None => Ok(()),
            Some(rule) => Err(ReportError::Twice { rule: rule.rule.clone() }),
        }
    }
}
