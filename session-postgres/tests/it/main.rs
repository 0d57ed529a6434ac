//! What is particular to PostgreSQL, against real servers. What every store keeps is tested by the conformance
//! suite, in `tests/conformance.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod costs;
mod outages;
mod poolers;
mod privileges;
mod purging;
mod rubbish;
mod set_up;
mod suite;
mod times;
mod tls;
