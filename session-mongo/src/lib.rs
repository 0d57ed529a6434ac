#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod calls;
mod check;
mod cursor;
mod error;
mod index;
mod indexes;
mod inspect;
mod layout;
mod names;
mod store;

pub use builder::MongoStoreBuilder;
pub use check::{CheckReport, Deployment};
pub use indexes::INDEXES;
#[doc(hidden)]
pub use layout::fuzz_decode;
pub use session_core::{Finding, Severity};
pub use store::MongoStore;
