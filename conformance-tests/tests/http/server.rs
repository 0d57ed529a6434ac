//! A server of the suite's application that is right, but for one defect.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::response::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use conformance_tests::Result;
use conformance_tests::http::{App, AppBody, AppRequest, HttpFixture, Served};
use session_tower::axum::{Error, Session};
use session_tower::{SessionLayer, Sites};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::defects::{Asked, Defect, Wrong};

/// Serves with this defect, or with none.
pub(crate) struct Faulty(pub(crate) Option<&'static Defect>);

#[derive(Clone)]
struct Shared {
    app: App,
    wrong: Option<Wrong>,
}

impl HttpFixture for Faulty {
    const NAME: &'static str = "faulty";
    const VERSION: &'static str = "0";

    async fn serve(&self, sites: Sites, app: App) -> Result<Served> {
        let shared = Shared { app, wrong: self.0.map(|defect| defect.wrong) };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let router = router.layer(SessionLayer::new(sites));
        let router = router.layer(middleware::from_fn_with_state(shared, around));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await });
        Ok(Served::new(addr, server))
    }
}

/// What is wrong between the client and the session.
async fn around(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    match shared.wrong {
        Some(Wrong::Request(change)) => {
            change(request.headers_mut());
            next.run(request).await
        }
        Some(Wrong::Response(change) | Wrong::Both(_, change)) => {
            let asked = Asked::of(&request);
            let (mut parts, body) = next.run(request).await.into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a body of the suite's");
            let mut body = String::from_utf8(body.to_vec()).expect("a text");
            change(&asked, &mut parts, &mut body);
            respond(parts, body)
        }
        Some(Wrong::Early) if request.uri().path() == "/set" => {
            tokio::spawn(next.run(request));
            "set".into_response()
        }
        _ => next.run(request).await,
    }
}

fn respond(mut parts: Parts, body: String) -> Response {
    parts.headers.remove("content-length");
    parts.headers.remove("transfer-encoding");
    Response::from_parts(parts, Body::from(body))
}

async fn answer(
    State(Shared { app, wrong }): State<Shared>,
    session: Session,
    uri: Uri,
) -> Result<Response, Error> {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let (session, request) = ((*session).clone(), AppRequest { path, query });
    let answer = match wrong {
        Some(Wrong::Handler(handle) | Wrong::Both(handle, _)) => {
            handle(app, session, request).await?
        }
        _ => app.respond(session, request).await?,
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = match answer.body {
        AppBody::Text(text) => Body::from(text),
        AppBody::Stream(pieces) => Body::from_stream(pieces),
    };
    Ok(response.body(body).expect("the suite's headers are valid"))
}
