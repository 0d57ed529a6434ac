//! Small programs that show the session store at work. Run `cargo run --example tour`.

pub mod backend;

/// The code of the front page compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;
