//! How a call reaches the driver: in a task of its own, in time, and not more at once than there are
//! connections.
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

/// The way to the driver. As many calls are under way as there are permits; the others wait here, where waiting can
/// be given up without anything having been sent.
pub(crate) struct Calls {
    permits: Arc<Semaphore>,
    most: usize,
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
    pub(crate) fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most)), most }
    }

    /// Runs `call` to its end, and waits for that until `deadline`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        call: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Ended<T> {
        let mut sent = false;
        let ended = tokio::time::timeout_at(deadline, async {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            sent = true;
            let task = async move {
                let ended = call.await;
                drop(permit);
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
        let under_way = self.most.saturating_sub(self.permits.available_permits());
        f.debug_struct("Calls").field("most", &self.most).field("under_way", &under_way).finish()
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

    #[tokio::test]
    async fn a_call_runs_to_its_end_whoever_goes_away() {
        let calls = Calls::new(1);
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
        // Its permit came back.
        assert!(matches!(calls.run(in_time(60_000), ready(Ok(1))).await, Ended::Answer(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_permit_was_not_sent_and_what_waits_for_an_answer_was() {
        let calls = Calls::new(1);
        let hung = calls.run(in_time(10), pending::<mongodb::error::Result<()>>()).await;
        assert!(matches!(hung, Ended::NoAnswer));
        let waiting = calls.run(in_time(10), ready(Ok(()))).await;
        let Ended::NotSent(error) = waiting else { panic!("there was no permit") };
        assert_eq!(error.kind(), StoreErrorKind::Timeout);
        assert_eq!(format!("{calls:?}"), "Calls { most: 1, under_way: 1 }");
    }

    #[tokio::test]
    async fn a_panic_inside_a_call_is_no_answer() {
        let calls = Calls::new(1);
        let call = async { if calls_for_panic() { panic!("in the driver") } else { Ok(()) } };
        assert!(matches!(calls.run(in_time(60_000), call).await, Ended::NoAnswer));
        assert!(matches!(calls.run(in_time(60_000), ready(Ok(1))).await, Ended::Answer(1)));
    }

    fn calls_for_panic() -> bool {
        true
    }
}
