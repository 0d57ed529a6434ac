//! What is particular to Redis, against real servers. What every store keeps is tested by the conformance
//! suite, in `tests/conformance.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod proxy;
mod support;

mod clocks;
mod connecting;
mod crash;
mod durability;
mod expiry;
mod faults;
mod index;
mod inspect;
mod network;
mod outages;
mod privileges;
mod replies;
mod rubbish;
mod set_up;
mod trips;
