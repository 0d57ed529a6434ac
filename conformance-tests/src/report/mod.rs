//! What a run has found, for machines.
//!
//! With the environment variable `CONFORMANCE_REPORT` set to a folder, a run writes one [`Report`] of each rule to
//! `<adapter>/<flavour>/<rule>.json`, and when it has run every rule the report of the whole run to
//! `<adapter>/<flavour>.json`. The flavour is how the backend was [provided](Provision). Without the variable nothing is
//! written.
//!
//! The whole report is there only when every rule in it is of one and the same run: it goes when a run begins, and
//! comes when that run has written its last rule. So it works where each rule is a process of its own, as under
//! `cargo nextest`, and what a run broke off or ran in part leaves none behind.
//!
//! Nothing in a report tells where the backend is, how it is entered or what is kept in it: no address, user name,
//! password, namespace, secret or payload. Of a failure it says where in the suite it was seen; what was seen stands
//! in the output of the run.
//!
//! # Read one
//!
//! ```no_run
//! use conformance_tests::report::{Report, VerdictKind};
//!
//! let report = Report::read("target/conformance/session-valkey/container.json")?;
//! for rule in report.rules.iter().filter(|rule| rule.verdict == VerdictKind::Failed) {
//!     println!("{} breaks {}: {:?}", report.adapter.name, rule.rule, rule.reason);
//! }
//! # Ok::<(), conformance_tests::report::ReportError>(())
//! ```
//!
//! # The format
//!
//! JSON, as these types are serialized. Its version is [`SCHEMA`]: fields may be added to it, which readers pass over;
//! whatever changes the meaning of a field makes a new version, which [`Report::read`] refuses to guess at.
//!
//! ```
//! # use conformance_tests::report::Report;
//! # let report = Report::from_json(
//! r#"{
//!   "schema": 1,
//!   "run": "5d2c9e0c1f7a3b44",
//!   "contract": "0.1",
//!   "suite": "0.1.0",
//!   "adapter": {
//!     "name": "session-valkey",
//!     "version": "0.3.1",
//!     "driver": { "name": "redis", "version": "1.8.1" }
//!   },
//!   "backend": {
//!     "product": "Valkey",
//!     "version": "8.1.0",
//!     "provision": { "how": "container", "image": "valkey/valkey:8" }
//!   },
//!   "system": "linux x86_64",
//!   "effort": 100,
//!   "rules": [
//!     {
//!       "rule": "W01",
//!       "chapter": "round_trips",
//!       "name": "common_path_takes_one",
//!       "verdict": "passed",
//!       "micros": 90211,
//!       "seed": "0x8d4d8c38ebea97dd",
//!       "round_trips": [ { "operation": "create", "count": 1 } ]
//!     },
//!     {
//!       "rule": "P01",
//!       "chapter": "purge",
//!       "name": "exactly_what_is_over_is_removed",
//!       "verdict": "not_applicable",
//!       "reason": "the adapter does not claim Purge",
//!       "micros": 1011,
//!       "seed": "0x8d4d8c38ebea97dd"
//!     }
//!   ]
//! }"#
//! # )?;
//! # assert_eq!((report.flavour(), report.rules[0].round_trips[0].count), ("container", 1));
//! # Ok::<(), conformance_tests::report::ReportError>(())
//! ```

mod driver;
mod error;
mod model;
#[cfg(test)]
mod tests;
mod write;

pub use error::ReportError;
pub use model::{
    Adapter, Backend, Driver, Operation, Report, RoundTrips, RuleReport, SCHEMA, VerdictKind,
};
pub(crate) use write::{Folder, Run};

pub use crate::endpoint::Provision;
