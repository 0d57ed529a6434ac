use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_http::{Conclusion, Exchange, ResponseHead};
use tokio::task::JoinHandle;

use crate::head::Answer;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService): the inner one's, after the commit.
    ///
    /// Dropped while the handler works, nothing is committed. Dropped during the commit, the commit goes on in a task
    /// of its own. Needs a tokio runtime.
    pub struct SessionFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = Stage]
    enum State<F, R> {
        Handling { #[pin] handler: F, exchange: Option<Exchange> },
        Finishing { response: Option<Response<R>>, conclusion: JoinHandle<Conclusion> },
    }
}

impl<F, R> SessionFuture<F, R> {
    pub(crate) const fn new(handler: F, exchange: Option<Exchange>) -> Self {
        Self { state: State::Handling { handler, exchange } }
    }
}

impl<F, R, E> Future for SessionFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Stage::Handling { handler, exchange } => {
                    let mut response = ready!(handler.poll(cx))?;
                    let Some(exchange) = exchange.take() else {
                        return Poll::Ready(Ok(response));
                    };
                    let status = response.status().as_u16();
                    let mut finish = Box::pin(exchange.finish(status));
                    // Mostly there is nothing to wait for, and a task would be wasted.
                    if let Poll::Ready(conclusion) = finish.as_mut().poll(cx) {
                        conclusion.apply(&mut Answer(&mut response));
                        return Poll::Ready(Ok(response));
                    }
                    let conclusion = tokio::spawn(finish);
                    state.set(State::Finishing { response: Some(response), conclusion });
                }
                Stage::Finishing { response, conclusion } => {
                    let conclusion = ready!(Pin::new(conclusion).poll(cx));
                    let mut response = response.take().expect("polled after it was ready");
                    match conclusion {
                        Ok(conclusion) => conclusion.apply(&mut Answer(&mut response)),
                        // The commit panicked, or the runtime ends: nobody knows what was stored.
                        Err(_) => Answer(&mut response).replace(500),
                    }
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

impl<F, R> fmt::Debug for SessionFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFuture").finish_non_exhaustive()
    }
}
