//! How a call reaches the driver: in a task of its own, in time, and not too many at once.
//!
//! A future of the driver must run to its end: dropped half-way it may leave the driver's insides in disorder. So
//! each runs in a task, and who does not want to wait any longer, or goes away, leaves the task alone.

use std::fmt;
use std::sync::Arc;

use mongodb::error::Error;
use session_core::{StoreError, StoreErrorKind};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::{self, Access, Trouble};

/// The way to the driver.
///
/// The driver cannot be told to give up a connection on which no reply comes, and keeps the call that waits there. So
/// there are two bounds: on the calls that somebody waits for, and on those that the driver still has. Who waits to
/// begin waits here, where waiting can be given up without anything having been sent.
pub(crate) struct Calls {
    waited_for: Semaphore,
    under_way: Arc<Semaphore>,
    bounds: Bounds,
}

/// How many calls there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// That somebody waits for.
    waited_for: u32,
    /// That the driver has, those included that nobody waits for any more.
    pub(crate) under_way: u32,
}

/// At least so many calls may hang that nobody waits for any more, without others having to wait.
const SPARE: u32 = 16;

impl Bounds {
    pub(crate) fn new(connections: u32) -> Self {
        Self { waited_for: connections, under_way: connections + connections.max(SPARE) }
    }
}

/// What came of a call.
pub(crate) enum Ended<T> {
    Answer(T),
    Failed(Error),
    /// The task is still under way, or was ended with its runtime.
    NoAnswer,
    /// It was never sent.
    NotSent(StoreError),
}

impl Calls {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let permits = |count| Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX));
        let (waited_for, under_way) = (permits(bounds.waited_for), permits(bounds.under_way));
        Self { waited_for, under_way: Arc::new(under_way), bounds }
    }

    /// Runs `call` to its end, and waits for that until `deadline`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        call: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Ended<T> {
        let mut sent = false;
        let ended = tokio::time::timeout_at(deadline, async {
            let _waited_for = self.waited_for.acquire().await;
            let under_way = Arc::clone(&self.under_way).acquire_owned().await;
            if Instant::now() >= deadline {
                // Those who wait are let in one after the other when the first of them gives up: too late for all.
                return std::future::pending().await;
            }
            sent = true;
            let task = async move {
                let ended = call.await;
                drop(under_way);
                ended
            };
            tokio::spawn(task).await
        });
        match ended.await {
            Ok(Ok(Ok(answer))) => Ended::Answer(answer),
            Ok(Ok(Err(error))) => Ended::Failed(error),
            Ok(Err(_)) => Ended::NoAnswer,
            Err(_) if sent => Ended::NoAnswer,
            Err(_) => Ended::NotSent(StoreError::new(
                StoreErrorKind::Timeout,
                "wait for one of the connections",
            )),
        }
    }

    /// The same for a call whose errors all mean the same.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        deadline: Instant,
        access: Access,
        doing: &'static str,
        call: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.run(deadline, call).await.or_trouble(access, doing)
    }
}

impl<T> Ended<T> {
    pub(crate) fn or_trouble(self, access: Access, doing: &'static str) -> Result<T, Trouble> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Failed(error) => Err(error::from_driver(&error, access, doing)),
            Self::NoAnswer => {
                Err(Trouble { error: error::no_answer(access, doing), passing: false })
            }
            Self::NotSent(error) => Err(Trouble { error, passing: false }),
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = u32::try_from(self.under_way.available_permits()).unwrap_or(u32::MAX);
        f.debug_struct("Calls")
            .field("connections", &self.bounds.waited_for)
            .field("under_way", &self.bounds.under_way.saturating_sub(free))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::time::Duration;

    fn in_time(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    fn calls(waited_for: u32, under_way: u32) -> Calls {
        Calls::new(Bounds { waited_for, under_way })
    }

    #[tokio::test]
    async fn a_call_runs_to_its_end_whoever_goes_away() {
        let calls = calls(1, 1);
        let (done, told) = tokio::sync::oneshot::channel();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let call = async move {
            let _ = wait.await;
            let _ = done.send(());
            Ok(())
        };
        let mut running = Box::pin(calls.run(in_time(60_000), call));
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(running.as_mut().poll(cx)));
        assert!(begun.await.is_pending());
        drop(running);
        go.send(()).unwrap();
        told.await.unwrap();
        // What it held came back.
        assert!(matches!(calls.run(in_time(60_000), ready(Ok(1))).await, Ended::Answer(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_begin_has_sent_nothing_and_who_waits_for_an_answer_may_have() {
        let calls = calls(1, 2);
        let hang = || calls.run(in_time(10), pending::<mongodb::error::Result<()>>());
        for _ in 0..2 {
            // The one before hangs for ever, and is in nobody's way.
            assert!(matches!(hang().await, Ended::NoAnswer));
        }
        assert_eq!(format!("{calls:?}"), "Calls { connections: 1, under_way: 2, .. }");
        let Ended::NotSent(error) = hang().await else { panic!("too many calls are under way") };
        assert_eq!(error.kind(), StoreErrorKind::Timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_calls_are_waited_for_as_there_are_connections() {
        let calls = Arc::new(calls(1, 2));
        let hung = tokio::spawn({
            let calls = Arc::clone(&calls);
            async move { calls.run(in_time(1_000), pending::<mongodb::error::Result<()>>()).await }
        });
        tokio::task::yield_now().await;
        assert!(matches!(calls.run(in_time(10), ready(Ok(()))).await, Ended::NotSent(_)));
        assert!(matches!(calls.run(in_time(2_000), ready(Ok(1))).await, Ended::Answer(1)));
        assert!(matches!(hung.await.unwrap(), Ended::NoAnswer));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_at_the_deadline() {
        let calls = calls(1, 9);
        let hang = || calls.run(in_time(10), pending::<mongodb::error::Result<()>>());
        let ended = futures_util::future::join_all([hang(), hang(), hang()]).await;
        assert!(matches!(ended[0], Ended::NoAnswer));
        assert!(ended[1..].iter().all(|ended| matches!(ended, Ended::NotSent(_))));
        assert_eq!(format!("{calls:?}"), "Calls { connections: 1, under_way: 1, .. }");
    }

    #[tokio::test]
    async fn a_panic_inside_a_call_is_no_answer() {
        let calls = calls(1, 1);
        let call = async { if calls_for_panic() { panic!("in the driver") } else { Ok(()) } };
        assert!(matches!(calls.run(in_time(60_000), call).await, Ended::NoAnswer));
        assert!(matches!(calls.run(in_time(60_000), ready(Ok(1))).await, Ended::Answer(1)));
    }

    fn calls_for_panic() -> bool {
        true
    }
}
