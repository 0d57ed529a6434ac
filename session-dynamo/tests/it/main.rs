//! What is particular to DynamoDB, against DynamoDB Local and a proxy before it that answers as the service can. What
//! every store keeps is tested by the conformance suite, in `tests/conformance.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod proxy;
#[path = "../raw/mod.rs"]
#[expect(dead_code, reason = "a part of it is for the suite only")]
mod raw;
mod support;

mod checking;
mod connecting;
mod expiry;
mod faults;
mod index;
mod limits;
mod privileges;
mod restart;
mod rubbish;
mod settling;
mod tables;
mod trips;
