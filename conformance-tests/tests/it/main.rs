//! The suite itself is tested here: on a store that keeps the contract, and on many that do not.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::match_bool, reason = "right and wrong stand side by side")]

mod backend;
mod defects;
mod harness;
mod load;
mod meddling;
mod mutants;
mod network_mutants;
mod reference;
mod reports;
mod store;
mod unknown;
mod walks;

/// Held by the tests that keep the whole machine busy, or that count on answers in time: one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
