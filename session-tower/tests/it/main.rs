//! What is particular to tower and axum. What they have in common with every framework is tested by the HTTP rules of
//! `conformance-tests`.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod extractors;
mod layer;
mod setup;
