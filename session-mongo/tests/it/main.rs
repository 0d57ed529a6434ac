//! What is particular to MongoDB, against real servers. What every store keeps is tested by the conformance
//! suite, in `tests/conformance.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod connecting;
mod outages;
mod privileges;
mod rubbish;
mod set_up;
mod suite;
mod three_nodes;
