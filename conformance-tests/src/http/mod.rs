//! The rules of `session-http`, run in the same way against every framework crate.
//!
//! A framework crate serves the suite's small application, [`App`], by an [`HttpFixture`]; a [`Fixture`](crate::Fixture)
//! opens the stores. The suite talks to the server over TCP, byte for byte, and to the store through doubles that count,
//! hold and fail calls.
//!
//! ```ignore
//! // tests/conformance.rs, with `harness = false`
//! struct Mine;
//!
//! impl HttpFixture for Mine {
//!     const NAME: &str = "session-mine";
//!     const VERSION: &str = env!("CARGO_PKG_VERSION");
//!
//!     async fn serve(sites: Sites, app: App) -> Result<Served> {
//!         // Give each request's session to `app.respond`, and answer with what comes out.
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     HttpSuite::<Mine, Memory>::new().main()
//! }
//! ```

mod app;
mod client;
mod cx;
mod fixture;
mod rule;
mod rules;
mod suite;

pub use app::{App, AppBody, AppRequest, AppResponse};
pub use fixture::{HttpFixture, Served};
pub use rule::{HttpRule, http_rules};
pub use suite::{HttpResult, HttpSuite};
