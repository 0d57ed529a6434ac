#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod check;
mod connection;
mod cursor;
mod error;
mod index;
mod inspect;
mod migrate;
mod names;
mod purge;
mod row;
mod source;
mod sql;
mod statement;
mod store;
mod table;
mod time;

pub use builder::{Pooler, PostgresStoreBuilder};
pub use check::CheckReport;
pub use session_core::{Finding, Severity};
pub use store::PostgresStore;
