#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod check;
mod command;
mod connection;
mod cursor;
mod error;
mod index;
mod inspect;
mod keys;
mod layout;
mod scripts;
mod shared;
mod source;
mod store;
mod tls;

pub use builder::RedisStoreBuilder;
pub use check::CheckReport;
#[doc(hidden)]
pub use layout::fuzz_decode;
pub use session_core::{Finding, Severity};
pub use store::RedisStore;
