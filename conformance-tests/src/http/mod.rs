//! The rules of `session-http`, run in the same way against every framework crate.
//!
//! A framework crate serves the suite's small application, [`App`], by an [`HttpFixture`]; a [`Fixture`](crate::Fixture)
//! opens the stores. The suite talks to the server over TCP, byte for byte, and to the store through doubles that count,
//! hold and fail calls.
//!
//! ```no_run
//! // tests/conformance.rs, with `harness = false`
//! use axum::{Router, body::Body, extract::State, http::Uri, response::Response};
//! use conformance_tests::Result;
//! use conformance_tests::http::{App, AppBody, AppRequest, HttpFixture, HttpSuite, InProcess, Served};
//! use session_memory::MemoryStore;
//! use session_tower::{SessionLayer, Sites, axum::Session};
//! use tokio::{net::TcpListener, task::JoinSet};
//!
//! struct Mine;
//!
//! impl HttpFixture for Mine {
//!     const NAME: &'static str = "session-mine";
//!     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!
//!     async fn serve(&self, sites: Sites, app: App) -> Result<Served> {
//!         let router = Router::new().fallback(answer).with_state(app);
//!         let router = router.layer(SessionLayer::new(sites));
//!         let listener = TcpListener::bind("127.0.0.1:0").await?;
//!         let addr = listener.local_addr()?;
//!         let mut server = JoinSet::new();
//!         server.spawn(async { axum::serve(listener, router).await });
//!         Ok(Served::new(addr, server))
//!     }
//! }
//!
//! async fn answer(
//!     State(app): State<App>,
//!     session: Session,
//!     uri: Uri,
//! ) -> session_tower::axum::Result<Response> {
//!     let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
//!     let answer = app.respond((*session).clone(), AppRequest { path, query }).await?;
//!     let mut response = Response::builder().status(answer.status);
//!     for (name, value) in answer.headers {
//!         response = response.header(name, value);
//!     }
//!     let body = match answer.body {
//!         AppBody::Text(text) => Body::from(text),
//!         AppBody::Stream(pieces) => Body::from_stream(pieces),
//!     };
//!     Ok(response.body(body).expect("the suite's headers are valid"))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     HttpSuite::<_, InProcess<MemoryStore>>::new(Mine).main()
//! }
//! ```

mod app;
mod client;
mod crowd;
mod cx;
mod fixture;
mod in_process;
mod rule;
mod rules;
mod suite;

pub use app::{App, AppBody, AppRequest, AppResponse};
pub use crowd::crowd;
pub use fixture::{HttpFixture, Served};
pub use in_process::InProcess;
pub use rule::{HttpRule, http_rules};
pub use suite::{HttpResult, HttpSuite};
