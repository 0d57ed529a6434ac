//! What `Sessions` does when the store fails, and what it reports.
//!
//! How it behaves on stores that work is tested by the crate `conformance-tests`, over every adapter.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod erased;
mod events;
mod faults;
mod setup;
mod unindexed;
