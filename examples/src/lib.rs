//! Small programs that show the session store at work. Run `cargo run --example tour`; the same small application on
//! three frameworks by `--example axum`, `--example actix` and `--example hyper`.

pub mod backend;

/// The form with which a user signs in.
#[derive(Debug, serde::Deserialize)]
pub struct Name {
    /// Any name will do: it is an example.
    pub name: String,
}

/// Where an application listens: what the first argument says, else port 8080 of loopback.
#[must_use]
pub fn address() -> String {
    std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned())
}

/// The code of the front page compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;

/// So does that of the page for people who come from other libraries.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating.md")]
pub struct Migrating;
