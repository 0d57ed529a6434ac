#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod check;
mod client;
mod cursor;
mod error;
mod expression;
mod index;
mod inspect;
mod layout;
mod names;
mod send;
mod store;
mod tables;
mod tls;

pub use builder::DynamoStoreBuilder;
pub use check::{CheckReport, TableReport};
pub use session_core::{Finding, Severity};
pub use store::DynamoStore;
pub use tables::TableDefinition;
