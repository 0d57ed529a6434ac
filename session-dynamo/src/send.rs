//! How a request is sent and, where that is safe, sent again. This is the only layer that does; the driver's own
//! is switched off.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use session_core::StoreError;
use tokio::time::Instant;

use crate::error::{Again, Effect, Trouble};

/// The longest pause before the second send; before each further one it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// How long a call may take, and how often its request may be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The end of the whole call.
    pub(crate) deadline: Instant,
    /// The longest that one of its requests may take, sent again or not.
    pub(crate) each: Duration,
    /// How often a request is sent at most.
    pub(crate) sends: u32,
    /// Whether it may be sent again after it left this process.
    pub(crate) resend: Resend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    Yes,
    /// For what must not be done twice.
    Never,
}

impl Limits {
    /// Waits a while before the send after `sends`. Fails when no time is left for it.
    pub(crate) async fn pause(&self, sends: u32) -> Result<(), ()> {
        let pause = pause(sends);
        if Instant::now() + pause >= self.deadline {
            return Err(());
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// An earlier send of the same request may have been applied.
    pub(crate) resent: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No send of this request can have been applied.
    NotDone(StoreError),
    /// A send may have been applied.
    Unknown(StoreError),
}

impl Failure {
    /// The error of a request that changes nothing that matters, so that it can always be made again.
    pub(crate) fn harmless(self) -> StoreError {
        match self {
            Self::NotDone(error) | Self::Unknown(error) => error,
        }
    }

    /// The error of a request that changes a record.
    pub(crate) fn of_write(self) -> StoreError {
        match self {
            Self::NotDone(error) => error,
            Self::Unknown(error) => error.unknown_if(true),
        }
    }
}

/// Sends what `request` makes until there is an answer, no hope, or no time.
pub(crate) async fn send<T, E, F>(
    limits: Limits,
    doing: &'static str,
    request: impl Fn() -> F,
) -> Result<Answer<T>, Failure>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + 'static,
{
    let deadline = limits.deadline.min(Instant::now() + limits.each);
    let limits = Limits { deadline, ..limits };
    let mut resent = false;
    let mut sends = 0;
    loop {
        sends += 1;
        let trouble = if Instant::now() >= deadline {
            Trouble::out_of_time(doing)
        } else {
            match tokio::time::timeout_at(deadline, request()).await {
                Ok(Ok(value)) => return Ok(Answer { value, resent }),
                Ok(Err(error)) => Trouble::of(&error, doing),
                Err(_) => Trouble::late(doing),
            }
        };
        resent |= trouble.effect == Effect::Unknown;
        let again = match trouble.again {
            Again::Yes => sends < limits.sends,
            Again::Once => sends < limits.sends.min(2),
            Again::No => false,
        };
        let may_be_sent = limits.resend == Resend::Yes || trouble.effect == Effect::NotSent;
        if !again || !may_be_sent || limits.pause(sends).await.is_err() {
            let Trouble { error, .. } = trouble;
            return Err(if resent { Failure::Unknown(error) } else { Failure::NotDone(error) });
        }
        tracing::debug!(doing, sends, kind = ?trouble.error.kind(), "dynamodb request sent again");
    }
}

/// Somewhere between nothing and the longest, so that those who were refused together do not come back
/// together.
fn pause(sends: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << (sends - 1).min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for sends in 1..100 {
            assert!(pause(sends) <= LONGEST_PAUSE);
        }
        assert!(pause(1) <= FIRST_PAUSE);
        let longest = (0..200).map(|_| pause(40)).max().unwrap();
        assert!(longest > LONGEST_PAUSE / 2, "{longest:?}");
    }
}
