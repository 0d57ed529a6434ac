//! Many tasks at one moment.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::verdict::{Checked, Stop};

/// Runs the futures as tasks of their own which all begin at the same moment, and answers with their
/// results in the same order.
pub(crate) async fn race<T, Fut>(contenders: impl IntoIterator<Item = Fut>) -> Checked<Vec<T>>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let contenders: Vec<Fut> = contenders.into_iter().collect();
    let barrier = Arc::new(Barrier::new(contenders.len()));
    let mut tasks = JoinSet::new();
    for (place, contender) in contenders.into_iter().enumerate() {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            barrier.wait().await;
            (place, contender.await)
        });
    }
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        results.push(joined.map_err(|error| Stop::failed(format!("a task failed: {error}")))?);
    }
    results.sort_by_key(|(place, _)| *place);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Polls `future` at most `polls` times, each time only after it asked for it, then drops it. `None` if
/// it was not ready by then.
pub(crate) async fn poll_at_most<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    struct Limited<F> {
        future: F,
        left: u32,
    }

    impl<F: Future + Unpin> Future for Limited<F> {
        type Output = Option<F::Output>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            match Pin::new(&mut self.future).poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        }
    }

    Limited { future: Box::pin(future), left: polls }.await
}
