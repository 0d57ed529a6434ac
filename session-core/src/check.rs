//! What an adapter's `check` finds.

/// One thing about a backend that is wrong or doubtful for sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// What it is, in a sentence.
    pub text: String,
}

/// How serious a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "a finding breaks a promise, or it does not")]
pub enum Severity {
    /// The store cannot keep its promises on this backend.
    Error,
    /// It can, but something should be looked at.
    Warning,
}

impl Finding {
    /// A finding, for adapters. `text` must not contain a token, secret, payload or password.
    #[must_use]
    pub fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into() }
    }
}
