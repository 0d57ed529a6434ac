//! The rules, one file for each chapter of the contract.
//!
//! A rule is an async function that takes a [`Cx`](crate::cx::Cx) and answers with `Checked`. Its name and
//! number stand in the table of [`crate::rule`].

pub(crate) mod concurrency;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod dropped;
pub(crate) mod errors;
pub(crate) mod expiry;
pub(crate) mod faults;
pub(crate) mod held;
pub(crate) mod inspect;
pub(crate) mod isolation;
pub(crate) mod load;
pub(crate) mod purge;
pub(crate) mod resent;
pub(crate) mod rotation;
pub(crate) mod round_trips;
pub(crate) mod secrecy;
pub(crate) mod sessions;
pub(crate) mod subject_index;
pub(crate) mod touch;
pub(crate) mod update;
pub(crate) mod users;
pub(crate) mod waiting;
