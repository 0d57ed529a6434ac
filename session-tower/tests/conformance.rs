//! The rules of sessions over HTTP, served by axum.

use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::serve;
use conformance_tests::Result;
use conformance_tests::http::{
    App, AppBody, AppRequest, HttpFixture, HttpSuite, InProcess, Served,
};
use session_memory::MemoryStore;
use session_tower::axum::Session;
use session_tower::{SessionLayer, Sites};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

struct Tower;

impl HttpFixture for Tower {
    const NAME: &'static str = "session-tower";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    async fn serve(&self, sites: Sites, app: App) -> Result<Served> {
        let router = Router::new().fallback(answer).with_state(app);
        let router = router.layer(SessionLayer::new(sites));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(async move { serve(listener, router).await });
        Ok(Served::new(addr, server))
    }
}

async fn answer(
    State(app): State<App>,
    session: Session,
    uri: Uri,
) -> session_tower::axum::Result<Response> {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let answer = app.respond((*session).clone(), AppRequest { path, query }).await?;
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

fn main() -> ExitCode {
    HttpSuite::<_, InProcess<MemoryStore>>::new(Tower).main()
}
