//! What can be wrong with a report.

use std::io;
use std::path::PathBuf;

use super::model::SCHEMA;

/// A report cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file cannot be read.
    #[error("the report {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file or its folder cannot be written.
    #[error("the report {} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not what the suite writes.
    #[error("not a report of the suite")]
    Format(#[from] serde_json::Error),
    /// The format is of another version.
    #[error("a report of schema {found}; this version reads schema {SCHEMA}")]
    Schema {
        /// The version that it has.
        found: u32,
    },
    /// A rule stands in it twice.
    #[error("rule {rule} stands in the report twice")]
    Twice {
        /// The number of the rule.
        rule: String,
    },
    /// The parts are not of one run against one backend.
    #[error("parts of different runs")]
    Mixed,
}
