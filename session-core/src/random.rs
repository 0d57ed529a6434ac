//! Where ids, secrets and revisions come from.

use std::fmt;

/// A source of random bytes that may fail.
///
/// The default is [`OsRandom`]. Implement it only for tests: ids and secrets are as strong as their
/// source. A failure is an error of the operation that asked for the bytes; there is no fallback.
pub trait RandomSource: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes` completely with unpredictable bytes.
    ///
    /// # Errors
    ///
    /// When the source cannot deliver. `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The operating system's random source (`getrandom(2)` and its equivalents).
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        getrandom::fill(bytes).map_err(|_| RandomUnavailable)
    }
}

/// The random source failed, so no id, secret or revision was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source is unavailable")]
pub struct RandomUnavailable;
