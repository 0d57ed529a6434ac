use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use actix_web::HttpMessage;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, forward_ready};
use session_http::{Conclusion, Exchange, ResponseHead, SessionHandle, Sites};

use crate::head::{Answer, Head};

/// What [`SessionMiddleware`](crate::SessionMiddleware) makes of a service.
pub struct SessionService<S> {
    service: S,
    sites: Sites,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(service: S, sites: Sites) -> Self {
        Self { service, sites }
    }
}

impl<S, B> Service<ServiceRequest> for SessionService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if request.extensions().contains::<SessionHandle>() {
            let handled = self.service.call(request);
            return Box::pin(async move { Ok(handled.await?.map_into_left_body()) });
        }
        let exchange = Exchange::begin(&self.sites, &Head(&request));
        request.extensions_mut().insert(exchange.handle());
        let handled = self.service.call(request);
        Box::pin(async move {
            let response = handled.await?;
            let status = response.status().as_u16();
            Ok(answer(response, finish(exchange, status).await))
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("service", &self.service)
            .field("sites", &self.sites)
            .finish()
    }
}

/// Finishes the exchange; where there is something to wait for, in a task of its own, which runs to its end when the
/// client goes away. `None` when that task panicked, or the worker ends.
async fn finish(exchange: Exchange, status: u16) -> Option<Conclusion> {
    let mut finish = Box::pin(exchange.finish(status));
    match poll_fn(|cx| Poll::Ready(finish.as_mut().poll(cx))).await {
        Poll::Ready(conclusion) => Some(conclusion),
        Poll::Pending => actix_web::rt::spawn(finish).await.ok(),
    }
}

fn answer<B: MessageBody>(
    mut response: ServiceResponse<B>,
    conclusion: Option<Conclusion>,
) -> ServiceResponse<EitherBody<B>> {
    let mut head = Answer(response.response_mut().head_mut());
    let is_replaced = if let Some(conclusion) = conclusion {
        conclusion.apply(&mut head);
        conclusion.error_status().is_some()
    } else {
        head.replace(500);
        true
    };
    if is_replaced {
        response.map_body(|_, _| EitherBody::right(BoxBody::new(())))
    } else {
        response.map_into_left_body()
    }
}
